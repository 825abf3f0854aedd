#!/bin/sh
# cluster.sh: a bounded run of the swarm of clusters.
# shellcheck disable=SC2154 # XHA_SRC, XHA_BUILD come from the Makefile
. "$XHA_SRC/tests/tap.sh"

swarm=$XHA_BUILD/tests/swarm/xha-cswarm
seeds=500
[ -z "${XHA_SHORT:-}" ] || seeds=100

"$swarm" --seeds 1-$seeds --cover >cluster-all.log 2>&1
status=$?
grep '^#' cluster-all.log
ok $status "random clusters"

"$swarm" --seeds 1-$((seeds / 5)) --hosts 2 >cluster-2.log 2>&1
status=$?
grep '^#' cluster-2.log
ok $status "random clusters of two hosts"

# The same seed tells the same story.
a=$("$swarm" --seed 7 -v 2>&1 | cksum)
b=$("$swarm" --seed 7 -v 2>&1 | cksum)
is "$a" "$b" "a seed replays to the same story"
finish

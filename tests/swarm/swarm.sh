#!/bin/sh
# swarm.sh: a bounded run of the swarm, with one host and with three.
# shellcheck disable=SC2154 # XHA_SRC, XHA_BUILD come from the Makefile
. "$XHA_SRC/tests/tap.sh"

swarm=$XHA_BUILD/tests/swarm/xha-swarm
seconds=20
[ -z "${XHA_SHORT:-}" ] || seconds=5

"$swarm" --seeds 1-1000000 --seconds $seconds --cover >swarm-1.log 2>&1
status=$?
grep '^#' swarm-1.log
ok $status "random worlds, one host"

"$swarm" --seeds 1-1000000 --seconds $((seconds / 4)) --hosts 3 >swarm-3.log 2>&1
status=$?
grep '^#' swarm-3.log
ok $status "random worlds, three hosts"

# The same seed tells the same story.
a=$("$swarm" --seed 7 -v 2>&1 | cksum)
b=$("$swarm" --seed 7 -v 2>&1 | cksum)
is "$a" "$b" "a seed replays to the same story"
finish

#!/bin/sh
# plants-cluster.sh: each bug in plants-cluster/ is planted into a copy of the core, and the swarm of clusters must catch it.
# shellcheck disable=SC2154 # XHA_SRC comes from the Makefile
. "$XHA_SRC/tests/tap.sh"
# shellcheck source=tests/swarm/plants.inc
. "$XHA_SRC/tests/swarm/plants.inc"

plants "$XHA_SRC/tests/swarm/plants-cluster" 1-6000 xha_cswarm
finish

#!/bin/sh
# plants.sh: each bug in plants/ is planted into a copy of the core, and the swarm must catch it. Nearly all take less than
# two hundred seeds.
# shellcheck disable=SC2154 # XHA_SRC comes from the Makefile
. "$XHA_SRC/tests/tap.sh"
# shellcheck source=tests/swarm/plants.inc
. "$XHA_SRC/tests/swarm/plants.inc"

plants "$XHA_SRC/tests/swarm/plants" 1-6000 xha_swarm
finish

#!/bin/sh
# stories.sh: plays the stories of clusters.
# shellcheck disable=SC2154 # XHA_SRC comes from the Makefile
exec sh "$XHA_SRC/tests/scenario/stories.sh" scenario-cluster xha-csim

#!/bin/sh
# The agent is one static file of less than 200 KB (stripped, as packages install it), when musl built it.
. "${XHA_SRC:?}/tests/tap.sh"

plan 3
agent=${XHA_BUILD:?}/guest/xha-guest
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT

"$agent" --version | grep -q "^xha-guest [0-9]" && r=0 || r=1
ok "$r" "the agent says its version"
if [ "${HAVE_MUSL:?}" = no ]; then
    skip "static" "built without musl-gcc, or with sanitizers"
    skip "smaller than 200 KB" "built without musl-gcc, or with sanitizers"
    exit
fi
readelf -lW "$agent" | grep -q INTERP && r=1 || r=0
ok "$r" "static: no program interpreter"
strip -o "$stripped" "$agent"
size=$(wc -c <"$stripped")
[ "$size" -lt 200000 ] && r=0 || r=1
ok "$r" "smaller than 200 KB: $size bytes"

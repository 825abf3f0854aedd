#!/bin/bash
# A client that begins a request and does not end it is dropped after ten seconds, with a word.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"
long_story

start_xhad
protect g1
{ printf '{"v":1,'; sleep 10.8; } | "$poke" "$sock" raw 100 >"$T/slow" &
slow=$!
{ sleep 10.5; echo '{"v":1,"cmd":"version"}'; } | "$poke" "$sock" raw 500 >"$T/patient" &
is "$(state g1)" running "others are served"
wait $! $slow
has "$(cat "$T/slow")" '"code":"too-slow"' "dropped, and told why"
has "$(cat "$T/patient")" '"ok":true' "one that only waits with its request is not dropped"
the_end

#!/bin/bash
# The journal after a crash: a torn record at its end is cut off, with a warning; damage before that is refused loudly,
# with advice, and nothing is touched.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1 'max_restarts = 1;'
protect g2
sim crash g1
comes_back g1 2
sim crash g1
wait_state g1 failed
before=$(sim list)
kill_xhad KILL

cp "$T/state/journal" "$T/good"
printf '0123456789abcdef 999 {"t":5,"put":[{"uu' >>"$T/state/journal"
start_xhad
is "$(state g1)" failed "with a torn end the rest is believed"
wait_state g2 running
is "$(sim list)" "$before" "no guest is touched"
logged 'torn\|repaired'
ok $? "the log says so"
kill_xhad TERM
start_xhad
is "$(state g1)" failed "the repaired journal goes on"
kill_xhad TERM

# One byte in the middle
cp "$T/state/journal" "$T/whole"
middle=$(($(stat -c %s "$T/whole") / 3))
printf '\001' | dd of="$T/state/journal" bs=1 seek=$middle conv=notrunc status=none
cp "$T/state/journal" "$T/damaged"
launch
xhad_ended
is "$xhad_status" 1 "damage in the middle: xhad does not start"
logged "$T/state/journal: damaged at byte"
ok $? "and says where"
logged 'Restore the file from a backup, or move it away'
ok $? "and what to do"
cmp "$T/state/journal" "$T/damaged" >/dev/null
ok $? "the journal is left as it was found"
is "$(sim list)" "$before" "no guest is touched"

mv "$T/state/journal" "$T/away"
start_xhad
wait_state g2 running
is "$(domid g2)" "$(echo "$before" | awk '$2 == "g2" { print $1 }')" "moved away: what runs is adopted"
the_end

#!/bin/bash
# A guest reboots itself, or is rebooted by another toolstack: no failure, and never two of it.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
sim reboot g1
comes_back g1 2
is "$(copies g1)" 1 "there is one of it"
is "$(field g1 restarts)" 0 "no recovery is counted"
is "$(alarms g1)" 0 "no alarm"

sim reboot-by-other g1
same_domid() { [ "$(field g1 domid)" = "$(domid g1)" ]; }
eventually $patience same_domid
ok $? "rebooted by another toolstack: the new domain is watched"
wait_state g1 running
is "$(begun start g1)" 2 "xhad has not started it"
is "$(copies g1)" 1 "there is one of it"

cp -r "$T/sim/domains" "$T/kept"
sim destroy g1
wait_state g1 vanished
cp "$T/kept"/* "$T/sim/domains/" && echo . >>"$T/sim/released"
wait_state g1 running
is "$(begun start g1)" 2 "gone for a moment only: waited for, not started"
the_end

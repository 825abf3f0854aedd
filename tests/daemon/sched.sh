#!/bin/bash
# Weight, cap and affinity: from the policy at every start, from a command at once and for good.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1 'sched: { weight = 512; cap = 50; affinity = "0-1"; };' 'protection = "checkpoint";' 'checkpoint: { interval = 0; };'
so() { echo "$(sim get g1 weight) $(sim get g1 cap) $(sim get g1 affinity)"; }
is "$(so)" "512 50 0-1" "as the policy says"
sim crash g1
comes_back g1 2
is "$(so)" "512 50 0-1" "again after a recovery"
ha sched g1 -w 99 -c 20 >/dev/null
is $? 0 "changed by command"
is "$(so)" "99 20 0-1" "at once"
ha checkpoint g1 >/dev/null
sim crash g1
eventually $patience begun_is restore g1 -ge 1
wait_state g1 running
is "$(so)" "99 20 0-1" "again after a restore"
kill_xhad KILL
start_xhad
sim reboot g1
comes_back g1 3
is "$(so)" "99 20 0-1" "and after xhad was killed"
knob work-sched.once 'refuse unsupported'
ha sched g1 -c 30 >/dev/null 2>&1
is $? 1 "one that the hypervisor refuses is told"
is "$(state g1)" running "... and does not hurt the guest"
the_end

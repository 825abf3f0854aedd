#!/bin/bash
# xhad is killed, or told to end, and comes back: no guest notices, and what happened meanwhile is seen.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
protect g2
before=$(sim list)
beat=$(sim get g1 beat)

kill_xhad KILL
start_xhad
wait_state g1 running
wait_state g2 running
is "$(sim list)" "$before" "after kill -9 the same domains run as before"
is "$(begun destroy g1)$(begun start g1)$(begun shutdown g1)" 010 "nothing was done to them"
beats_on() { [ "$(sim get g1 beat)" -gt "$beat" ]; }
eventually $patience beats_on
ok $? "they beat on"
has "$(ha log g1)" 'xhad came up' "that xhad came back is in the history"

kill_xhad TERM
is "$xhad_status" 0 "told to end, xhad ends well"
[ ! -e "$sock" ]
ok $? "its socket is gone"
is "$(sim list)" "$before" "it leaves the guests running"

sim crash g1
start_xhad
comes_back g1 2
is "$(domid g2)" 2 "the other one was left alone"
is "$(copies g1)" 1 "there is one g1"
the_end

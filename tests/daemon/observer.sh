#!/bin/bash
# The observer dies, talks nonsense, or is killed: it is started again, and nothing is judged meanwhile.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
protect g2
ups() { grep -c 'observer is up' "$T/log"; }
ups_are() { [ "$(ups)" -ge "$1" ]; }
kill -9 "$(head -n 1 "$T/sim/pids")"
eventually $patience ups_are 2
ok $? "killed: another one is started"
wait_state g1 running
sim crash g1
comes_back g1 2

knob observer die
eventually $patience alarm_is_there '^observer critical'
ok $? "it dies again and again: somebody is called"
sim hang g2 # it would have to be judged, if anybody looked
sleep 1.2
is "$(state g2)" running "nothing is judged meanwhile"
knob observer
comes_back g2 2
is "$(begun start g1)" 2 "nothing was done to the other one"

knob observer garbage
eventually $patience logged 'a message that is not understood'
ok $? "it talks nonsense: it is ended"
knob observer
sim crash g1
comes_back g1 3
answers
ok $? "xhad goes on"
the_end

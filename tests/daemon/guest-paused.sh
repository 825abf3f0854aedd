#!/bin/bash
# What somebody else does on purpose is left alone: a pause, a save by another toolstack.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
protect g2
sim pause g1
sim suspend g2
wait_state g1 paused
wait_state g2 paused
quiet() { [ "$(begun destroy g1)$(begun start g1)$(begun resume g1)$(begun destroy g2)$(begun resume g2)" = 01000 ]; }
holds 2.0 quiet
ok $? "for longer than its heartbeat_timeout nothing is done to either"
sim unpause g1
wait_state g1 running
holds 1.5 quiet
ok $? "and nothing is held against it afterwards"
is "$(alarms g1)" 0 "nobody is alarmed"
the_end

#!/bin/bash
# xhad is killed while a worker is at it: the next xhad waits for that worker, or finds its answer. Nothing is done
# twice.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
policy g1
knob work-start.once "slow ${patience}00"
ha protect "$T/elsewhere/g1.conf" >/dev/null
eventually $patience begun_is start g1 -ge 1
ok $? "g1's worker is at it"
kill_xhad KILL
is "$(copies g1)" 0 "... and not yet done when xhad is killed"
start_xhad
is "$(state g1)" starting "the new xhad knows that it is at it"
wait_state g1 running
is "$(begun start g1)" 1 "and waits for it: started once"
is "$(copies g1)" 1 "there is one of it"

knob work-destroy.once 'slow 400'
sim crash g1
eventually $patience begun_is destroy g1 -ge 1
kill_xhad KILL
worker_is_done() { grep -q "done destroy g1" "$T/sim/trace"; }
eventually $patience worker_is_done
ok $? "a worker ends while no xhad is there"
start_xhad
comes_back g1 2
is "$(begun destroy g1)" 1 "its answer was found: destroyed once"
is "$(copies g1)" 1 "there is one of it"
eventually $patience sh -c "[ -z \"\$(ls $T/run/jobs | grep -v lock)\" ]"
ok $? "no job is left lying"
the_end

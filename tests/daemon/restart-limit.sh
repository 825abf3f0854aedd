#!/bin/bash
# A guest that fails again and again is given up, with an alarm; an operator may try again.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1 'max_restarts = 2;' 'restart_window = 600;' 'backoff_min = 0.3;' 'backoff_max = 0.5;'
sim crash g1
comes_back g1 2
before=${EPOCHREALTIME//[.,]/}
sim crash g1
comes_back g1 3
[ $((${EPOCHREALTIME//[.,]/} - before)) -ge 300000 ]
ok $? "the second recovery waits for backoff_min"
sim crash g1
wait_state g1 failed
alarmed '^limit critical g1' "the limit is reached"
is "$(begun start g1)" 3 "no further start"
is "$(field g1 restarts)" 2 "two restarts are counted"
has "$(ha why g1)" 'xl-ha start g1 tries again' "why says what to do"
kill_xhad KILL
start_xhad
is "$(state g1)" failed "it is still given up after xhad was killed"
ha start g1 >/dev/null
is $? 0 "an operator's start is taken"
wait_state g1 running
the_end

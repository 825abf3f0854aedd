#!/bin/bash
# Of two hosts the one with the guest is lost, and nobody can fence it: the copy may not take over, and people are told so,
# until one of them says that it is off.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

xhads_up 2
replicated 1 g1
touch "$T/power/deaf"
power_off "$owner"
alarmed() { ha "$backup" log g1 | grep -q "alarm .*the copy of g1 on this host hears nothing of h$owner any more, and the cluster"; }
shown "its copy hears nothing, and the cluster cannot decide: an alarm" alarmed
ha "$backup" repl g1 >"$T/said"
is "$?/$(grep -c "h$backup is its backup; its copy hears nothing of it" "$T/said")" 0/1 "repl says so, too"
is "$(running g1)" 0 "it runs nowhere"
ha "$backup" confirm-fenced "h$owner" >/dev/null 2>&1
is $? 0 "an operator says that its host is off"
shown "it goes on from its copy" runs_on "$backup" g1 "h$backup"
is "$(begun_on "$backup" start g1)" 0 "... and was not started anew"
is "$(repl_of "$backup" g1)" "degraded none" "... without a backup"
the_end

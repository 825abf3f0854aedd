#!/bin/bash
# Of two hosts the one with the guest is lost, and nobody can fence it: the copy may not take over, and people are told so,
# until one of them says that it is off.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

xhads_up 2
replicated 1 g1
touch "$T/power/deaf"
power_off "$owner"
alarmed() { ha "$backup" log g1 | grep -q "alarm .*the copy of g1 on this host hears nothing of h$owner any more, and the cluster cannot decide"; }
shown "its copy hears nothing, and the cluster cannot decide: an alarm" alarmed
ha "$backup" repl g1 >"$T/said"
is "$?/$(grep -c "its copy takes over as soon as the cluster may decide that" "$T/said")" 0/1 "repl says what it waits for"
is "$(running g1)" 0 "it runs nowhere"
ha "$backup" confirm-fenced "h$owner" >/dev/null 2>&1
is $? 0 "an operator says that its host is off"
shown "it goes on from its copy" runs_on "$backup" g1 "h$backup"
is "$(begun_on "$backup" start g1)" 0 "... and was not started anew"
is "$(repl_of "$backup" g1)" "degraded none" "... without a backup"

# Now its backup's host: it may not go on alone either.
power_on "$owner"
shown "the host that was lost is the backup" is_repl "$backup" g1 "protected h$owner"
power_off "$owner"
mute() { ha "$backup" repl g1 | grep -q '^g1 is degraded: .* without a backup: it is mute: its gate opens as soon as the cluster may decide that'; }
shown "its backup's host is lost, and it is said that it is mute" mute
ha "$backup" confirm-fenced "h$owner" >/dev/null 2>&1
bare() { ha "$backup" repl g1 | grep -q '^g1 is degraded: .* without a backup: no host fits'; }
shown "an operator says that it is off: it goes on, and why it is alone is known" bare
the_end

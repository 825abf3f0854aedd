#!/bin/bash
# A replicated guest obeys its orders: it moves, is saved, is stopped, is protected less; and what it was told to end
# does not come to life by the loss of its host.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

xhads_up 3
replicated 1 g1
first=$owner

# A move goes where the copy was, and a new copy is made.
ha "$third" migrate g1 >"$T/said" 2>&1
is $? 0 "it is moved: $(tail -n 1 "$T/said" | command cut -c 1-120)"
is "$(host_of "$third" g1)" "h$backup" "... to its backup's host"
is "$(begun_on "$backup" start g1)" 0 "... it was not started anew"
shown "... and has a new backup" protected "$third" g1
is "$(running g1)" 1 "... it runs once"
is "$(on "$first" g1)" "$([ "$(backup_of "$third" g1)" = "h$first" ] && echo paused)" "... where it was it is a copy, or nothing"
look "$third" g1

# A checkpoint.
id=$(domid "$owner" g1)
ha "$third" checkpoint g1 >"$T/said" 2>&1
is $? 0 "it is saved: $(tail -n 1 "$T/said" | command cut -c 1-120)"
shown "... and has a backup again" protected "$owner" g1
is "$(domid "$owner" g1)" "$id" "... it is the same guest"
look "$owner" g1

# The backup's host is emptied.
ha "$owner" maintenance "h$backup" on >"$T/said" 2>&1
is $? 0 "the backup's host is emptied: $(tail -n 1 "$T/said" | command cut -c 1-120)"
shown "... another one is the backup" is_repl "$owner" g1 "protected h$third"
is "$(on "$backup" g1)" "" "... the copy there is gone"
ha "$owner" maintenance "h$backup" off >/dev/null 2>&1
look "$owner" g1

# Less protection.
policy g1 'protection = "restart";'
ha "$owner" protect "$T/policy/g1.conf" >"$T/said" 2>&1
is $? 0 "it is protected by restart alone: $(tail -n 1 "$T/said" | command cut -c 1-120)"
shown "... its gate is opened" gate_is "$owner" g1 0
shown "... its copy is gone" is_on "$backup" g1 ""
is "$(domid "$owner" g1)" "$id" "... it runs on"
policy g1 'protection = "replicate";'
ha "$owner" protect "$T/policy/g1.conf" >"$T/said" 2>&1
shown "... and it is replicated again, when that is wanted" protected "$owner" g1
look "$owner" g1

# Its history tells of failures alone.
for i in 1 2 3; do
    is "$(jq -r 'select(.kind == "work") | .text' "$T/h$i/state/history" | grep replicate)" "" \
        "replications that ended by order are no failures in host $i's history"
done

# It powers itself off, and at once its host is lost.
at "$owner" poweroff g1
shown "it powers itself off" is_repl "$third" g1 "unprotected none"
is_stopped() { [ "$(state_of "$third" g1)" = stopped ]; }
shown "... and is stopped" is_stopped
shown "... its copy is gone" is_on "$backup" g1 ""
power_off "$owner"
shown "its host loses power" is_off "$owner"
wait_for "the others are settled" settled "$third" 2
sleep 3
is "$(running g1)$(copies g1)" 00 "... it is not resurrected"

power_on "$owner"
wait_for "the host is back" settled "$owner" 3
ha "$third" start g1 >/dev/null 2>&1
is $? 0 "started by order it runs"
shown "... and is replicated" protected "$third" g1
look "$third" g1

# Not protected at all any more; but not before all hosts know it.
id=$(domid "$owner" g1)
signal "$third" xhad STOP
ha "$owner" unprotect g1 >/dev/null 2>&1 &
order=$!
sleep 2
is "$(gate "$owner" g1)" shut "ordered, but not known to all: its gate is shut"
signal "$third" xhad CONT
wait $order
is $? 0 "known to all it is unprotected"
shown "... its gate is opened" gate_is "$owner" g1 0
shown "... its copy is gone" is_on "$backup" g1 ""
is "$(domid "$owner" g1) $(on "$owner" g1)" "$id running" "... it runs on"
the_end

#!/bin/bash
# Guests go from host to host without an end of theirs: by order, out of a host in maintenance, and not at all when a
# move is called off.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

xhads_up 3
protect 1 g1
protect 2 g2
from=$(host_of 1 g1)
n=${from#h}
to=h$((n % 3 + 1))
other=$(((n + 1) % 3 + 1))

counter() { XHA_SIM_DIR=$T/h${1#h}/sim "$sim" ctl get "$2" "$3" 2>/dev/null; } # HOST NAME FIELD

ha "$other" migrate g1 "$to" >"$T/said" 2>&1
is $? 0 "a move ordered on a third host is waited for: $(tail -n 1 "$T/said" | command cut -c 1-120)"
is "$(host_of "$n" g1)" "$to" "the domain has another owner"
is "$(copies g1)" 1 "... and runs once"
is "$(begun_on "${to#h}" start g1)" 0 "... it was not started anew"
shown "... and beats" runs_on "$other" g1 "$to"

# Called off in the midst: it runs on where it was.
echo "slow 5000" >"$T/${to}/sim/work-migrate-g1"
ha "$n" migrate g1 "$from" >"$T/said" 2>&1 &
mover=$!
wait_for "the move has begun" moving 1 g1
is "$(ask "$other" '{"cmd":"migrate-abort","args":{"domain":"g1"}}' ok)" true "it can be called off on any host"
wait "$mover"
isnt $? 0 "... whoever waits for it hears so"
is "$(host_of 1 g1)" "$to" "... it stays"
is "$(copies g1)" 1 "... and runs once"
rm -f "$T/${to}/sim/work-migrate-g1"
shown "... on" runs_on 1 g1 "$to"

# A host is emptied.
ha "$other" maintenance "$to" on >"$T/said" 2>&1
is $? 0 "a host is emptied: $(tail -n 1 "$T/said" | command cut -c 1-120)"
for g in g1 g2; do
    isnt "$(host_of 1 $g)" "$to" "... $g is elsewhere"
    is "$(copies $g)" 1 "... once"
done
ha "$other" maintenance "$to" off >/dev/null 2>&1
is $? 0 "its maintenance ends"

# What would be, and figures.
ha 1 what-if host-down "$(host_of 1 g1)" >"$T/said" 2>&1
ok "$(grep -q g1 "$T/said"; echo $?)" "what-if names the domain"
ha 2 metrics >"$T/said" 2>&1
ok "$(grep -q '^xhad_cluster_quorate 1$' "$T/said"; echo $?)" "the figures say that there is quorum"
ha 3 timing >"$T/said" 2>&1
is $? 0 "the times fit corosync's"
the_end

#!/bin/bash
# Restarts, from small to large: one xhad after the other, which no guest notices; then the power of all hosts goes,
# and comes back.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"
long_story

ids() { # which domains run where, under which ids
    local i
    for i in 1 2 3; do
        XHA_SIM_DIR=$T/h$i/sim "$sim" ctl list | sed "s/^/h$i /"
    done | awk '{ print $1, $2, $3 }' | sort
}

xhads_up 3
for g in g1 g2 g3 g4; do
    protect 2 $g
done
before=$(ids)
for i in 1 2 3; do
    xhad_stop $i
    xhad_start $i
    for j in 1 2 3; do
        shown "xhad of host $i restarted: host $j is settled" settled $j 3
    done
done
for g in g1 g2 g3 g4; do
    shown "$g is looked after" runs 1 $g
done
is "$(ids)" "$before" "a rolling restart has touched no domain"
ok "$([ ! -e "$T/power/log" ]; echo $?)" "... and fenced no host"

# Nobody has power.
for i in 1 2 3; do
    power_off $i
done
is "$(for g in g1 g2 g3 g4; do copies $g; done | xargs)" "0 0 0 0" "without power nothing runs"
power_on 1
sleep 3
is "$(for g in g1 g2 g3 g4; do copies $g; done | xargs)" "0 0 0 0" "one host of three starts nothing"
power_on 2
# Two are enough, once the third is proven to be off. A host that is switched on while that is under way is cut again.
third_is_fenced() { [ "$(field 1 hosts -- '.[] | select(.name == "h3") | .state')" = fenced ]; }
shown "two make sure that the third is off" third_is_fenced
power_on 3
for i in 1 2 3; do
    shown "host $i is settled after a cold start" settled $i 3
done
for g in g1 g2 g3 g4; do
    shown "$g runs again" runs 1 $g
    is "$(copies $g)" 1 "... once"
done
the_end

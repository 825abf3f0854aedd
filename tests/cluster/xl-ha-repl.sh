#!/bin/bash
# What people see of replication, asked on any host: the wait for the first copy, who the backup is, epochs, figures, alarms.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

xhads_up 3
for i in 1 2 3; do
    echo 2000 >"$T/h$i/sim/move_ms"
done
policy g1 'protection = "replicate";' 'place: { hosts = "h1,h2"; prefer = "h1"; };'
ha 3 -v protect "$T/policy/g1.conf" >"$T/said" 2>"$T/steps"
is "$?/$(tail -n 1 "$T/said")" "0/g1 is replicated to h2" "protect, on another host, waits for the first copy"
grep -q 'g1: first copy to h2' "$T/steps"
ok $? "... and shows it"

# entry HOST KEY...: of the list there, in one line
entry() {
    local n=$1 keys=
    shift
    for key in "$@"; do
        keys="$keys \\(.$key)"
    done
    field "$n" list -- ".[] | select(.name == \"g1\") | \"$keys\""
}
for i in 1 2 3; do
    is "$(entry $i host replication backup)" " h1 protected h2" "list on h$i: who has it, and who its backup is"
done
[ "$(entry 1 epoch_age_ms)" -lt 2000 ]
ok $? "its host knows how old the newest epoch is"
is "$(entry 2 epoch_age_ms)" " null" "... and only that one does"

newest() { field "$1" repl g1 -- '.epochs[-1].number // 0'; } # HOST
further() { [ "$(newest "$1")" -gt "$2" ]; }
for i in 1 2; do
    n=$(newest $i)
    [ "$n" -gt 0 ]
    ok $? "repl on h$i: epochs"
    shown "... which go on" further $i "$n"
done
is "$(field 3 repl g1 -- '.at + " " + .replication + " " + (.sums.epochs >= .epoch | tostring)')" "h1 protected true" \
    "repl is asked where it runs"

ha 1 metrics >"$T/said"
is "$(grep -c '^xhad_replication_state{domain="g1",state="protected"} 1$' "$T/said")" 1 "metrics: how it is replicated"
[ "$(sed -n 's/^xhad_replication_epochs_total{domain="g1"} //p' "$T/said")" -gt 0 ]
ok $? "... and its epochs"
is "$(ha 2 metrics | grep -c xhad_replication_)" 0 "... which are its host's to tell"

echo 17 >"$T/h1/sim/dropped"
dropped() { ha 1 log g1 | grep -q 'alarm .*g1 sends more than may wait for its backup .*: 17 packets were dropped'; }
shown "packets that are dropped are an alarm" dropped

xhad_stop 1
xhad_start 1
n=$(newest 2)
again() { [ "$(entry 2 replication)" = " protected" ] && further 2 "$n"; }
shown "a restart of xhad disturbs no epochs" again
is "$(field 2 repl g1 -- '.sums.dropped_packets')" 0 "... nor does it tell old alarms anew"

ha 3 repl -f g1 >"$T/followed" 2>&1 &
follower=$!
power_off 2
bare() { [ "$(entry "$1" replication backup)" = " degraded null" ]; }
shown "its backup's host loses power: it goes on without one" bare 3
followed() { grep -q '^g1 is degraded: it runs on h1 without a backup' "$T/followed"; }
shown "... of which repl -f tells" followed
[ "$(grep -cE '^ +[0-9]+ +1 +[0-9]+B ' "$T/followed")" -gt 0 ]
ok $? "... after its epochs"
{
    kill $follower
    wait $follower
} 2>/dev/null
why() { [[ "$(entry 1 replication_why)" =~ [a-z] ]]; }
shown "... and it is known why" why
alarm() { ha 3 log | grep -q 'g1 has lost its backup on host h2'; }
shown "... and there is an alarm" alarm
power_on 2
healed() { [ "$(entry 1 replication backup)" = " protected h2" ]; }
shown "its backup's host is back, and its backup again" healed
the_end

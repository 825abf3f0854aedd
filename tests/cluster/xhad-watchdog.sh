#!/bin/bash
# Hosts that fence themselves: armed by one word, poked while they have quorum, handed over from xhad to xhad, disarmed
# before a stop; one that is cut off is reset before its domain runs elsewhere.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

long_story

no_fence=1
xhads_up 3
protect 1 g1 'place = { prefer = "h3"; };'
shown "the domain runs where it prefers to" runs_on 1 g1 h3

armed() { [ "$(field 1 hosts -- '[.[] | .armed] | @csv')" = "$1" ]; }
timer() { [ -s "$T/h$1/sim/timers" ]; } # does a timer of host N run?
no_timer() { ! timer "$1"; }

ha 2 arm >/dev/null 2>&1
is $? 0 "the cluster is armed"
shown "every host says that it is" armed true,true,true
for i in 1 2 3; do
    ok "$(timer "$i"; echo $?)" "... and so it is on host $i"
done

# A planned stop disarms; a death hands over.
xhad_stop 2
ok "$(no_timer 2; echo $?)" "an xhad that is stopped leaves no timer"
shown "... which the others know" armed true,false,true
xhad_start 2
shown "started again it is armed" armed true,true,true
xhad_stop 2 KILL
ok "$(timer 2; echo $?)" "one that is killed leaves its timer running"
xhad_start 2
shown "the next one takes it over" settled 2 3
sleep 12
ok "$([ ! -e "$T/h2/sim/fired" ]; echo $?)" "... and pokes it"
shown "... all are armed" armed true,true,true

# A slip in the settings does not cost the host.
cp "$T/h2/xhad.conf" "$T/good.conf"
echo 'no such setting' >>"$T/h2/xhad.conf"
xhad_stop 2 KILL
xhad_start 2
shown "an xhad with bad settings goes on with the last good ones" settled 2 3
ok "$(grep -q 'kind=config' "$T/h2/log"; echo $?)" "... and raises an alarm"
cp "$T/good.conf" "$T/h2/xhad.conf"

# Cut off.
partition "1 2" "3"
shown "the host that is cut off resets itself" is_off 3
sleep 0.3
before=$(begun_on 1 start g1)$(begun_on 2 start g1)
is "$before" 00 "... before its domain is started elsewhere"
shown "... then it is" runs 1 g1
isnt "$(host_of 1 g1)" h3 "... on another host"
is "$(copies g1)" 1 "... once"
is "$(field 1 hosts -- '.[] | select(.name == "h3") | "\(.state) \(.fenced_by)"')" "fenced watchdog" \
    "the others know by what"

ha 1 disarm >/dev/null 2>&1
is $? 0 "the cluster is disarmed"
shown "... which ends the timers" no_timer 1
shown "... of all" no_timer 2
the_end

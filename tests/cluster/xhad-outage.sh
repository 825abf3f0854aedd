#!/bin/bash
# What a cluster keeps: policies that are edited anywhere, a host that was away, quorum that is lost, a host that nobody
# can fence, a planned shutdown, and everything off at once.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

priority() { field "$1" info g1 -- '.policy.priority.value'; }
has_priority() { [ "$(priority "$1")" = "$2" ]; }
knows() { [ -n "$(state_of "$1" "$2")" ]; }
texts_on() { [ -s "$T/h$1/state/domains/$(uuid_of "$2")/policy.conf" ]; }
host_state() { field "$1" hosts -- ".[] | select(.name == \"$2\") | .state"; }
is_host() { [ "$(host_state "$1" "$2")" = "$3" ]; } # ASKED HOST STATE

told() { grep -c "kind=fence-check.*$2" "$T/h$1/log"; }
xhads_up 3 'fence_check = 1;'
protect 1 g1 'place = { hosts = "h1,h2"; };' 'priority = 100;'

# Edited where it does not run, and seen by all.
sed -i 's/^priority = .*/priority = 321;/' "$T/policy/g1.conf"
ha 3 protect "$T/policy/g1.conf" >/dev/null 2>&1
is $? 0 "a policy is changed on a host that may not even run it"
for i in 1 2 3; do
    shown "... host $i knows" has_priority "$i" 321
done

# A host that was away catches up.
xhad_stop 3
protect 1 g2
ha 1 unprotect g2 >/dev/null 2>&1
is $? 0 "a domain is no longer protected"
protect 2 g3
ok "$(! texts_on 3 g3; echo $?)" "a host that is away misses a new domain"
xhad_start 3
shown "it comes back" settled 3 3
shown "... and has been told of it" texts_on 3 g3
ok "$(! knows 3 g2; echo $?)" "... and not of the one that is gone"

# Alone there is no quorum: guests run on, nothing is ordered.
owner=$(host_of 1 g1)
n=${owner#h}
id=$(domid "$n" g1)
# Both are gone at once: while two are left, the third is lost, and fenced. So is, when they come back, who is not with
# the first two that are.
others=()
for i in 1 2 3; do
    [ "$i" = "$n" ] || others+=("$i")
done
xhad_stop "${others[0]}"
xhad_stop "${others[1]}"
signal_both "${others[@]}" corosync KILL
for i in "${others[@]}"; do
    wait_for "corosync of host $i is dead" is_gone "$i" corosync
done
quorate() { [ "$(ask "$1" '{"cmd":"cluster"}' result.quorate)" = "$2" ]; }
shown "alone there is no quorum" quorate "$n" false
is "$(domid "$n" g1)" "$id" "... its guest runs on"
ha "$n" stop g1 >/dev/null 2>&1
isnt $? 0 "... and no order is taken"
for i in "${others[@]}"; do
    start_corosync "$i"
done
for i in "${others[@]}"; do
    wait_for "corosync of host $i sees all" sees "$i" 3
    xhad_start "$i"
done
for i in 1 2 3; do
    shown "with the others again host $i is settled" settled "$i" 3
done
is "$(domid "$n" g1)" "$id" "... and the guest has not noticed"

# A power switch that is broken is known before it is needed.
is "$(told 1 .)" 0 "fence devices that work are no alarm"
touch "$T/power/deaf"
check_of() { [ "$(field 1 hosts -- '.[] | select(.name == "h2") | .fence_check.ok')" = "$1" ]; }
shown "a fence device that is broken is seen by the asked host" check_of false
ok "$([ "$(told 1 'could not fence h2.*the switch does not answer')" -ge 1 ]; echo $?)" "... with an alarm that says why"
ha 1 hosts | grep -q '^h2 .*cannot be fenced'
is $? 0 "... and hosts shows it"
rm -f "$T/power/deaf"
shown "mended it is seen, too" check_of true
is "$(told 1 'h2 answer this host again')" 1 "... and told"

# Nobody can fence it: an operator's word.
touch "$T/power/deaf"
power_off "$n"
other=$((n % 3 + 1))
shown "a host that nobody can fence is lost" is_host "$other" "$owner" lost
sleep 4
is "$(copies g1)" 0 "... and its domain runs nowhere"
ha "$other" confirm-fenced "$owner" >/dev/null 2>&1
is $? 0 "an operator says that it is off"
shown "... then its domain is started" runs "$other" g1
is "$(copies g1)" 1 "... once"
rm -f "$T/power/deaf"
power_on "$n"
shown "booted again it is in" settled "$n" 3

# A planned shutdown: its guests go first, and nobody fences it.
owner=$(host_of 1 g1)
n=${owner#h}
other=$((n % 3 + 1))
rm -f "$T/power/log"
ha "$n" host-shutdown >"$T/said" 2>&1
is $? 0 "a host is prepared for its shutdown: $(tail -n 1 "$T/said" | command cut -c 1-100)"
xhad_stop "$n"
stop_corosync "$n"
shown "its domain is elsewhere" runs "$other" g1
is "$(copies g1)" 1 "... once"
sleep 3
ok "$([ ! -e "$T/power/log" ]; echo $?)" "... and nobody is fenced"
start_corosync "$n"
xhad_start "$n"
shown "up again it takes part" settled "$n" 3

# Everything off at once.
for i in 1 2 3; do
    power_off "$i"
done
for i in 1 2 3; do
    revive_host "$i"
    boot "$i"
done
for i in 1 2 3; do
    wait_for "corosync of host $i sees all" sees "$i" 3
    xhad_start "$i"
done
for i in 1 2 3; do
    shown "after a power cut of all host $i is settled" settled "$i" 3
done
for g in g1 g3; do
    shown "... $g runs" runs 1 $g
    is "$(copies $g)" 1 "... once"
done
shown "... its policy is as it was edited" has_priority 2 321
the_end

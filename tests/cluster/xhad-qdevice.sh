#!/bin/bash
# Two hosts and a quorum device, without fence agents. Cut from each other exactly one goes on, and the other's watchdog
# resets it before a domain of it runs there; a host whose power fails takes nobody with it; and a device that is gone
# changes nothing.
no_fence=yes
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

long_story

for program in corosync-qnetd corosync-qdevice; do
    command -v $program >/dev/null || {
        echo "1..1"
        echo "not ok 1 - $program is not here: run 'tests/need-packages check' as root"
        exit 1
    }
done
patience=60
detection=3
qdevice=10.77.0.$device
xhads_up 2 'placement = "worst-fit";'
ha 1 arm >"$T/said" 2>&1
ok $? "the cluster is armed"
armed() { [ "$(field 1 hosts -- '[.[] | .armed] | @csv')" = true,true ]; }
shown "... and with it each host" armed
protect 1 g1 'place = { prefer = "h1"; };'
protect 1 g2 'place = { prefer = "h2"; };'
fired() { [ -e "$T/h$1/sim/fired" ] || is_off "$1"; }
not_fired() { ! fired "$1"; }
quorate() { [ "$(ask "$1" '{"cmd":"cluster"}' result.quorate)" = true ]; }
doubts=$(grep -c 'kind=timing' "$T/h1/log")
is "$doubts" 0 "xhad is content with the times of corosync and its device"

# The device is gone, and comes back.
kill_host $device
wait_for "both have lost its vote" has_votes 1 2
wait_for "both have lost its vote" has_votes 2 2
sleep 12
for i in 1 2; do
    ok "$(quorate $i; echo $?)" "without the device host $i still has quorum"
    ok "$(not_fired $i; echo $?)" "... and its watchdog has not fired"
done
is "$(copies g1) $(copies g2)" "1 1" "... the domains run on"
start_qnetd
for i in 1 2; do
    shown "the device is back for host $i" has_votes $i 3
done

# Cut from each other; both still reach the device.
cut 1 2
one_is_off() { is_off 1 || is_off 2; }
shown "one of two that are cut from each other is reset by its own watchdog" one_is_off
sleep 3
off=$(is_off 1 && echo 1; is_off 2 && echo 2)
is "$(wc -w <<<"$off")" 1 "... and only one"
n=$((3 - ${off%% *}))
for g in g1 g2; do
    shown "$g runs on the other" runs_on $n $g h$n
    is "$(copies $g)" 1 "... once"
done
is "$(field $n hosts -- ".[] | select(.name == \"h${off%% *}\") | .fenced_by")" watchdog "... on the watchdog's word"
ok "$(not_fired $n; echo $?)" "... whose own has not fired"

# Together again; then the power of the one that runs both fails, without a word to anybody.
heal
power_on "${off%% *}"
start_qdevice "${off%% *}"
shown "booted again it is in" settled "$n" 2
wait_for "its device votes" has_votes "$n" 3
shown "... and armed" armed
other=${off%% *}
for link in 0 1; do
    within "$n" ip link set "eth$link" down
done
power_off "$n"
for g in g1 g2; do
    shown "after a power cut $g runs on the other" runs_on "$other" $g "h$other"
done
ok "$(not_fired "$other"; echo $?)" "... whose watchdog did not fire while it waited for the device"
the_end

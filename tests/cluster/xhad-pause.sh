#!/bin/bash
# A dom0 stands still while its hypervisor and its guests go on. For a moment: nothing comes of it. For long: it is lost,
# the power switch makes sure of it, and its domain runs elsewhere, once.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

long_story

# freeze HOST, thaw HOST: dom0's processes, but not the hypervisor's, which watches the timers
freeze() {
    signal "$1" corosync STOP
    signal "$1" xhad STOP
}
thaw() {
    signal "$1" xhad CONT
    signal "$1" corosync CONT
}

# What is known of a host that was lost a moment ago is that it runs.
runs_elsewhere() { # ASKED NAME THAN
    runs "$1" "$2" && [ "$(host_of "$1" "$2")" != "$3" ]
}

xhads_up 3
ha 1 arm >"$T/said" 2>&1
protect 1 g1
owner=$(host_of 1 g1)
n=${owner#h}
other=$((n % 3 + 1))
id=$(domid "$n" g1)

freeze "$n"
sleep 0.4
thaw "$n"
shown "after a moment all is as it was" settled "$other" 3
is "$(domid "$n" g1) $(copies g1)" "$id 1" "... and the domain has not noticed"
ok "$([ ! -e "$T/power/log" ]; echo $?)" "... nor was anybody fenced"

freeze "$n"
shown "one that stands still is fenced" is_off "$n"
shown "its domain runs again, on another host" runs_elsewhere "$other" g1 "$owner"
is "$(copies g1)" 1 "... once"

power_on "$n"
shown "booted again it is in" settled "$n" 3
is "$(copies g1)" 1 "... and starts nothing twice"

# Only xhad hangs. Corosync sees its host, so nobody takes its domain; but its watchdog does not wait for ever.
owner=$(host_of "$other" g1)
n=${owner#h}
other=$((n % 3 + 1))
signal "$n" xhad STOP
shown "an xhad that hangs is reset by its watchdog" is_off "$n"
shown "... and its domain runs again, on another host" runs_elsewhere "$other" g1 "$owner"
is "$(copies g1)" 1 "... once"
the_end

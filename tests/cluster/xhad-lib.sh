# xhad-lib.sh: the words of stories in which every host of lib.sh's clusters runs xhad, against a hypervisor of its
# own that is simulated (tests/daemon/sim). A power switch stands beside the hosts: fence-story, the fence agent, asks
# it to cut a host's power, and a watchdog that fires cuts that of its own host.
# shellcheck shell=bash

# shellcheck source=tests/cluster/lib.sh
. "${XHA_SRC:?}/tests/cluster/lib.sh"

sim=$XHA_BUILD/tests/daemon/xhad-sim
switch_pid=
mkdir "$T/power" "$T/xen" "$T/policy"

# ---- power --------------------------------------------------------------------------------------------------

# The switch: cuts what is asked for by a file, and says so by another one. It runs beside the story of that number.
power_switch() {
    local file host
    trap - EXIT INT TERM
    while sleep 0.05 && kill -0 "$1"; do
        for file in "$T"/power/*.cut; do
            [ -e "$file" ] || continue
            host=${file##*/}
            host=${host%.cut}
            kill -9 "$(cat "$T/power/$host.init")" 2>/dev/null
            echo "$EPOCHREALTIME $host" >>"$T/power/log"
            mv "$file" "$T/power/$host.off"
        done
    done
}

# power_off N: the host's power goes, by nobody's order
power_off() {
    stop_world "$1"
    touch "$T/power/h$1.off"
}

# is_off N: was it cut by the switch?
is_off() { [ -e "$T/power/h$1.off" ]; }

# cut_at N: when the switch cut it, in ms; 0: never
cut_at() {
    local at
    at=$(sed -n "s/^\([0-9.,]*\) h$1\$/\1/p" "$T/power/log" 2>/dev/null | tail -n 1)
    at=${at//[.,]/}
    echo $((${at:-0} / 1000))
}

# A boot of its own for the host: its boot id, and what its hypervisor has forgotten.
boot() {
    local d=$T/h$1
    rm -rf "$d/sim/domains" "$d/sim/timers" "$d/sim/fired" "$d/sim/hypervisor"
    cp /proc/sys/kernel/random/uuid "$d/boot_id"
    within "$1" mount --bind "$d/boot_id" /proc/sys/kernel/random/boot_id
    echo "${init[$1]}" >"$T/power/h$1.init"
    rm -f "$T/power/h$1.off"
    echo "touch $T/power/h$1.cut" >"$d/sim/watchdog-fires"
}

# power_on N: booted again, with corosync and xhad
power_on() {
    stop_world "$1" # what the switch has left of it
    revive_host "$1"
    boot "$1"
    wait_for "corosync of host $1 runs" within "$1" corosync-quorumtool -s >/dev/null 2>&1
    xhad_start "$1"
}

# ---- xhad ---------------------------------------------------------------------------------------------------

# settings N [LINE...]: xhad.conf of host N; later lines stand instead of earlier ones of that name
settings() {
    local n=$1 i line d=$T/h$1
    shift
    {
        for line in 'cluster = true;' 'heartbeat_interval = 0.2;' 'probe_window = 0.4;' 'vanish_grace = 1;' \
            'hold_max = 2;' 'alarm_rate = 100;' "detection = $detection;"; do
            case " $*" in *" ${line%% *} ="*) ;; *) echo "$line" ;; esac
        done
        echo "helper = \"$sim\"; run_dir = \"$d/run\"; state_dir = \"$d/state\"; policy_dir = \"$d/policy\";"
        echo "checkpoint_dir = \"$T/checkpoints\"; alarm_dir = \"$d/alarm.d\"; key_file = \"$T/files$sysconf/cluster.key\";"
        if [ -z "${no_fence:-}" ]; then
            echo "fence = ("
            for ((i = 1; i <= hosts; i++)); do
                [ "$i" = "$n" ] || echo "  { host = \"h$i\"; agent = \"$XHA_SRC/tests/cluster/fence-story\"; retries = 0;" \
                    "plug = \"h$i\"; timeout = 10; options = { ip = \"$T/power\"; }; },"
            done | sed '$ s/,$//'
            echo ");"
        fi
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$d/xhad.conf"
}

xhad_start() { # HOST
    local d=$T/h$1
    [ -e "$d/xhad.conf" ] || settings "$1"
    launch "$1" xhad /dev/null "$d/log" "$d/log" env XHA_SIM_DIR="$d/sim" "$XHA_BUILD/xhad/xhad" -f -c "$d/xhad.conf"
}

xhad_stop() { # HOST [SIGNAL]
    signal "$1" xhad "${2:-TERM}"
    wait_for "xhad of host $1 ends" is_gone "$1" xhad
}

# xhads_up N [SETTING...]: a cluster of N hosts with xhad, all of which have the same state
xhads_up() {
    local i n=$1
    shift
    cluster_up "$n"
    power_switch $$ >/dev/null 2>&1 </dev/null &
    switch_pid=$!
    for ((i = 1; i <= n; i++)); do
        settings "$i" "$@"
        boot "$i"
        xhad_start "$i"
    done
    for ((i = 1; i <= n; i++)); do
        wait_for "xhad of host $i is settled with $n" settled "$i" "$n" || exit 1
    done
}

the_end() {
    local i
    for ((i = 1; i <= hosts; i++)); do
        is "$(grep -c 'AddressSanitizer\|LeakSanitizer\|runtime error:\|Assertion' "$T/h$i/log")" 0 \
            "nothing is wrong with the memory of host $i's xhad"
    done
    [ -z "$switch_pid" ] || kill "$switch_pid" 2>/dev/null
    finish
    exit
}

# ha N COMMAND...: xl-ha on host N
ha() {
    local d=$T/h$1
    shift
    "$xl_ha" --socket "$d/run/control.sock" --timeout 40 "$@"
}

# field N COMMAND... -- FILTER: of the JSON that xl-ha says on host N; "" when it says none
field() {
    local n=$1 words=()
    shift
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    ha "$n" --json "${words[@]}" 2>/dev/null | jq -r "$2" 2>/dev/null
}

# ask HOST REQUEST PATH: of what xhad itself answers
ask() { "$XHA_BUILD/tests/daemon/poke" "$T/h$1/run/control.sock" ask "$2" "$3" 2>/dev/null; }

settled() { # HOST N
    local said
    said=$("$XHA_BUILD/tests/daemon/poke" "$T/h$1/run/control.sock" ask '{"cmd":"cluster"}' 2>/dev/null |
        jq -r '.result | "\(.synced) \(.settled) \(.quorate) \(.members|length)"' 2>/dev/null)
    [ "$said" = "true true true $2" ]
}

isnt() { # GOT UNWANTED WHAT
    test "$1" != "$2"
    ok $? "$3"
    [ "$1" != "$2" ] || echo "# it is $1"
}

# ---- guests -------------------------------------------------------------------------------------------------

# policy NAME [LINE...]: its xl.cfg and policy, where every host finds them
policy() {
    local name=$1 line
    shift
    printf '%s\n' "name = \"$name\"" "uuid = \"$(uuid_of "$name")\"" "memory = ${mem:-128}" 'vcpus = 1' >"$T/xen/$name.cfg"
    {
        for line in "config = \"$T/xen/$name.cfg\";" 'heartbeat_timeout = 1;' 'boot_grace = 5;' 'backoff_min = 0;' \
            'backoff_max = 0;'; do
            case " $*" in *" ${line%% *} ="*) ;; *) echo "$line" ;; esac
        done
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$T/policy/$name.conf"
}

uuid_of() { # the same for a name, each time
    local sum
    sum=$(printf '%s' "$1" | md5sum)
    echo "${sum:0:8}-${sum:8:4}-4${sum:13:3}-a${sum:17:3}-${sum:20:12}"
}

# protect N NAME [LINE...]: policy, protection by host N, and until it runs somewhere
protect() {
    local n=$1 name=$2
    shift
    policy "$@"
    ha "$n" protect "$T/policy/$name.conf" >"$T/said" 2>&1 || ok 1 "$name is protected: $(cat "$T/said")"
    wait_for "$name runs" runs "$n" "$name"
}

# What host N says of the guest: its state, and the host that has it
state_of() { field "$1" list -- ".[] | select(.name == \"$2\") | .state"; }
host_of() { field "$1" list -- ".[] | select(.name == \"$2\") | .host // \"none\""; }
runs() { [ "$(state_of "$1" "$2")" = running ]; }
runs_on() { [ "$(state_of "$1" "$2") $(host_of "$1" "$2")" = "running $3" ]; } # ASKED NAME HOST
copies() { # NAME: on all hosts that have power
    local i n=0
    for ((i = 1; i <= hosts; i++)); do
        is_up "$i" && ! is_off "$i" && [ -d "$T/h$i/sim/domains" ] &&
            n=$((n + $(XHA_SIM_DIR=$T/h$i/sim "$sim" ctl list | awk -v n="$1" '$2 == n' | wc -l)))
    done
    echo $n
}
domid() { XHA_SIM_DIR=$T/h$1/sim "$sim" ctl get "$2" domid 2>/dev/null; } # HOST NAME
moving() { [ "$(field "$1" list -- ".[] | select(.name == \"$2\") | .phase")" = moving ]; } # ASKED NAME
begun_on() { grep -c "^[0-9.]* work $2 $3 " "$T/h$1/sim/trace"; }                         # HOST VERB NAME

# lib.sh: the words of the daemon's stories. A story is a script that begins with
#     . "${XHA_SRC:?}/tests/daemon/lib.sh"
# and ends with `the_end`. It runs the built xhad and xl-ha over the real control socket, against a simulated
# hypervisor (sim/sim.h) in a directory of its own; so stories run side by side. Whatever happens, all that it
# started is gone afterwards; when it failed, xhad's log is shown.
# shellcheck shell=bash

# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"
set -u

T=$(mktemp -d "${TMPDIR:-/tmp}/xhad-story.XXXXXX") # the story's own world
export XHA_SIM_DIR=$T/sim
sock=$T/run/control.sock
sim=${XHA_BUILD:?}/tests/daemon/xhad-sim
poke=$XHA_BUILD/tests/daemon/poke
xhad_pid=
mkdir "$T/sim" "$T/policy" "$T/alarm.d" "$T/xen"
touch "$T/log" "$T/alarms" "$T/sim/pids" "$T/sim/trace"

# Seconds that things may take: valgrind is slow.
patience=10
[ -z "${XHA_WRAP:-}" ] || patience=40

# Under valgrind not everything needs to be told once more.
long_story() {
    [ -z "${XHA_SHORT:-}" ] || {
        echo "1..0 # SKIP not told when XHA_SHORT is set"
        exit 0
    }
}

# ---- the end ------------------------------------------------------------------------------------------------

# Is the process PID still one of this story's?
is_ours() {
    grep -qzx "XHA_SIM_DIR=$XHA_SIM_DIR" "/proc/$1/environ" 2>/dev/null
}

clean_up() {
    local status=$? pid
    if [ -n "$xhad_pid" ]; then
        kill -9 "$xhad_pid" 2>/dev/null
        wait "$xhad_pid" 2>/dev/null
    fi
    while read -r pid; do
        is_ours "$pid" && kill -9 "$pid" 2>/dev/null
    done <"$T/sim/pids"
    if [ "$tap_failed" -gt 0 ] || [ "$status" -ne 0 ]; then
        tail -n 80 "$T/log" | sed 's/^/# log: /'
        tail -n 40 "$T/sim/trace" | sed 's/^/# sim: /'
    fi
    rm -rf "$T"
}
trap clean_up EXIT

# ---- xhad ---------------------------------------------------------------------------------------------------

# settings [LINE...]: xhad.conf, quick to judge; later lines stand instead of earlier ones of that name
settings() {
    local line
    {
        for line in 'heartbeat_interval = 0.2;' 'probe_window = 0.4;' 'vanish_grace = 1;' 'hold_max = 2;' \
            'alarm_rate = 100;'; do
            case " $*" in *" ${line%% *} ="*) ;; *) echo "$line" ;; esac
        done
        echo "helper = \"$sim\"; run_dir = \"$T/run\"; state_dir = \"$T/state\"; policy_dir = \"$T/policy\";"
        echo "checkpoint_dir = \"$T/checkpoints\"; alarm_dir = \"$T/alarm.d\";"
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$T/xhad.conf"
}

# launch [COMMAND...]: starts xhad, behind COMMAND if given, without waiting for it
launch() {
    [ -f "$T/xhad.conf" ] || settings
    # shellcheck disable=SC2086
    "$@" ${XHA_WRAP:-} "$XHA_BUILD/xhad/xhad" -f -c "$T/xhad.conf" >>"$T/log" 2>&1 </dev/null &
    xhad_pid=$!
}

answers() { [ -S "$sock" ] && "$poke" "$sock" ask '{"cmd":"version"}' >/dev/null 2>&1; }

# start_xhad [COMMAND...]: ... until it answers
start_xhad() {
    launch "$@"
    eventually $patience answers || {
        echo "Bail out! xhad does not answer"
        exit 1
    }
}

# kill_xhad [SIGNAL]: until it is gone; sets xhad_status
kill_xhad() {
    kill "-${1:-KILL}" "$xhad_pid"
    xhad_ended
}
# ... or is killed for not ending: status 137
xhad_ended() {
    local guard
    (sleep $patience && kill -9 "$xhad_pid") >/dev/null 2>&1 &
    guard=$!
    wait "$xhad_pid" 2>/dev/null
    # shellcheck disable=SC2034 # for the stories
    xhad_status=$?
    xhad_pid=
    pkill -P "$guard" 2>/dev/null
    kill "$guard" 2>/dev/null
    wait "$guard" 2>/dev/null
}

# The last word of a story: xhad, told to end, ends well, without a complaint of a sanitizer (valgrind's is the status).
the_end() {
    if [ -n "$xhad_pid" ]; then
        kill_xhad TERM
        is "$xhad_status" 0 "xhad ends well"
    fi
    is "$(grep -c 'AddressSanitizer\|LeakSanitizer\|runtime error:\|Assertion' "$T/log")" 0 "nothing is wrong with its memory"
    finish
}

# ask REQUEST [PATH]: one request over the socket, and the member of the answer at PATH
ask() { "$poke" "$sock" ask "$@"; }
ha() { "$XHA_BUILD/xl-plugins/xl-ha" --socket "$sock" --timeout 40 "$@"; }

# ---- guests -------------------------------------------------------------------------------------------------

# The hypervisor's side: crash NAME, get NAME domid, list, … (sim/ctl.c)
sim() { "$sim" ctl "$@"; }
domid() { sim get "$1" domid 2>/dev/null; }
copies() { sim list | awk -v n="$1" '$2 == n' | wc -l; } # how many domains of that name there are

# knob NAME [LINE]: turns a knob of the simulated hypervisor (sim/sim.h); without LINE: back again
knob() {
    if [ $# -eq 1 ]; then
        rm -f "$T/sim/$1" "$T/sim/$1.once"
    else
        echo "$2" >"$T/sim/.knob" && mv "$T/sim/.knob" "$T/sim/$1"
    fi
}

# begun VERB NAME: how many workers of that verb and domain have begun
begun() { grep -c "^[0-9.]* work $* " "$T/sim/trace"; }
begun_is() { test "$(begun "$1" "$2")" "$3" "$4"; } # begun_is start g1 -ge 2

# cfg NAME [LINE...]: its xl.cfg
cfg() {
    local name=$1
    shift
    printf '%s\n' "name = \"$name\"" 'memory = 128' 'vcpus = 1' "$@" >"$T/xen/$name.cfg"
}

# policy NAME [LINE...]: xl.cfg and policy; later lines stand instead of earlier ones of that name
policy() {
    local name=$1 line
    shift
    [ -f "$T/xen/$name.cfg" ] || cfg "$name"
    {
        for line in "config = \"$T/xen/$name.cfg\";" 'heartbeat_timeout = 1;' 'boot_grace = 5;' 'backoff_min = 0;' \
            'backoff_max = 0;'; do
            case " $*" in *" ${line%% *} ="*) ;; *) echo "$line" ;; esac
        done
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$T/${policy_in:-elsewhere}/$name.conf"
}
mkdir "$T/elsewhere" # policies that only `protect` takes

# protect NAME [LINE...]: policy, protection, and until it is ready
protect() {
    policy "$@"
    ha protect "$T/elsewhere/$1.conf" >/dev/null || ok 1 "$1 is protected"
    wait_state "$1" running
}

# ---- what is so ---------------------------------------------------------------------------------------------

# eventually SECONDS COMMAND...: tries until it succeeds
eventually() {
    local end=$((${EPOCHREALTIME//[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME//[.,]/}" -lt "$end" ] || return 1
        sleep 0.03
    done
}

# field NAME FIELD: from a domain's entry in the list
field() { "$poke" "$sock" until "$1" "$2" '' 0; }
state() { field "$1" state; }

# wait_state NAME STATE[|STATE] [SECONDS]: a test of its own
wait_state() {
    local got
    got=$("$poke" "$sock" until "$1" state "$2" $((${3:-$patience} * 1000)))
    ok $? "$1 is $2"
    case "|$2|" in *"|$got|"*) ;; *) echo "# $1 is '$got'" ;; esac
}

# comes_back NAME N: its Nth start has begun and it is ready; tests of their own
comes_back() {
    eventually $patience begun_is start "$1" -ge "$2"
    ok $? "$1 is started, the time being number $2"
    wait_state "$1" running
}

# holds SECONDS COMMAND...: it succeeds all the while
holds() {
    local end=$((${EPOCHREALTIME//[.,]/} + ${1/./} * 100000))
    shift
    while [ "${EPOCHREALTIME//[.,]/}" -lt "$end" ]; do
        "$@" || return 1
        sleep 0.05
    done
}

# Every alarm becomes a line: KIND SEVERITY DOMAIN STATE TEXT
cat >"$T/alarm.d/note" <<END
#!/bin/sh
echo "\$XHA_ALARM_KIND \$XHA_SEVERITY \${XHA_DOMAIN:--} \${XHA_STATE:--} \$XHA_TEXT" >>"$T/alarms"
END
chmod 755 "$T/alarm.d/note"
alarms() { grep -c -e "$1" "$T/alarms"; } # how many match
alarm_is_there() { grep -q -e "$1" "$T/alarms"; }
# alarmed REGEX [WHAT]: a test of its own
alarmed() {
    eventually $patience alarm_is_there "$1"
    ok $? "alarm: ${2:-$1}"
}
logged() { grep -q -e "$1" "$T/log"; }

# has TEXT PART WHAT: a test of its own
has() {
    case $1 in
    *"$2"*) ok 0 "$3" ;;
    *)
        ok 1 "$3"
        echo "# got: ${1//$'\n'/$'\n'# got: }"
        ;;
    esac
}

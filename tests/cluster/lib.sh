# lib.sh: the words of the cluster's stories. A story is a script that begins with
#     . "${XHA_SRC:?}/tests/cluster/lib.sh"
# and ends with `the_end`. Its hosts are numbered from 1; each has namespaces of its own for network, mounts and
# processes, with private /run, /dev/shm, /etc/corosync and /var/lib/corosync, so that real corosyncs live side
# by side and nothing of this machine is touched. The hosts hang on two bridges in one more namespace. A host's
# files lie in $T/hN. Killing the first process of a host's namespace is its power cut, and the clean-up too.
# shellcheck shell=bash

# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"
set -u

if [ "$(id -u)" -ne 0 ]; then
    echo "1..1"
    echo "not ok 1 - the cluster's stories need root, for namespaces: run the checks as root"
    exit 1
fi
PATH=$PATH:/usr/sbin:/sbin
for program in corosync corosync-quorumtool ip unshare nsenter "${XHA_BUILD:?}/xl-plugins/xl-ha"; do
    command -v "$program" >/dev/null || {
        echo "1..1"
        echo "not ok 1 - $program is not here: run 'tests/need-packages check' as root, and make"
        exit 1
    }
done

not_told() {
    echo "1..0 # SKIP not told when XHA_SHORT is ${XHA_SHORT:-}"
    exit 0
}

# Under the sanitizers not everything needs to be told once more: what only takes time, on paths that another story
# goes, too.
long_story() {
    [ -z "${XHA_SHORT:-}" ] || not_told
}

# The stories have been told of this code. That the tarball has all that they need, one of each kind shows.
if [ "${XHA_SHORT:-}" = tarball ]; then
    case ${0##*/} in
    engine-order.sh | xhad-failover.sh | xl-ha-cluster.sh) ;;
    *) not_told ;;
    esac
fi

T=$(mktemp -d "${TMPDIR:-/tmp}/xhad-cluster.XXXXXX") # the story's own world
xl_ha=$XHA_BUILD/xl-plugins/xl-ha
hosts=0       # how many
init=()       # by host: first process of its namespaces; [0] is the bridges'
outer=()      # the unshare that started it; it goes with that
detection=1.5 # seconds to the loss of a host
qdevice=
patience=30   # seconds that things may take at most

# Where xl-ha has its settings and key; it need not be there, so what is above it becomes an overlay.
sysconf=$("$xl_ha" cluster init -N x a=1 b=2 | sed -n 's|^would write \(.*\)/cluster.key .*|\1|p')
above=$sysconf
until [ -d "$above/" ]; do
    above=${above%/*}
done

# ---- the end ------------------------------------------------------------------------------------------------

clean_up() {
    local status=$? i
    for i in "${!init[@]}"; do
        stop_world "$i"
    done
    if [ "$tap_failed" -gt 0 ] || [ "$status" -ne 0 ]; then
        for ((i = 1; i <= hosts; i++)); do
            grep -vE 'KNET|Q empty' "$T/h$i/corosync.log" 2>/dev/null | tail -n 12 | sed "s/^/# h$i corosync: /"
            tail -n 40 "$T/h$i/log" 2>/dev/null | command cut -c 1-300 | sed "s/^/# h$i: /"
        done
    fi
    rm -rf "$T"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

the_end() {
    finish
    exit
}

# ---- namespaces ---------------------------------------------------------------------------------------------

# start_world I SCRIPT: namespaces whose first process runs SCRIPT, then reaps what is left to it
start_world() {
    local i=$1 tries=0
    rm -f "$T/ready.$i"
    unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash -c "
        set -e
        ip link set lo up
        $2
        touch '$T/ready.$i'
        while :; do sleep 1000 & wait \$! || :; done" >>"$T/world.log" 2>&1 </dev/null &
    outer[i]=$!
    until [ -e "$T/ready.$i" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 "${outer[i]}" 2>/dev/null; then
            echo "Bail out! no namespaces for host $i: $(tail -n 3 "$T/world.log")"
            exit 1
        fi
        sleep 0.05
    done
    read -r 'init[i]' _ <"/proc/${outer[i]}/task/${outer[i]}/children"
}

stop_world() {
    [ -n "${init[$1]:-}" ] || return 0
    kill -9 "${init[$1]}" 2>/dev/null
    wait "${outer[$1]}" 2>/dev/null
    init[$1]=
}

# within I COMMAND...: in the namespaces of host I (0: the bridges')
within() {
    local i=$1
    shift
    nsenter --target "${init[i]}" --net --mount --pid -- "$@"
}

is_up() {
    [ -n "${init[$1]:-}" ]
}

bridges() {
    start_world 0 "ip link add br0 type bridge forward_delay 0; ip link set br0 up
        ip link add br1 type bridge forward_delay 0; ip link set br1 up"
}

plug() { # HOST LINK
    # Not in that world's own numbering of processes: the netns is named by ours.
    nsenter --target "${init[0]}" --net ip link add "v$1.$2" type veth peer name "eth$2" netns "${init[$1]}"
    within 0 ip link set "v$1.$2" master "br$2" up
    within "$1" ip link set "eth$2" address "$(mac "$1" "$2")"
    within "$1" ip addr add "10.77.$2.$1/24" dev "eth$2"
    within "$1" ip link set "eth$2" up
}

mac() { # HOST LINK
    printf '02:00:00:77:%02x:%02x' "$2" "$1"
}

# start_host N: its namespaces and links; nothing runs in it yet
start_host() {
    local d=$T/h$1
    mkdir -p "$d/etc" "$d/xhad" "$d/lib" "$d/run" "$d/state" "$d/sim" "$d/policy" "$d/alarm.d" "$d/shared" "$d/disks" "$T/disks"
    touch "$d/log" "$d/sim/pids" "$d/sim/trace"
    start_world "$1" "
        mount -t tmpfs none /run
        mount -t tmpfs none /dev/shm
        mkdir -p /run/corosync /run/over/up /run/over/work
        mount -t overlay none -o lowerdir='$above',upperdir=/run/over/up,workdir=/run/over/work '$above'
        mkdir -p '$sysconf' && mount --bind '$d/xhad' '$sysconf'
        mount --bind '$d/disks' '$T/disks'
        mount --bind '$d/etc' /etc/corosync
        mount --bind '$d/lib' /var/lib/corosync"
    plug "$1" 0
    plug "$1" 1
}

# ---- corosync -----------------------------------------------------------------------------------------------

# make_conf N: corosync.conf and the keys for hosts 1 to N, as xl-ha writes them, in $T/files
make_conf() {
    local i nodes=()
    for ((i = 1; i <= $1; i++)); do
        nodes+=("h$i=10.77.0.$i,10.77.1.$i")
    done
    rm -rf "$T/files"
    "$xl_ha" cluster init --root "$T/files" --detection "$detection" ${qdevice:+--qdevice "$qdevice"} \
        story "${nodes[@]}" >"$T/init.log" || exit 1
    sed -i 's/to_syslog: yes/to_syslog: no\n    to_stderr: yes/; s/timestamp: on/timestamp: hires/' \
        "$T/files/etc/corosync/corosync.conf"
    sed -i 's/tls: on/tls: off/' "$T/files/etc/corosync/corosync.conf"
}

# launch HOST NAME INPUT OUTPUT LOG COMMAND...: in the background, as a child of the host's first process; its
# number there is in NAME.pid
launch() {
    # shellcheck disable=SC2016
    within "$1" sh -c 'name=$1 input=$2 output=$3 log=$4; shift 4
        setsid "$@" <>"$input" >>"$output" 2>>"$log" &
        echo $! >"$name.pid"' sh "$T/h$1/$2" "${@:3}"
}

start_corosync() { # HOST
    local d=$T/h$1
    [ -e "$d/etc/corosync.conf" ] || cp -p "$T"/files/etc/corosync/* "$d/etc/"
    launch "$1" corosync /dev/null "$d/corosync.log" "$d/corosync.log" corosync -f
}

# The quorum device: corosync-qnetd on a machine of its own, number $device, and corosync-qdevice on each host. Without
# TLS, whose certificates are no business of ours.
device=9

start_qnetd() {
    start_host $device
    launch $device qnetd /dev/null "$T/h$device/log" "$T/h$device/log" sh -c \
        'mkdir -p /run/corosync-qnetd && exec corosync-qnetd -f -s off'
}

start_qdevice() { # HOST
    launch "$1" qdevice /dev/null "$T/h$1/qdevice.log" "$T/h$1/qdevice.log" sh -c \
        'mkdir -p /run/corosync-qdevice && exec corosync-qdevice -f'
}

# has_votes HOST N: its corosync counts so many
has_votes() {
    [ "$(within "$1" corosync-quorumtool -s 2>/dev/null | sed -n 's/^Total votes: *//p')" = "$2" ]
}

# signal HOST NAME SIGNAL: to the process of that host which wrote NAME.pid
signal() {
    within "$1" kill "-$3" "$(cat "$T/h$1/$2.pid")" 2>/dev/null
}

# pid_outside HOST NAME: the number that this shell has for the process which wrote NAME.pid
pid_outside() {
    local p inside
    inside=$(cat "$T/h$1/$2.pid")
    for p in /proc/[0-9]*; do
        [ "$p/ns/pid" -ef "/proc/${init[$1]}/ns/pid" ] || continue
        grep -q "^NSpid:.*[[:space:]]$inside\$" "$p/status" 2>/dev/null && echo "${p#/proc/}" && return
    done
}

# signal_both HOST HOST NAME SIGNAL: the same to two hosts' at one moment
signal_both() {
    kill "-$4" "$(pid_outside "$1" "$3")" "$(pid_outside "$2" "$3")"
}

is_gone() { # HOST NAME
    ! signal "$1" "$2" 0
}

stop_corosync() {
    signal "$1" corosync TERM
    wait_for "corosync of host $1 ends" is_gone "$1" corosync
}

kill_corosync() {
    signal "$1" corosync KILL
    wait_for "corosync of host $1 is dead" is_gone "$1" corosync
}

# cluster_up N: N hosts with corosync; they see each other when it returns
cluster_up() {
    local i
    hosts=$1
    bridges
    make_conf "$hosts"
    for ((i = 1; i <= hosts; i++)); do
        start_host "$i"
    done
    for ((i = 1; i <= hosts; i++)); do
        start_corosync "$i"
    done
    for ((i = 1; i <= hosts; i++)); do
        wait_for "corosync of host $i sees $hosts" sees "$i" "$hosts" || exit 1
    done
    [ -n "$qdevice" ] || return 0
    start_qnetd
    for ((i = 1; i <= hosts; i++)); do
        start_qdevice "$i"
    done
    for ((i = 1; i <= hosts; i++)); do
        wait_for "corosync of host $i has its device's vote" has_votes "$i" $((hosts + 1)) || exit 1
    done
}

# sees HOST N: its corosync counts N members
sees() {
    [ "$(within "$1" corosync-quorumtool -s 2>/dev/null | sed -n 's/^Nodes: *//p')" = "$2" ]
}

# kill_host N: a power cut
kill_host() { stop_world "$1"; }

# revive_host N: it is booted again; what was on its disk is there, what was in memory is not
revive_host() {
    rm -rf "$T/h$1/run" "$T/h$1"/*.pid
    start_host "$1"
    start_corosync "$1"
}

# pause, resume HOST: everything that runs on it stands still
pause() { within "$1" kill -STOP -1; }
resume() { within "$1" kill -CONT -1; }

# ---- cuts ---------------------------------------------------------------------------------------------------
# What a host sends to another goes to an address that nobody has, and is lost.

# cut_one_way FROM TO [LINK...]
cut_one_way() {
    local from=$1 to=$2 link
    shift 2
    [ $# -gt 0 ] || set -- 0 1
    for link in "$@"; do
        within "$from" ip neigh replace "10.77.$link.$to" lladdr 02:00:00:00:00:00 nud permanent dev "eth$link"
    done
}

cut() { # A B [LINK...]
    local a=$1 b=$2
    shift 2
    cut_one_way "$a" "$b" "$@"
    cut_one_way "$b" "$a" "$@"
}

join() { # A B
    local link
    for link in 0 1; do
        within "$1" ip neigh del "10.77.$link.$2" dev "eth$link" 2>/dev/null
        within "$2" ip neigh del "10.77.$link.$1" dev "eth$link" 2>/dev/null
    done
    return 0
}

# partition "1 2" "3": nothing gets from one group to another
partition() {
    local a b
    for a in $1; do
        for b in $2; do
            cut "$a" "$b"
        done
    done
}

heal() {
    local a b
    for ((a = 1; a <= hosts; a++)); do
        for ((b = a + 1; b <= hosts; b++)); do
            ! is_up "$a" || ! is_up "$b" || join "$a" "$b"
        done
    done
}

# ---- waiting ------------------------------------------------------------------------------------------------

# wait_for WHAT COMMAND...: until it succeeds; says what was waited for when it never does
wait_for() {
    local what=$1 end=$((SECONDS + patience))
    shift
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            echo "# waited $patience s in vain: $what"
            return 1
        fi
        sleep 0.1
    done
}

# shown WHAT COMMAND...: the same as a test
shown() {
    wait_for "$@"
    ok $? "$1"
}

# ---- engine-probe -------------------------------------------------------------------------------------------

probe_start() { # HOST
    local d=$T/h$1
    rm -f "$d/in"
    mkfifo "$d/in"
    launch "$1" probe "$d/in" "$d/out" "$d/log" "${XHA_BUILD:?}/tests/cluster/engine-probe"
}

probes_start() {
    local i
    for ((i = 1; i <= hosts; i++)); do
        probe_start "$i"
    done
}

tell() { # HOST WORD...
    local i=$1
    shift
    echo "$*" >"$T/h$i/in"
}

# heard HOST PATTERN: a line of its output since the last `forget`
heard() {
    grep -qE "$2" "$T/h$1/out"
}

forget() {
    local i
    for ((i = 1; i <= hosts; i++)); do
        : >"$T/h$i/out"
    done
}

# last_view HOST: what its newest view says, but for its id
members() { # HOST
    sed -n 's/^view .*members=\([0-9,]*\) .*/\1/p' "$T/h$1/out" | tail -n 1
}

view_id() { # HOST
    sed -n 's/^view \([0-9a-f]*\) .*/\1/p' "$T/h$1/out" | tail -n 1
}

has_members() { # HOST LIST
    [ "$(members "$1")" = "$2" ]
}

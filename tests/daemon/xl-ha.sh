#!/bin/bash
# The shipped xl-ha and the shipped xhad, on a simulated hypervisor: every command, what it prints, and what is so
# afterwards.
# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"

tmp=$(mktemp -d)
xhad_pid=
at_end() {
    [ -z "$xhad_pid" ] || kill "$xhad_pid" 2>/dev/null
    wait
    rm -rf "$tmp"
}
trap at_end EXIT
export XHA_SIM_DIR=$tmp/sim TZ=UTC
mkdir "$tmp"/{sim,run,state,policies,checkpoints,alarms}
cat >"$tmp/xhad.conf" <<EOF
helper = "$XHA_BUILD/tests/daemon/xhad-sim";
run_dir = "$tmp/run";
state_dir = "$tmp/state";
policy_dir = "$tmp/policies";
checkpoint_dir = "$tmp/checkpoints";
alarm_dir = "$tmp/alarms";
heartbeat_interval = 0.2;
EOF
for g in web db; do
    printf 'name = "%s"\nmemory = 128\nvcpus = 1\ntype = "pvh"\n' $g >"$tmp/$g.cfg"
done
printf 'config = "%s/web.cfg";\nheartbeat_timeout = 2;\n' "$tmp" >"$tmp/web.conf"
cat >"$tmp/db.conf" <<EOF
config = "$tmp/db.cfg";
heartbeat_timeout = 2;
protection = "checkpoint";
disks = "unsafe";
checkpoint: { interval = 0; keep = 2; };
sched: { weight = 512; };
EOF

# ha ARGUMENT...: sets out (both outputs) and code
ha() {
    # shellcheck disable=SC2086
    out=$(${XHA_WRAP:-} "$XHA_BUILD/xl-plugins/xl-ha" --socket "$tmp/run/control.sock" "$@" 2>&1 </dev/null)
    code=$?
}
# says WHAT REGEX ARGUMENT...: the command succeeds and what it prints matches
says() {
    local what=$1 regex=$2
    shift 2
    ha "$@"
    [[ $code = 0 && $out =~ $regex ]]
    told $? "$what"
}
# refuses WHAT CODE REGEX ARGUMENT...
refuses() {
    local what=$1 wanted=$2 regex=$3
    shift 3
    ha "$@"
    [[ $code = "$wanted" && $out =~ $regex ]]
    told $? "$what"
}
told() {
    ok "$1" "$2"
    [ "$1" = 0 ] || printf 'exit code %s\n%s\n' "$code" "$out" | sed 's/^/# /'
}
# The test waits for the world, and says so when it has waited in vain.
eventually() { # COMMAND...
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}
column() { # DOMAIN NUMBER: of xl-ha list
    ha list "$1"
    awk -v n="$2" 'NR == 2 { print $n }' <<<"$out"
}
state_is() { [ "$(column "$1" 4)" = "$2" ]; }
xhad_start() {
    "$XHA_BUILD/xhad/xhad" -f -c "$tmp/xhad.conf" 2>>"$tmp/log" &
    xhad_pid=$!
    eventually test -S "$tmp/run/control.sock"
}
xhad_end() {
    kill "$xhad_pid"
    wait "$xhad_pid"
    xhad_pid=
}

refuses "no xhad" 3 "xhad is not running" list
xhad_start
told $? "xhad listens"

# ---- protection ------------------------------------------------------------------------------------------------

says "version" 'xhad +: [0-9.]+.*xen +: ' version
says "nothing is protected" '^Name +ID +Mem +State +For +Protection +Beat +Restarts$' list
says "-N protect" 'would protect' -N protect "$tmp/web.conf"
says "... and nothing is" '^Name[^
]*$' list
printf 'confg = "/x";\n' >"$tmp/bad.conf"
refuses "a bad policy is refused, with its line" 1 'bad.conf:1: unknown parameter confg; did you mean config' \
    protect "$tmp/bad.conf"
says "protect" 'web is protected' protect "$tmp/web.conf"
says "protect another" 'db is protected' protect "$tmp/db.conf"
eventually state_is web running && eventually state_is db running
told $? "both are started and get ready"
says "list" '
web +[0-9]+ +128 +running .* restart +[0-9.]+s +0
db +[0-9]+ +128 +running .* checkpoint ' list
says "list --json" '"state": "running"' list --json
says "list -l" 'first heartbeat|ready' list -l
says "info" 'policy.heartbeat_timeout +: 2 +# .*web.conf:2' info web
says "status" '2 protected, 2 running' status

# ---- replication, of which a host alone can only say that it needs another ---------------------------------------

says "repl of a domain that is only restarted" 'web is not to be replicated' repl web
printf 'config = "%s/copy.cfg";\nheartbeat_timeout = 2;\nprotection = "replicate";\n' "$tmp" >"$tmp/copy.conf"
printf 'name = "copy"\nmemory = 128\nvcpus = 1\ntype = "pvh"\n' >"$tmp/copy.cfg"
refuses "protect waits for a copy, and says why there is none" 1 'copy is protected
.*has no backup: this host is in no cluster' protect "$tmp/copy.conf"
says "... but it is protected" '
copy +[0-9]+ +128 +running .* replicate +degraded +- +- ' list
says "... with an alarm" 'alarm +copy is to be replicated, but this host is in no cluster' log copy
says "repl" 'copy is degraded: it runs without a backup: this host is in no cluster' repl copy
says "repl --json" '"epochs": \[\]' repl --json copy
says "unprotect it" '' unprotect copy

# ---- orders ----------------------------------------------------------------------------------------------------

says "-N stop" 'would stop web' -N stop web
state_is web running
told $? "... and it runs on"
says "stop" 'web is stopped' stop web
is "$(column web 2)" "-" "... and has no domain id"
refuses "stop once more" 1 'web .*stopped' stop web
says "start" 'web is running \(domain id [0-9]+\)' start web
id=$(column web 2)
says "restart" 'web is running' restart web
[ "$(column web 2)" -gt "$id" ]
told $? "... as another domain"
says "by domain id" 'name +: web' info "$(column web 2)"
says "by UUID" 'name +: web' info "$(ha list -l web && grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' <<<"$out")"
refuses "no such domain" 1 'nobody is no protected domain' stop nobody

# ---- checkpoints -----------------------------------------------------------------------------------------------

refuses "restore without a checkpoint" 1 'no good checkpoint' restore db
state_is db running
told $? "... leaves it running"
says "checkpoint" 'db is running' checkpoint db
says "another" 'db is running' checkpoint db
says "checkpoints" 'Number.*
 +2 .* good
 +1 .* good' checkpoints db
id=$(column db 2)
says "restore by number" 'db is running' restore db 1
[ "$(column db 2)" -gt "$id" ]
told $? "... as another domain"
refuses "restore of a checkpoint that is not there" 1 'no good checkpoint of that number' restore db 77
state_is db running
told $? "... leaves it running"

# ---- scheduling and maintenance --------------------------------------------------------------------------------

says "sched shows the policy's values" 'db +512 +0 +all +policy' sched db
says "sched changes them" 'db is running' sched db -w 99 -c 50
says "... for good" 'db +99 +50 +all +command' sched db
says "sched of all" 'web +256 .*
db +99 ' sched
says "maintenance" 'web is in maintenance' maintenance web on
is "$(column web 4)" "maintenance" "... is its state"
says "maintenance ends" 'no longer in maintenance' maintenance web off
eventually state_is web running
told $? "... and it is running again"
says "maintenance of the host" 'this host is in maintenance' maintenance on
says "... ends" 'this host is no longer' maintenance off
eventually state_is web running && eventually state_is db running
told $? "... and both are running again"

# ---- history ---------------------------------------------------------------------------------------------------

says "log" 'web +running -> stopping' log -n 1000
says "log of one domain" 'db +' log db
[[ $out != *web* ]]
told $? "... and of no other"
says "log --json" '^\{.*\}$' log --json -n 1
says "why" 'web is running since .*
next: ' why web
ha --timeout 0.5 log -f -n 1
is "$code" 5 "log -f ends when its time is up"

# ---- settings --------------------------------------------------------------------------------------------------

says "reload of the same" 'no setting has changed' reload
echo 'parallel = 9;' >>"$tmp/xhad.conf"
says "-N reload" 'would change parallel' -N reload
says "reload" 'changed parallel: 4 -> 9' reload
cp "$tmp/xhad.conf" "$tmp/good"
echo 'max_domains = 9;' >>"$tmp/xhad.conf"
refuses "reload of what cannot change" 1 'max_domains' reload
cp "$tmp/good" "$tmp/xhad.conf"
says "check-config" 'all is well' check-config "$tmp/xhad.conf" "$tmp/web.conf"

# ---- xhad goes and comes back ----------------------------------------------------------------------------------

id=$(column web 2)/$(column db 2)
xhad_end
refuses "xhad is gone" 3 "xhad is not running" list
xhad_start && eventually state_is web running && eventually state_is db running
is "$(column web 2)/$(column db 2)" "$id" "a new xhad finds both as they were"
says "unprotect" 'web is no longer protected' unprotect web
refuses "... and it is forgotten" 1 'web is not protected' list web
is "$(grep -l '"web"' "$tmp"/sim/domains/*.json | wc -l)" 1 "... but runs"
xhad_end
finish

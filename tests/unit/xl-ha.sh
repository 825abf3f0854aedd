#!/bin/sh
# xl-ha against a fake xhad: what it asks, what it prints, how it ends. The answers are in xl-ha/.
# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"

TZ=UTC
export TZ
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
answers=$XHA_SRC/tests/unit/xl-ha
socket=$tmp/socket

# run 'ANSWER...' ARGUMENT...: sets out, err, code and requests
run() {
    files=
    for a in $1; do
        case $a in
        silent | /*) files="$files $a" ;;
        *) files="$files $answers/$a.answer" ;;
        esac
    done
    shift
    rm -f "$tmp/requests"
    # shellcheck disable=SC2086
    "$XHA_BUILD/tests/unit/fake-xhad" "$socket" "$tmp/requests" $files
    # shellcheck disable=SC2086
    ${XHA_WRAP:-} "$XHA_BUILD/xl-plugins/xl-ha" --socket "$socket" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    code=$?
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
    requests=$(cat "$tmp/requests" 2>/dev/null)
}

asks() { # REQUEST WHAT
    is "$requests" "$1" "$2"
}

request() { # CMD ARGS [DRY_RUN WAIT]
    echo "{\"v\":1,\"cmd\":\"$1\",\"args\":$2,\"dry_run\":${3:-false},\"wait\":${4:-false}}"
}

# ---- tables ----------------------------------------------------------------------------------------------------

run list list
is "$out" "$(cat "$answers/list.expect")" "list: the table"
is "$code" 0 "list: exit code"
asks "$(request list '{}')" "list: request"
run list list -l
is "$out" "$(cat "$answers/list-long.expect")" "list -l: the table"
run list list web
is "$(echo "$out" | awk '{ print $1 }' | xargs)" "Name web" "list DOMAIN: by name"
run list list 12
is "$(echo "$out" | awk 'NR > 1 { print $1 }')" "database-of-the-shop" "list DOMAIN: by domain id"
run list list AA3B1C7E-52CD-4E0B-9A4F-0123456789AB
is "$(echo "$out" | awk 'NR > 1 { print $2 }')" "-" "list DOMAIN: by uuid"
run list list nobody
is "$code/$err" "1/xl-ha: nobody is not protected; xl-ha list shows what is" "list DOMAIN: unknown"
run empty-list list
is "$out" "Name  ID  Mem  State  For  Protection  Beat  Restarts" "list: nothing protected"
run info info web
is "$out" "$(cat "$answers/info.expect")" "info: every member, with its unit"
asks "$(request info '{"domain":"web"}')" "info: request"
run status status
is "$out" "$(cat "$answers/status.expect")" "status"
run version version
is "$(echo "$out" | sed 's/  *: /: /' | xargs)" "xl-ha: 0.1.0 xhad: 0.1.0 protocol: 1 xen: 4.17.5" "version"
run checkpoints checkpoints web
is "$out" "$(cat "$answers/checkpoints.expect")" "checkpoints: the table"
run sched sched web
is "$out" "$(cat "$answers/sched.expect")" "sched: the table"
run "list sched sched sched" sched
is "$(echo "$out" | wc -l)/$(echo "$requests" | wc -l)" "4/4" "sched: all domains"
run log log
is "$out" "$(cat "$answers/log.expect")" "log: states, alarms and the rest; control bytes are escaped"
asks "$(request log '{"lines":20,"follow":false}')" "log: request"
run follow log -f -n 7 web
is "$out" "$(cat "$answers/follow.expect")" "log -f: as it comes"
asks "$(request log '{"lines":7,"follow":true,"domain":"web"}')" "log -f: request"
is "$code" 3 "log -f: xhad went away"
run why why web
is "$out" "$(cat "$answers/why.expect")" "why: the story"

# ---- replication -----------------------------------------------------------------------------------------------

run repl-list list
is "$out" "$(cat "$answers/repl-list.expect")" "list: backup and epoch where a domain is replicated"
run repl repl db
is "$out" "$(cat "$answers/repl.expect")" "repl: how it stands and its epochs, with their units"
asks "$(request repl '{"domain":"db","lines":20}')" "repl: request"
run repl repl -v -n 5 db
is "$out" "$(cat "$answers/repl-parts.expect")" "repl -v: the parts of the pause"
asks "$(request repl '{"domain":"db","lines":5}')" "repl -n: request"
run repl repl --json db
is "$(echo "$out" | grep -c '"copy_us": 1500')" 2 "repl --json: the parts, too"
run repl-syncing repl db
is "$out" "db is syncing from h1 to h2: 32768 of 131072 pages, 20M/s, 4.3s to go" "repl: the first copy"
run repl-none repl db
is "$out" "db is degraded: it runs on h1 without a backup: no other host has room for it\\x1b[2J" "repl: no backup, and why"
run repl-bare repl db
is "$out" "db is degraded: it runs on h1 without a backup: one is being looked for" "repl: no backup yet"
run repl-not repl db
is "$out" 'db is not to be replicated: its policy does not say protection = "replicate"' "repl: of another protection"
run "repl repl-later repl-over" repl -f db
is "$out" "$(cat "$answers/repl-follow.expect")" "repl -f: each epoch once, and what changes"
is "$code/$(echo "$requests" | tail -1)" "3/$(request repl '{"domain":"db","lines":64}')" "repl -f: asks until xhad is gone"
run "repl repl-later repl-over" repl -f --json db
is "$(echo "$out" | wc -l)/$(echo "$out" | grep -c '^{.*}$')/$(echo "$out" | grep -c '"replication":"degraded"')" 7/7/1 \
    "repl -f --json: each in a line of its own"
run repl repl -n 65 db
is "$code" 2 "repl -n: more than are kept"

policy=$answers/info.answer
run "protected-copy repl-bare repl-syncing repl" -v protect "$policy"
is "$code/$out" "0/db is protected
db is replicated to h2" "protect: waits until the backup has a copy"
is "$err" "db: a backup is looked for
db: first copy to h2" "protect -v: a line per step"
run "protected-copy repl-syncing repl" protect --json "$policy"
is "$code/$(echo "$out" | xargs)" "0/{ domain: db, accepted: protect, protection: replicate, replication: protected, replication_why: , host: h1, backup: h2 }" \
    "protect --json: how it ended"
run protected-copy protect --no-wait "$policy"
is "$code/$out" "0/db is protected" "protect --no-wait: does not"
run "protected-copy repl-none repl-none" protect "$policy"
is "$code/$err" "1/xl-ha: db is protected, but has no backup: no other host has room for it\\x1b[2J; xhad goes on trying, see xl-ha repl db and xl-ha log db" \
    "protect: no backup, and why"
run "protected-copy repl-none repl-syncing repl" protect "$policy"
is "$code" 0 "protect: a reason of a moment is none"
run "protected-copy repl-syncing repl-bare" protect "$policy"
is "$code/$err" "1/xl-ha: db is protected, but has no backup: its first copy broke off; xhad goes on trying, see xl-ha repl db and xl-ha log db" \
    "protect: the first copy broke off"
run "protected-copy repl-stopped repl-stopped" protect "$policy"
is "$code/$err" "1/xl-ha: db is protected, but has no backup: it is stopped; it gets one when it runs" "protect: it does not run"
syncing=$(printf "repl-syncing %.0s" 1 2 3 4 5 6 7 8 9)
run "protected-copy $syncing" --timeout 3 protect "$policy"
is "$code/$err" "5/xl-ha: db is protected, but not yet replicated; that goes on: see xl-ha repl db" "protect: not in time"
"$XHA_BUILD/tests/unit/fake-xhad" "$socket" /dev/null "$answers/protected-copy.answer" "$answers/repl-syncing.answer" "$answers/repl.answer"
script -qec "'$XHA_BUILD/xl-plugins/xl-ha' --socket '$socket' protect '$policy'" /dev/null </dev/null |
    tr '\r\033' '\n%' >"$tmp/out"
is "$(cat "$tmp/out")" "db is protected


%[Kdb: first copy to h2 [#######                       ]  25% 32768/131072 pages 20M/s, 4.3s to go
%[Kdb is replicated to h2" "protect: a bar on a terminal"
# ^C, as soon as the first copy has been seen.
"$XHA_BUILD/tests/unit/fake-xhad" "$socket" /dev/null "$answers/protected-copy.answer" "$answers/repl-syncing.answer" \
    "$answers/repl-syncing.answer" "$answers/repl-syncing.answer"
mkfifo "$tmp/errors"
(
    trap - INT
    exec "$XHA_BUILD/xl-plugins/xl-ha" -v --socket "$socket" protect "$policy"
) >"$tmp/out" 2>"$tmp/errors" </dev/null &
pid=$!
{
    read -r line
    kill -INT "$pid"
    err=$(cat)
} <"$tmp/errors"
wait "$pid"
is "$?/$line/$err" "1/db: first copy to h2/xl-ha: db is protected, and its first copy goes on: see xl-ha repl db" "protect: ^C leaves it going on"

# ---- orders ----------------------------------------------------------------------------------------------------

run started start web
is "$code/$out" "0/web is running (domain id 5)" "start: waited for"
is "$err" "" "start: no progress where nobody looks"
asks "$(request start '{"domain":"web"}' false true)" "start: request"
run started -v start web
is "$err" "web: building
web: memory \\x1b[2J" "start -v: a line per step"
run accepted start --no-wait web
is "$out" "web: start was accepted" "start --no-wait"
asks "$(request start '{"domain":"web"}' false false)" "start --no-wait: request"
run would -N stop web
is "$out" "would stop web, which is running" "-N stop"
asks "$(request stop '{"domain":"web"}' true true)" "-N stop: request"
run started restart 5
asks "$(request restart '{"domain":"5"}' false true)" "restart: a domain id"
run started checkpoint web
asks "$(request checkpoint '{"domain":"web"}' false true)" "checkpoint: request"
run started restore web
asks "$(request restore '{"domain":"web","number":0}' false true)" "restore: the newest"
run started restore web 12
asks "$(request restore '{"domain":"web","number":12}' false true)" "restore: by number"
run started restore web "$answers/../xl-ha/info.answer"
asks "$(request restore "{\"domain\":\"web\",\"file\":\"$(realpath "$answers")/info.answer\"}" false true)" \
    "restore: a file, by its absolute path"
run started restore web 0
is "$code/$requests" "2/" "restore: 0 is no checkpoint"
(cd "$answers" && "$XHA_BUILD/tests/unit/fake-xhad" "$socket" "$tmp/requests2" protected.answer &&
    "$XHA_BUILD/xl-plugins/xl-ha" --socket "$socket" protect --take-over info.answer >"$tmp/out")
is "$(cat "$tmp/out" "$tmp/requests2")" "web is protected
$(request protect "{\"file\":\"$(realpath "$answers")/info.answer\",\"take_over\":true}" false true)" \
    "protect: by the file's absolute path"
run protected protect /nonexistent.conf
is "$code/$requests" "1/" "protect: no such file"
run unprotected unprotect web
is "$out" "web is no longer protected
its policy is still at /etc/xhad/domains/web.conf" "unprotect, with xhad's hint"
run maintenance maintenance on
is "$out" "this host is in maintenance: xhad leaves it alone" "maintenance of the host"
asks "$(request maintenance '{"on":true}' false true)" "maintenance: request"
run "no-cluster accepted" maintenance web off
asks "$(request hosts '{}' false true)
$(request maintenance '{"on":false,"domain":"web"}' false true)" "maintenance DOMAIN, no cluster: request"
run "hosts accepted" maintenance web off
is "$(echo "$requests" | tail -1)" "$(request maintenance '{"on":false,"domain":"web"}' false true)" "maintenance DOMAIN: request"
run "hosts evacuated" maintenance h1 on
is "$(echo "$requests" | tail -1)" "$(request maintenance '{"on":true,"host":"h1"}' false true)" "maintenance HOST: request"
is "$code/$out" "1/Stays  Why
db     no other host reaches its storage san1
h1 is in maintenance: 2 domains moved, 1 stays" "maintenance HOST: what stays, and why"

# ---- the cluster -----------------------------------------------------------------------------------------------

run hosts hosts
is "$out" "$(cat "$answers/hosts.expect")" "hosts: the table"
run hosts hosts -l
is "$(echo "$out" | awk 'NR == 3 { print $NF, $(NF - 1), $(NF - 2) }')" "answer not \\x1bdoes" "hosts -l: how fencing failed, escaped"
run no-cluster hosts
is "$code/$err" "1/xl-ha: this host is in no cluster; see xl-ha(8), cluster init" "hosts: no cluster"
run cluster-list list
is "$out" "$(cat "$answers/cluster-list.expect")" "list in a cluster: where each runs"
run migrated migrate web h2 --live --limit 1.5M
is "$code/$out" "0/web runs on h2 (live, 0.1s still)" "migrate"
asks "$(request migrate '{"domain":"web","mode":"live","limit":1572864,"host":"h2"}' false true)" "migrate: request"
run migrated migrate web
asks "$(request migrate '{"domain":"web","mode":"auto","limit":0}' false true)" "migrate: anywhere, by itself"
run disarmed disarm
is "$out" "no host fences itself from now on" "disarm"
asks "$(request disarm '{}')" "disarm: request"
run accepted confirm-fenced h2
asks "$(request confirm-fenced '{"host":"h2"}')" "confirm-fenced: request"
run what-if what-if host-down h1
is "$code/$out" "1/Domain  From  To       Why
web     h1    h2       best fit
db      h1    nowhere  no host has 16 GiB free
without h1: 1 domain moves, 1 finds no place" "what-if host-down: who finds no place"
asks "$(request what-if '{"down":"h1"}')" "what-if host-down: request"
run what-if-add what-if add "$answers/info.answer"
is "$code/$out" "0/web would run on h2" "what-if add"
run timing timing
is "$out" "$(cat "$answers/timing.expect")" "timing: the times and the worst cases"
run metrics metrics
is "$out" "# HELP xhad_up Whether.
# TYPE xhad_up gauge
xhad_up 1" "metrics: as xhad says it"
run "cluster hosts cluster-list log" top
is "$(echo "$out" | sed -n '1p;8,9p')" "cluster lab: 3 hosts, quorate, h1 leads
$(sed -n 1,2p "$answers/log.expect")" "top without a terminal: one screen"
is "$(echo "$out" | tail -3 | awk '{ print $1 }' | xargs)" "db mail web" "top: who needs somebody comes first"
run "cluster hosts repl-list log" top
is "$(echo "$out" | tail -4 | awk '{ print $1 }' | xargs)" "mail db shop web" "top: then who has no backup, but wants one"
run "no-cluster no-cluster list log" top
is "$code/$(echo "$out" | head -1)" "0/one host, no cluster; 3 domains" "top on one host"
run "cluster hosts cluster-list log" top --json
is "$(echo "$out" | grep -oE '^  "[a-z]+"' | tr -d ' "' | xargs)" "cluster hosts domains events" "top --json"
run log events
is "$(echo "$out" | head -c 1)" "{" "events: JSON"

# ---- orders again ----------------------------------------------------------------------------------------------

run started sched web -w 128 -c 0 --affinity 0-3 --pool fast
asks "$(request sched '{"domain":"web","weight":128,"cap":0,"affinity":"0-3","pool":"fast"}' false true)" \
    "sched: every value"
run reload reload
is "$code/$out/$err" "1/changed parallel: 4 -> 8//etc/xhad/domains/a.conf:3: unknown parameter a" \
    "reload: what changed and what did not"
run unchanged reload
is "$code/$out" "0/no setting has changed" "reload: nothing new"

# On a terminal there is a bar, and nothing of it is left in the end.
"$XHA_BUILD/tests/unit/fake-xhad" "$socket" /dev/null "$answers/started.answer"
script -qec "'$XHA_BUILD/xl-plugins/xl-ha' --socket '$socket' start web" /dev/null </dev/null |
    tr '\r\033' '\n%' >"$tmp/out"
is "$(cat "$tmp/out")" "
%[Kweb: building [###############               ]  50%
%[Kweb: memory \\x1b[2J [##############################] 100%
%[Kweb is running (domain id 5)" "start: a bar on a terminal"

# ---- JSON ------------------------------------------------------------------------------------------------------

run list list --json
is "$(echo "$out" | head -n 3 | xargs)" "[ { name: web," "list --json"
is "$(echo "$out" | grep -ci '\\u001b')" 1 "list --json: control bytes are escaped"
run log --json log
is "$(echo "$out" | wc -l)/$(echo "$out" | grep -c '^{.*}$')" 3/3 "log --json: one entry a line"
run started start --json web
is "$(echo "$out" | xargs)/$err" "{ domain: web, state: running, domid: 5 }/" "start --json: nothing but the answer"
run no-such-domain info --json wb
is "$code/$(echo "$out" | xargs)" "1/{ error: { code: no-such-domain, message: no protected domain is called wb\\u001B[2J, hint: xl-ha list shows them } }" \
    "--json: errors, too"

# ---- what goes wrong -------------------------------------------------------------------------------------------

run no-such-domain info wb
is "$code/$err" "1/xl-ha: no protected domain is called wb\\x1b[2J; xl-ha list shows them" "an error with its hint"
run not-permitted list
is "$code" 4 "not permitted"
run timeout stop web
is "$code" 5 "xhad gave up waiting"
run odd-error list
is "$code/$err" "1/xl-ha: xhad refused it and did not say why" "an error of no shape"
run silent --timeout 0.2 list
is "$code" 5 "xhad says nothing"
run newer list
is "$code/$err" "1/xl-ha: xhad speaks version 2 of the protocol, this xl-ha version 1: install both from the same release" \
    "another version"
run garbage list
is "$code/$err" "1/xl-ha: this is no answer of xhad: HTTP/1.0 200 OK\\x1b[2J\\x0d" "garbage"
run twice list
is "$code" 1 "a member twice"
run array list
is "$code" 1 "no object"
run cut-off list
is "$code" 3 "the connection ends in the middle"
run /dev/null list
is "$code" 3 "the connection ends at once"
head -c 33554433 /dev/zero | tr '\000' x >"$tmp/endless"
run "$tmp/endless" list
is "$code/$err" "1/xl-ha: xhad's answer is longer than 32 MiB: given up" "an answer without end"
rm -f "$socket"
run_alone() {
    "$XHA_BUILD/xl-plugins/xl-ha" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    code=$?
    out=$(cat "$tmp/out")
    err=$(cat "$tmp/err")
}
run_alone --socket "$socket" list
is "$code/$err" "3/xl-ha: xhad is not running ($socket: No such file or directory); start it: systemctl start xhad, or service xhad start" \
    "xhad is not running"
run_alone --socket "/$(printf %0200d 1)" list
is "$code" 2 "no path of a socket"

# ---- the command line ------------------------------------------------------------------------------------------

usage_error() { # MESSAGE ARGUMENT...
    message=$1
    shift
    run_alone "$@"
    is "$code/$err" "2/xl-ha: $message" "$*"
}
usage_error "unknown command 'lsit'; did you mean 'list'?" lsit
usage_error "unknown command 'frobnicate'; see xl-ha help" frobnicate
usage_error "'check' could be more than one command; see xl-ha help" check
usage_error "usage: xl-ha info DOMAIN" info
usage_error "usage: xl-ha list [DOMAIN]" list a b
usage_error "list takes no --follow; see xl-ha help list" list -f
usage_error "list takes no --no-wait; see xl-ha help list" --no-wait list
usage_error "unknown option --frobnicate; see xl-ha help" list --frobnicate
usage_error "unknown option -x; see xl-ha help" -x list
usage_error "option --timeout needs an argument" list --timeout
usage_error "--timeout soon: must be seconds from 0 to 86400" list --timeout soon
usage_error "-w 0: a weight is a number from 1 to 65535" sched web -w 0
usage_error "-c -1: a cap is a number from 0 (none) to 65535" sched web -c -1
usage_error "name the domain to change: xl-ha sched DOMAIN ..." sched -w 5
usage_error "--limit x: must be bytes a second, such as 20M" migrate web --limit x
usage_error "usage: xl-ha what-if host-down HOST | add FILE" what-if power-cut h1
usage_error "usage: xl-ha maintenance [DOMAIN|HOST] on|off" maintenance maybe
run_alone
is "$code" 2 "no command: usage"
run_alone help sched
is "$code/$(echo "$out" | head -n 1)" "0/Usage: xl-ha sched [options] [DOMAIN]" "help COMMAND"
run list li
is "$code" 0 "a command cut short"
run info info -- -web
asks "$(request info '{"domain":"-web"}')" "a name that begins with -"
run_alone --version
is "$code/$out" "0/xl-ha 0.1.0" "--version"
"$XHA_BUILD/tests/unit/fake-xhad" "$socket" "$tmp/requests3" "$answers/list.answer"
"$XHA_BUILD/xl-plugins/xl-ha" --socket "$socket" list >&- 2>"$tmp/err"
is "$?/$(cat "$tmp/err" "$tmp/requests3")" "1/xl-ha: standard output: Bad file descriptor
$(request list '{}')" "standard output that is closed is not the socket"
"$XHA_BUILD/xl-plugins/xl-ha" help >/dev/full 2>/dev/null
is "$?" 1 "standard output that cannot be written"

undescribed() { # commands that the manual does not describe
    "$XHA_BUILD/xl-plugins/xl-ha" help | sed -n 's/^ \([a-z-]*\) .*/\1/p' | while read -r command; do
        grep -q "^\.It Ic $command\b" "$XHA_SRC/man/xl-ha.8" || echo "$command"
    done
}
is "$(undescribed)" "" "every command is in the manual"

# ---- check-config ----------------------------------------------------------------------------------------------

run_alone check-config "$XHA_SRC/conf/xhad.conf" "$XHA_SRC/conf/domains/web.conf"
is "$code/$out" "0/all is well" "check-config: good files"
printf 'heartbeat_interval = 9;\n' >"$tmp/xhad.conf"
printf 'domain = "a";\nprio = 7;\n\nautostart = 1;\n' >"$tmp/a.conf"
run_alone check-config "$tmp/a.conf" "$tmp/xhad.conf" "$XHA_SRC/conf/domains/web.conf"
is "$code/$err" "1/$tmp/a.conf:2: unknown parameter prio; xha-domain(5) lists them all
$tmp/a.conf:4: autostart: must be true or false, without quotes, not a whole number
$XHA_SRC/conf/domains/web.conf: heartbeat_timeout (10) must be at least twice heartbeat_interval of xhad.conf (9): one slow look would make the domain suspect" \
    "check-config: every problem of every file"
run_alone check-config -v "$tmp/xhad.conf"
is "$(echo "$out" | grep -E '^(heartbeat_interval|parallel) ' | tr -s ' ')" "parallel = 4; # default
heartbeat_interval = 9; # $tmp/xhad.conf:1" "check-config -v: every value and where it is from"
run_alone check-config --json "$tmp/a.conf"
is "$code/$(echo "$out" | head -n 4 | xargs)" "1/[ { file: $tmp/a.conf, good: false," "check-config --json"
finish

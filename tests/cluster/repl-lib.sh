# repl-lib.sh: the words of stories in which guests are replicated.
# shellcheck shell=bash

# shellcheck source=tests/cluster/xhad-lib.sh
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

# at HOST WORD...: what the hypervisor of that host knows of its guests (tests/daemon/sim/ctl.c)
at() {
    local n=$1
    shift
    XHA_SIM_DIR=$T/h$n/sim "$sim" ctl "$@" 2>/dev/null
}

# How host N says that the guest is replicated: "protected h2", "syncing h3", "degraded none", …
repl_of() { # HOST NAME
    field "$1" list -- ".[] | select(.name == \"$2\") | \"\(.replication) \(.backup // \"none\")\""
}
is_repl() { [ "$(repl_of "$1" "$2")" = "$3" ]; } # HOST NAME WHAT
protected() { [[ $(repl_of "$1" "$2") == "protected "* ]]; }
backup_of() { repl_of "$1" "$2" | sed -n 's/^protected //p'; }

# replicated N NAME [LINE...]: protected by host N, and until its backup has a whole copy; sets owner, backup and third,
# numbers of hosts (of three)
replicated() {
    local n=$1 name=$2
    shift 2
    protect "$n" "$name" 'protection = "replicate";' "$@"
    wait_for "$name has a backup" protected "$n" "$name" || exit 1
    look "$n" "$name"
}

look() { # HOST NAME
    owner=$(host_of "$1" "$2")
    owner=${owner#h}
    backup=$(backup_of "$1" "$2")
    backup=${backup#h}
    if [ -z "$owner" ] || [ -z "$backup" ]; then
        echo "Bail out! $2 has no backup: $(repl_of "$1" "$2")"
        exit 1
    fi
    # shellcheck disable=SC2034 # for the stories
    third=$((6 - owner - backup))
}

on() { at "$1" list | awk -v n="$2" '$2 == n { print $4 }'; } # HOST NAME: running, paused, shut or nothing
is_on() { [ "$(on "$1" "$2")" = "$3" ]; }

# What others have seen of the guest there, and its gate: "shut", or 0
seen() { at "$1" get "$2" seen; }             # HOST NAME
sees_more() { [ "$(seen "$1" "$2")" -gt "$3" ]; } # HOST NAME THAN
gate() { at "$1" get "$2" gate; }
gate_is() { [ "$(gate "$1" "$2")" = "$3" ]; }

running() { # NAME: on how many hosts that have power
    local i n=0
    for ((i = 1; i <= hosts; i++)); do
        is_up "$i" && ! is_off "$i" && is_on "$i" "$1" running && n=$((n + 1))
    done
    echo $n
}

# told HOST CAUSE: how often its history tells of that
told() { grep -c "\"cause\":\"$2\"" "$T/h$1/state/history"; }

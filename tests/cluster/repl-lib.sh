# repl-lib.sh: the words of stories in which guests are replicated.
# shellcheck shell=bash

# at HOST WORD...: what the hypervisor of that host knows of its guests (tests/daemon/sim/ctl.c)
at() {
    local n=$1
    shift
    XHA_SIM_DIR=$T/h$n/sim "$sim" ctl "$@" 2>/dev/null
}

# told HOST CAUSE DOMAIN: the text of the last thing that its log tells of that cause
told() { grep "\"cause\":\"$2\"" "$T/h$1/state/history" | jq -r "select(.domain == \"$3\") | .text" | tail -n 1; }

# Which host the guest has as its backup, as the last living host's history has it; "" when it has none
backup_of() {
    local i
    for ((i = hosts; i >= 1; i--)); do
        ! is_off "$i" && break
    done
    grep -E '"cause":"(replicated|pair-ended|promoted|pair-begun)"' "$T/h$i/state/history" |
        jq -r "select(.domain == \"$1\") | \"\(.cause) \(.text)\"" | tail -n 1 | sed -n 's/^replicated .* to host \(h[0-9]*\),.*/\1/p'
}

protected_with() { [ "$(backup_of "$1")" = "$2" ]; } # NAME HOST
protected() { [ -n "$(backup_of "$1")" ]; }

# replicated N NAME [LINE...]: protected by host N, and until its backup has a whole copy
replicated() {
    local n=$1 name=$2
    shift 2
    protect "$n" "$name" 'protection = "replicate";' "$@"
    wait_for "$name has a backup" protected "$name" || exit 1
}

# What others have seen of the guest, wherever it runs.
seen_of() {
    local i
    for ((i = 1; i <= hosts; i++)); do
        ! is_off "$i" && at "$i" list | grep -q " $1 .* running\$" && at "$i" get "$1" seen
    done
}
sees_more() { [ "$(seen_of "$1")" -gt "$2" ]; }

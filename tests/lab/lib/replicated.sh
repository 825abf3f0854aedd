# The words of stories about replicated guests in a cluster of three hosts. Sourced by a story instead of cluster.sh.
# shellcheck shell=bash

# shellcheck source=lib/cluster.sh
. "$LAB_LIB/cluster.sh"
# shellcheck source=lib/asker.sh
. "$LAB_LIB/asker.sh"

# The emulated hosts may be away for a second at a time.
LAB_SILENCE='replication = { silence = 3.0; };'

# How the cluster says that a guest is replicated: "protected h2", "syncing h3", "degraded none", ...
repl_of() { # ASKED GUEST
    on "$1" "xl-ha list --json | jq -r '.[] | select(.name == \"$2\") | \"\(.replication) \(.backup // \"none\")\"'"
}
is_protected() { [[ $(repl_of "$1" "$2") == "protected "* ]]; } # ASKED GUEST
has_backup() { [ "$(repl_of "$1" "$2")" = "protected $3" ]; }   # ASKED GUEST BACKUP

# replicated ASKED GUEST: until it is protected; sets owner, backup and third
replicated() {
    expect_eventually 120 "$2 has a backup that holds it whole" is_protected "$1" "$2"
    owner=$(field "$1" "$2" host)
    backup=$(repl_of "$1" "$2" | sed -n 's/^protected //p')
    third=h$((6 - ${owner#h} - ${backup#h}))
    note "$2 runs on $owner, $backup has the copy, $third has neither"
}

# replicate_begin GUEST [LINE...]: a cluster of three, in which the guest runs on h1 and has a backup, and the host with
# neither asks it all the time; sets boot, too
replicate_begin() {
    local guest=$1
    shift
    cluster_lines+=("$(fence_devices 3)")
    cluster_begin 3
    step "$guest comes under protection"
    ON_LIMIT=300 protect h1 "$guest" 'protection = "replicate";' "$LAB_SILENCE" 'place = { prefer = "h1"; };' "$@"
    replicated h1 "$guest"
    boot=$(guest_key "$owner" "$guest" boot)
    ask_begin "$third" "$guest"
    expect_eventually 30 "$third gets answers of it" answers_past 5
}

# Its gate: how many ifbs hold what the guests there send, or 0.
gates() { on "$1" 'ls /sys/class/net | grep -c ^xhg' || true; } # HOST
no_gate() { [ "$(gates "$1")" = 0 ]; }
# Domains of that name on a host that could speak for it: neither paused nor suspended.
speaks() { on "$1" "xl list | awk '\$1 == \"$2\" && \$5 !~ /[ps]/' | wc -l"; } # HOST GUEST

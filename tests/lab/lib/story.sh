# The words that stories are told in. A story is a bash script that sources this first; it runs on hosts that are
# up and clean, prints its timeline, and ends with a status other than 0 as soon as something is not as told.
# shellcheck shell=bash

[ -z "${story_began_ms:-}" ] || return 0 # two sets of words were sourced
set -euo pipefail
# shellcheck source=lib/base.sh
. "$LAB_LIB/base.sh"
# shellcheck source=lib/host.sh
. "$LAB_LIB/host.sh"

story_began_ms=$(now_ms)
story_over=no
story_said=no # why it failed

story_line() { # MARK TEXT
    local ms=$(($(now_ms) - story_began_ms))
    printf '%6d.%d s %s %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$1" "$2"
}
step() { story_line '--' "$*"; }
note() { story_line '  ' "$*"; }
fail() {
    story_line '!!' "$*"
    story_said=yes
    exit 1
}

# A command in a host's dom0, with a limit in seconds (ON_LIMIT) so that no story waits for ever.
on() { host_sh -t "${ON_LIMIT:-60}" "$@"; }

# expect TEXT COMMAND...: it succeeds now
expect() {
    local text=$1
    shift
    "$@" || fail "not so: $text"
    story_line ok "$text"
}

# expect_not TEXT COMMAND...: it fails now; TEXT says what that means
expect_not() {
    local text=$1
    shift
    ! "$@" || fail "not so: $text"
    story_line ok "$text"
}

expect_equal() { # TEXT WANTED FOUND
    [ "$2" = "$3" ] || fail "$1: wanted '$2', found '$3'"
    story_line ok "$1: $3"
}

# expect_eventually SECONDS TEXT COMMAND...: it succeeds within so many seconds
expect_eventually() {
    local seconds=$1 text=$2 until
    until=$(($(now_ms) + seconds * 1000))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ "$(now_ms)" -ge "$until" ]; then
            "$@" || true # once more, for its words
            fail "not within $seconds s: $text"
        fi
        sleep 0.3
    done
    story_line ok "$text"
}

# expect_steadily SECONDS TEXT COMMAND...: it succeeds all the time
expect_steadily() {
    local seconds=$1 text=$2 until
    until=$(($(now_ms) + seconds * 1000))
    shift 2
    while [ "$(now_ms)" -lt "$until" ]; do
        "$@" || fail "not all of $seconds s: $text"
        sleep 0.3
    done
    story_line ok "$text, for $seconds s"
}

# Guests. What a story starts by hand is destroyed when it ends.
guests_started=()
guest_start() { # HOST NAME
    on "$1" "xl create -q /etc/xen/$2.cfg"
    guests_started+=("$1 $2")
}
guests_forget() { guests_started=(); }
guest_key() { # HOST NAME KEY: what the guest has under data/
    on "$1" "xenstore-read /local/domain/\$(xl domid $2)/data/$3" 2>/dev/null
}
guest_order() { # HOST NAME crash|hang|livelock|mute|unmute|poweroff|reboot
    on "$1" "xenstore-write /local/domain/\$(xl domid $2)/data/cmd $3"
}
guest_runs() { on "$1" "xl domid $2" >/dev/null 2>&1; }
guest_beats() { # HOST NAME: a beat came within three seconds
    on "$1" "k=/local/domain/\$(xl domid $2)/data/heartbeat && b=\$(xenstore-read \$k) || exit 1
        for i in 1 2 3 4 5 6; do sleep 0.5; [ \"\$(xenstore-read \$k)\" = \"\$b\" ] || exit 0; done
        echo \"$2 does not beat\"; exit 1" 2>/dev/null
}
guest_silent() { ! guest_beats "$@"; }
guest_counts_past() { # HOST NAME NUMBER
    local n
    n=$(guest_key "$1" "$2" counter) && [ "$n" -gt "$3" ]
}
guest_cpu_ms() { # HOST NAME: the time its vCPUs have used
    on "$1" "xl list $2" | awk 'END { printf "%d\n", $NF * 1000 }'
}
guest_address() { # NAME
    local n=${1##*[!0-9]}
    case $1 in p*) n=$((n + 100)) ;; d*) n=$((n + 200)) ;; esac
    echo "10.2.0.$((n + 10))"
}
# The guest's own line "NAME BOOT COUNTER", asked over the guests' network from HOST.
guest_answer() { # HOST NAME
    on "$1" "busybox nc -w 3 $(guest_address "$2") 7 </dev/null"
}

# When the story ends, well or not: only what it started itself. A story that failed leaves things as they are
# until the evidence has been taken.
story_at_end=()
story_end() {
    local g status=$? command=$BASH_COMMAND calls=${#BASH_LINENO[@]}
    [ "$calls" -le 2 ] || command=$(sed -n "${BASH_LINENO[calls - 2]}s/^ *//p" "$0") # the story's own words
    [ "$story_over" = yes ] || [ $status -ne 0 ] || status=1
    [ $status -eq 0 ] || [ "$story_said" = yes ] || story_line '!!' "this failed: $command"
    [ $status -eq 0 ] || exit $status
    for g in "${guests_started[@]}"; do
        ! host_alive "${g% *}" || on "${g% *}" "xl destroy ${g#* }" >/dev/null 2>&1 || true
    done
    for g in "${story_at_end[@]}"; do $g; done
    exit $status
}
trap story_end EXIT

# The last word of a story: without it, it has not been told to its end.
the_end() {
    step "the end"
    story_over=yes
}

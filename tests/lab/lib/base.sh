# What every part of the lab needs: words to the user, processes by pid, the places where things are.
# shellcheck shell=bash disable=SC2034

LAB_STATE=${XHA_LAB_STATE:-/tmp/xhad-lab-$UID}
LAB_CACHE=${XHA_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xhad-lab}
LAB_NETS=(mgmt guests repl)
LAB_SUITE=bookworm
export LAB_STATE LAB_CACHE

say() { printf '%s\n' "$*" >&2; }
die() {
    say "lab: $*"
    exit 1
}

# Milliseconds since some moment.
now_ms() {
    local t=${EPOCHREALTIME/[.,]/}
    echo $((t / 1000))
}

# progress TEXT: a line with the time since the first such line.
progress() {
    local ms
    [ -n "${lab_began_ms:-}" ] || lab_began_ms=$(now_ms)
    ms=$(($(now_ms) - lab_began_ms))
    printf '  %4d.%d s  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*" >&2
}

# A process is known by its pid and the time it was started at, so that a pid that the kernel has
# given to somebody else is never taken for ours.
proc_started() { # PID
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086 # words wanted
    set -- $stat
    [ "$1" != Z ] && echo "${20}"
}

proc_note() { # FILE PID
    echo "$2 $(proc_started "$2")" >"$1"
}

# The pid noted in FILE, if that very process still runs.
proc_alive() { # FILE
    local pid started
    read -r pid started 2>/dev/null <"$1" || return 1
    [ -n "$started" ] && [ "$(proc_started "$pid")" = "$started" ] || return 1
    echo "$pid"
}

# End the process noted in FILE: SIGNAL, and SIGKILL when it is still there after 5 s.
proc_end() { # FILE [SIGNAL]
    local pid i
    if pid=$(proc_alive "$1"); then
        kill "-${2:-TERM}" "$pid" 2>/dev/null || true
        for ((i = 0; i < 100; i++)); do
            proc_alive "$1" >/dev/null || break
            sleep 0.05
        done
        if proc_alive "$1" >/dev/null; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    fi
    rm -f "$1"
}

# Start a program detached from this terminal, its output in LOG, its pid noted in PIDFILE.
proc_start() { # PIDFILE LOG COMMAND...
    local pidfile=$1 log=$2 pid fd
    shift 2
    # No job control here, so setsid does not fork and the pid is the program's. It inherits no file that somebody
    # else waits for to be closed: the lock of `lab up`, or one that the caller runs under.
    (
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    pid=$!
    disown "$pid"
    proc_note "$pidfile" "$pid"
}

need_programs() { # PACKAGE:PROGRAM...
    local p missing=()
    for p in "$@"; do
        command -v "${p#*:}" >/dev/null || missing+=("${p%%:*}")
    done
    [ ${#missing[@]} -eq 0 ] ||
        die "this needs more Debian packages: apt-get install --no-install-recommends ${missing[*]}"
}

# hosts are called h1, h2, h3
host_number() { # HOST
    local n=${1#h}
    [[ $n =~ ^[1-9]$ ]] || die "'$1' is no host: they are called h1, h2, h3"
    echo "$n"
}

#!/bin/bash
# The daemon's share of a recovery, on the simulated hypervisor: from the moment at which a crash can be seen to the exec of
# the worker that clears the domain away, and of the one that starts it again. Alone, and among 200 domains. Lines of
# `name value unit`.
# shellcheck disable=SC2119 # the words of lib.sh take arguments
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh" >/dev/null
set -u

rounds=${ROUNDS:-20}

# What is not a line of the bench is in the way of whoever reads it.
quietly() { "$@" >&2; }

# latencies VERB: milliseconds from each crash in the trace to the first worker of that verb after it, sorted
latencies() {
    awk -v verb="$1" '
        $2 == "guest" && $3 == "crash" { died[$4] = $1 }
        $2 == "work" && $3 == verb && ($4 in died) { printf "%.3f\n", ($1 - died[$4]) * 1000; delete died[$4] }
    ' "$T/sim/trace" | sort -n
}

# report NAME: median and 99th percentile of standard input
report() {
    awk -v name="$1" '
        { ms[NR] = $1 }
        END {
            if (!NR) exit 1
            p50 = ms[int((NR + 1) / 2)]
            p99 = ms[int(NR * 0.99) < 1 ? 1 : int(NR * 0.99)]
            printf "%s_p50 %s ms\n%s_p99 %s ms\n", name, p50, name, p99
        }'
}

# bench NAME: crashes g1 again and again
bench() {
    local i started
    : >"$T/sim/trace"
    for ((i = 0; i < rounds; i++)); do
        # An order forgets the restarts that are counted.
        [ $((i % 15)) -ne 14 ] || quietly ha restart g1
        started=$(begun start g1) || true
        sim crash g1
        eventually $patience begun_is start g1 -gt "$started"
        quietly wait_state g1 running
    done
    latencies destroy | report "daemon.death_to_clear_$1"
    latencies start | report "daemon.death_to_restart_$1"
}

settings 'heartbeat_interval = 1;' 'alarm_rate = 1000;' 'log_level = "warning";'
policy_in=policy
policy g1 'max_restarts = 16;' 'heartbeat_timeout = 5;'
start_xhad
quietly wait_state g1 running || exit 1
bench 1_domain

for ((i = 2; i <= 200; i++)); do
    policy "g$i" 'heartbeat_timeout = 5;'
done
quietly ha reload
# shellcheck disable=SC2317 # eventually calls it
all_run() { [ "$(ha list --json | grep -c '"state": "running"')" -eq 200 ]; }
eventually 60 all_run || exit 1
bench 200_domains
kill_xhad TERM
exit 0

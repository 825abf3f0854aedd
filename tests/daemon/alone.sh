#!/bin/bash
# A host alone: what needs a cluster says so; figures and times are told all the same.
. "${XHA_SRC:?}/tests/daemon/lib.sh"

settings "metrics_file = \"$T/xhad.prom\";"
start_xhad
protect g1

for cmd in hosts arm disarm leave what-if migrate; do
    is "$(ask "{\"cmd\":\"$cmd\"}" error.code)" no-cluster "$cmd needs a cluster"
done
is "$(ask '{"cmd":"cluster"}' result.cluster)" false "there is none"
is "$(ask '{"cmd":"host-shutdown"}' ok)" true "a shutdown of the host finds nothing to do"

metrics() { ask '{"cmd":"metrics"}' result.text; }
ok "$(metrics | grep -qx 'xhad_domain_state{domain="g1",state="running"} 1'; echo $?)" "a domain's state is a figure"
ok "$(metrics | grep -qx 'xhad_domains_protected 1'; echo $?)" "so is how many there are"
ok "$(metrics | grep -q '^# TYPE xhad_alarms_total counter$'; echo $?)" "counters say that they are"
is "$(metrics | grep -c xhad_cluster)" 0 "nothing is said of a cluster"
wait_file() { grep -qs '^xhad_domains_protected 1$' "$T/xhad.prom"; }
eventually 30 wait_file
ok $? "the figures are in metrics_file"
ok "$(ha timing | grep -q '^guest-crash'; echo $?)" "xl-ha timing tells the times of a crash"
the_end

#!/bin/bash
# What cannot be protected is refused with the reason, and nothing is changed; a dry run never changes anything.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
snapshot() { ha list --json | grep -v _ms && sim list && ls -R "$T/state/domains" && cat "$T/state/domains"/*/policy.conf; }
before=$(snapshot)
refused() { # WHAT CODE TEXT ARGUMENT...
    local what=$1 code=$2 text=$3 out
    shift 3
    out=$(ha "$@" 2>&1)
    is $? "$code" "$what: exit code"
    has "$out" "$text" "$what: says so"
}

printf 'config = "%s/xen/g1.cfg";\nheartbeat_timeout = 0.1;\n' "$T" >"$T/bad.conf"
refused "a value out of range" 1 "$T/bad.conf:2: " protect "$T/bad.conf"
printf 'config = "%s/xen/nowhere.cfg";\n' "$T" >"$T/bad.conf"
refused "no such xl.cfg" 1 "nowhere.cfg: No such file" protect "$T/bad.conf"
echo 'this is no config' >"$T/xen/broken.cfg"
printf 'config = "%s/xen/broken.cfg";\n' "$T" >"$T/bad.conf"
refused "a broken xl.cfg" 1 "broken.cfg: line 1" protect "$T/bad.conf"
printf 'domain = "nobody";\n' >"$T/bad.conf"
refused "a domain that does not run" 1 "no domain nobody" protect "$T/bad.conf"
refused "no such file" 1 "No such file" protect "$T/none.conf"
printf 'config = "%s/xen/g1.cfg"; #' "$T" >"$T/bad.conf"
head -c 70000 /dev/zero | tr '\0' x >>"$T/bad.conf"
refused "a file that is too long" 1 "$T/bad.conf" protect "$T/bad.conf"
is "$(snapshot)" "$before" "nothing has changed"

policy g2
for dry in "-N protect $T/elsewhere/g2.conf" '-N stop g1' '-N restart g1' '-N unprotect g1' '-N maintenance g1 on' \
    '-N checkpoint g1' '-N sched g1 -w 7' '-N maintenance on' '-N reload'; do
    # shellcheck disable=SC2086
    ha $dry >"$T/said" 2>&1
    has "$(cat "$T/said")" '' "xl-ha $dry"
done
sleep 0.3
is "$(snapshot)" "$before" "dry runs have changed nothing"
is "$(begun start g1)$(begun shutdown g1)$(begun checkpoint g1)$(begun sched g1)" 1000 "no worker was started"

sim create "$T/xen/g2.cfg"
knob monitor-g2 4711
refused "xl's own monitor watches it" 1 "4711" protect "$T/elsewhere/g2.conf"
ha protect --take-over "$T/elsewhere/g2.conf" >/dev/null
is $? 0 "it is ended on request"
wait_state g2 running
is "$(begun start g2)/$(copies g2)" 0/1 "the running domain is adopted"
ha unprotect g2 >/dev/null
printf 'domain = "g2";\nheartbeat_timeout = 1;\n' >"$T/elsewhere/g2.conf"
ha protect "$T/elsewhere/g2.conf" >/dev/null
is $? 0 "a running domain by its name"
sim crash g2
comes_back g2 1
is "$(copies g2)" 1 "... can be started again from what Xen knew of it"
the_end

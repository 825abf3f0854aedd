#!/bin/bash
# Eight hosts, sixteen domains. The leader loses its power: the others agree on another one, every domain runs once, and
# all have the same state.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"
long_story

guests=$(seq -f g%.0f 16)
patience=60
xhads_up 8 'placement = "worst-fit";'
for g in $guests; do
    policy "$g"
    ha 1 protect "$T/policy/$g.conf" >"$T/said" 2>&1 || ok 1 "$g is protected: $(cat "$T/said")"
done
all_run() { [ "$(field "$1" list -- '[.[] | select(.state == "running")] | length')" = 16 ]; }
shown "sixteen domains run" all_run 8
used=$(field 8 list -- '[.[].host] | unique | length')
[ "$used" -gt 3 ]
ok $? "... on $used of eight hosts"

leader=$(ask 8 '{"cmd":"cluster"}' result.leader)
is "$leader" h1 "the lowest leads"
power_off 1
spread() { # all run, and none where there is no power
    all_run 8 && [ "$(field 8 list -- '[.[] | select(.host == "h1")] | length')" = 0 ]
}
shown "without the leader all run elsewhere" spread
is "$(ask 8 '{"cmd":"cluster"}' result.leader)" h2 "... led by the next"
is "$(for g in $guests; do copies "$g"; done | sort | uniq -c | xargs)" "16 1" "... each once"

power_on 1
for i in 1 8; do
    shown "host $i is settled with all eight" settled $i 8
done
same_state() {
    local hashes i
    hashes=$(for ((i = 1; i <= hosts; i++)); do ask "$i" '{"cmd":"cluster"}' result.hash; done)
    [ "$(wc -w <<<"$hashes") $(sort -u <<<"$hashes" | wc -l)" = "8 1" ]
}
shown "all have the same state" same_state
is "$(for g in $guests; do copies "$g"; done | sort | uniq -c | xargs)" "16 1" "... and every domain runs once"
the_end

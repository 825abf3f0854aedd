#!/bin/bash
# Three hosts with xhad: a domain protected on one is seen on all; the death of an xhad moves and fences nothing; a lost
# host is fenced, and its domain runs elsewhere, once.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

number() { echo "${1#h}"; }

xhads_up 3
ok 0 "three xhads agree"
is "$(field 2 hosts -- '[.[] | "\(.name) \(.state) \(.member)"] | join(", ")')" \
    "h1 in true, h2 in true, h3 in true" "every host is in"

protect 1 g1
shown "a domain protected on one host runs" runs 1 g1
owner=$(host_of 1 g1)
for i in 2 3; do
    shown "... and is seen on host $i" runs_on "$i" g1 "$owner"
done
is "$(copies g1)" 1 "... once"
n=$(number "$owner")
other=$((n % 3 + 1))
id=$(domid "$n" g1)

# The end of an xhad is no loss of a host (rule 6).
xhad_stop "$n" KILL
sleep 3
is "$(domid "$n" g1)" "$id" "an xhad that is killed leaves its domain running"
is "$(copies g1)" 1 "... nobody starts it elsewhere"
ok "$([ ! -e "$T/power/log" ]; echo $?)" "... and nobody is fenced"
xhad_start "$n"
shown "it comes back and has its domain again" runs_on "$other" g1 "$owner"
is "$(domid "$n" g1)" "$id" "... the same one"

# One history, told by any host.
history=$(ha "$other" log --json -n 1000)
isnt "$(jq -r "select(.at == \"$owner\") | .text" <<<"$history" | grep -c 'xhad came up')" 0 \
    "another host's log tells what happened on its host"
is "$(jq -r 'select(.cause == "protected") | .text' <<<"$history")" "g1 is protected" "what was ordered it tells once"
is "$(jq -r 'select(.cause == "settings") | .index' <<<"$history" | uniq -d)" "" "... of no domain, too"
is "$(jq .ms <<<"$history" | sort -n -c 2>&1)" "" "in the order of time"
is "$(ha "$other" log --json -n 3 | wc -l)" 3 "as many lines as were wanted"

# A command on any host.
ha "$other" stop g1 >/dev/null 2>&1
is $? 0 "a stop on another host is waited for"
is "$(copies g1)" 0 "... and done"
ha "$other" start g1 >/dev/null 2>&1
is $? 0 "so is a start"
is "$(copies g1)" 1 "... it runs once"
owner=$(host_of "$other" g1)
n=$(number "$owner")
other=$((n % 3 + 1))
is "$(ha "$other" why g1 2>&1 | grep -c running)" "$(ha "$n" why g1 2>&1 | grep -c running)" \
    "another host tells the owner's story"

# A host without corosync is lost; the power switch makes sure of it.
signal "$n" xhad KILL
kill_corosync "$n"
shown "a lost host is fenced" is_off "$n"
shown "its domain runs again" runs "$other" g1
isnt "$(host_of "$other" g1)" "$owner" "... on another host"
is "$(copies g1)" 1 "... once"
is "$(field "$other" hosts -- ".[] | select(.name == \"$owner\") | \"\(.state) \(.fenced_by)\"")" "fenced agent" \
    "the host counts as fenced by an agent"

power_on "$n"
shown "booted again it is in" settled "$n" 3
is "$(copies g1)" 1 "... and starts nothing twice"

# All xhads at once.
id=$(host_of "$other" g1)
for i in 1 2 3; do
    xhad_stop "$i"
done
for i in 1 2 3; do
    xhad_start "$i"
done
for i in 1 2 3; do
    shown "all restarted: host $i is settled again" settled "$i" 3
done
shown "... the domain runs where it did" runs_on 1 g1 "$id"
is "$(copies g1)" 1 "... once"
the_end

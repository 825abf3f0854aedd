#!/bin/bash
# Five hosts without fence agents: a minority is cut off, its watchdogs reset it, and only then do its domains run
# elsewhere, once. Booted again, the hosts are in as if new.
no_fence=yes
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

# born HOST NAME: when the newest domain of that name was built there, in ms of the same clock as cut_at's; 0: never
born() {
    local d=$T/h$1/sim/domains f newest=0 at
    for f in "$d"/*.json; do
        [ "$(jq -r .name "$f" 2>/dev/null)" = "$2" ] || continue
        at=$(stat -c %.3W "$f")
        [ "$at" != 0 ] || at=$(stat -c %.3Y "$f")
        at=${at/./}
        [ "$at" -le "$newest" ] || newest=$at
    done
    echo "$newest"
}

long_story
patience=60
xhads_up 5 'placement = "worst-fit";'
ha 1 arm >"$T/said" 2>&1
ok $? "the cluster is armed"
all_armed() {
    [ "$(field 3 hosts -- '[.[] | select(.armed)] | length')" = 5 ]
}
shown "... and with it each host" all_armed
for g in g1 g2 g3 g4 g5; do
    protect 3 $g
done
ok 0 "five hosts, five domains"
minority=()
for g in g1 g2 g3 g4 g5; do
    case $(host_of 3 $g) in h1 | h2) minority+=("$g") ;; esac
done
isnt "${#minority[@]}" 0 "some of them run on hosts 1 and 2"

partition "1 2" "3 4 5"
for i in 1 2; do
    shown "host $i, cut off, is reset by its own watchdog" is_off $i
done
for g in "${minority[@]}"; do
    shown "$g runs in the majority" runs 3 "$g"
    to=$(host_of 3 "$g")
    is "$(copies "$g")" 1 "... once"
    [ "$(born "${to#h}" "$g")" -gt "$(cut_at 1)" ] && [ "$(born "${to#h}" "$g")" -gt "$(cut_at 2)" ]
    ok $? "... and was built there after both were off"
done
for i in 3 4 5; do
    is_off $i
    is $? 1 "host $i of the majority is not"
done

heal
for i in 1 2; do
    power_on $i
done
for i in 1 2 3 4 5; do
    shown "host $i is settled with all five" settled $i 5
done
for g in g1 g2 g3 g4 g5; do
    is "$(copies $g) $(state_of 1 $g)" "1 running" "$g runs once"
done
same_state() {
    local hashes
    hashes=$(for i in 1 2 3 4 5; do ask "$i" '{"cmd":"cluster"}' result.hash; done)
    [ "$(wc -w <<<"$hashes") $(sort -u <<<"$hashes" | wc -l)" = "5 1" ]
}
shown "all have the same state" same_state
the_end

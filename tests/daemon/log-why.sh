#!/bin/bash
# What happened can be followed as it happens, and asked for afterwards, with the causes.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
protect g2
"$XHA_BUILD/xl-plugins/xl-ha" --socket "$sock" log -f >"$T/all" 2>&1 &
all=$!
"$XHA_BUILD/xl-plugins/xl-ha" --socket "$sock" log -f --json g1 >"$T/one" 2>&1 &
one=$!
told() { grep -q -e "$2" "$T/$1"; }
eventually $patience told all 'g2'
ok $? "log -f begins with what was"
sim crash g1
eventually $patience told all 'g1.*crash'
ok $? "... and goes on with what comes"
comes_back g1 2
sim crash g2
comes_back g2 2
eventually $patience told all 'g2.*crash'
ok $? "... of all domains"
eventually $patience told one '"to":"running"'
is "$(grep -c '"domain":"g2"' "$T/one")" 0 "log -f DOMAIN: only of that one"
has "$(ha log -n 1000 g1)" 'kernel crashed' "log tells of it later"

why=$(ha why g1)
has "$why" 'g1 is running since' "why: what is so now"
has "$why" 'next: it is suspected' "... what comes next"
has "$why" 'kernel crashed' "... what led there"
has "$why" "first heartbeat: ready" "... and how it ended"
event() { ask '{"cmd":"why","args":{"domain":"g1"}}' result.events | grep -o "[^{]*$1[^}]*" | grep -o '"event":[0-9]*'; }
[ -n "$(event '"kind":"alarm"')" ]
is $?/"$(event '"kind":"alarm"')" "0/$(event '"from":"running"')" "the alarm and the state it led to name the same event"

kill_xhad TERM
wait "$all"
is $? 3 "log -f ends when xhad does"
wait "$one"
start_xhad
has "$(ha why g1)" 'kernel crashed' "a new xhad still knows why"
the_end

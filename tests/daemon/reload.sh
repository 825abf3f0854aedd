#!/bin/bash
# Settings and policies read again: what can change does, what cannot is refused by name, a bad file changes nothing.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

policy_in=policy
policy g1 'priority = 7;'
start_xhad
wait_state g1 running
in_force() { ask '{"cmd":"info","args":{"domain":"g1"}}' "result.policy"; }

policy g1 'priority = 9;'
ha reload >/dev/null
is $? 0 "a good policy is taken"
now() { in_force | grep -q '"priority":{[^}]*"value":"9"'; }
eventually $patience now
ok $? "... and in force"
settings 'parallel = 2;'
has "$(ha reload)" 'parallel: 4 -> 2' "a changed setting is told"

settings 'parallel = 3;' 'max_domains = 5;'
said=$(ha reload 2>&1)
is $? 1 "a setting that cannot change: refused"
has "$said" max_domains "... by name"
has "$(ha reload -N 2>&1)" max_domains "a dry run says the same"
settings 'parallel = 3;' 'paralel = 3;'
line=$(grep -n paralel "$T/xhad.conf" | cut -d: -f1)
said=$(ha reload 2>&1)
is $? 1 "a bad file: refused"
has "$said" "$T/xhad.conf:$line: " "... with file and line"
settings 'parallel = 2;'
has "$(ha reload)" 'no setting has changed' "neither has changed anything"

policy g1 'priority = 12;' 'on_crash = "dance";'
line=$(grep -n dance "$T/policy/g1.conf" | cut -d: -f1)
said=$(ha reload 2>&1)
is $? 1 "a bad policy: refused"
has "$said" "$T/policy/g1.conf:$line: " "... with file and line"
in_force | grep -q '"priority":{[^}]*"value":"9"'
ok $? "... and the old one stays in force"
policy g1 'priority = 9;'
policy g2
kill -HUP "$xhad_pid"
entry_is_there() { [ -n "$(state g2)" ]; }
eventually $patience entry_is_there
ok $? "SIGHUP: a new policy is taken"
wait_state g2 running
is "$(begun start g1)$(begun destroy g1)" 10 "the guest has noticed nothing of all that"
the_end

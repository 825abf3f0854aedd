#!/bin/bash
# A guest is saved at intervals and on command while it runs on; recovery takes the newest save, and the counter in
# its memory goes on from there. Old saves go.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1 'protection = "checkpoint";' 'checkpoint: { interval = 0.5; keep = 2; };'
saves() { ha checkpoints --json g1 | grep -c '"number"'; }
number() { ha checkpoints --json g1 | grep -o '"number": [0-9]*' | grep -o '[0-9]*' | sort -n | tail -n 1; }
uuid=$(field g1 uuid)
eventually $patience test -e "$T/checkpoints/$uuid/3.json"
ok $? "it is saved again and again"
is "$(begun start g1)$(begun resume g1)" 10 "it runs on all the while"
sim mute g1 # so that no more saves are made, but the counter runs
sim beat g1
knob work-checkpoint 'refuse other'
sleep 0.6
[ "$(saves)" -le 2 ]
ok $? "no more than two are kept"
newest=$(number)
saved=$(grep -o '"counter":[0-9]*' "$T/checkpoints/$uuid/$newest".xlsave* | grep -o '[0-9]*$')
has "$(grep -o '"xxh3_128": "[0-9a-f]*"' "$T/checkpoints/$uuid/$newest.json")" xxh3 "the manifest has a checksum"

before=$(sim get g1 counter)
sim crash g1
eventually $patience begun_is restore g1 -ge 1
ok $? "it is restored"
wait_state g1 running
after=$(sim get g1 counter)
[ "$after" -ge "$saved" ] && [ "$after" -lt $((before + 10000)) ] && [ "$saved" -gt 0 ]
ok $? "its counter goes on: saved at $saved, crashed at $before, now $after"
is "$(begun start g1)" 1 "it was not booted anew"
is "$(copies g1)" 1 "there is one of it"

knob work-checkpoint
# One at its interval may be under way: then it is refused as busy.
ordered() { ha checkpoint g1 >/dev/null 2>&1; }
eventually $patience ordered
is $? 0 "a checkpoint on command"
[ "$(number)" -gt "$newest" ]
ok $? "has a number of its own"

cfg d1 "disk = ['/dev/vg/d1,raw,xvda,w']"
protect d1 'protection = "checkpoint";' 'checkpoint: { interval = 0; };'
has "$(ha checkpoint d1 2>&1)" 'writable disk' "with a writable disk it is refused, with the reason"
is "$(state d1)" running "... and runs on"
the_end

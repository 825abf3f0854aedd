#!/bin/bash
# Damaged checkpoints are passed over with an alarm; when none is good the guest is booted from its disk. A guest that
# a killed worker left suspended goes on.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1 'protection = "checkpoint";' 'checkpoint: { interval = 0; keep = 9; compress = "none"; };' 'max_restarts = 9;'
dir=$T/checkpoints/$(field g1 uuid)
for _ in 1 2 3 4; do
    ha checkpoint g1 >/dev/null
done
first=$(grep -o '"counter":[0-9]*' "$dir/1.xlsave" | grep -o '[0-9]*$')
printf X | dd of="$dir/4.xlsave" bs=1 seek=9 conv=notrunc status=none # a bit rots
truncate -s 20 "$dir/3.xlsave"                                        # a power cut tears it
echo '{"v":1' >"$dir/2.json"                                          # its manifest, too
: >"$dir/5.xlsave"                                                    # a worker died before the manifest
is "$(ha checkpoints --json g1 | grep -c '"good": true')" 1 "one of them is good"

sim crash g1
eventually $patience begun_is restore g1 -ge 1
wait_state g1 running
alarmed '^corrupt .* g1 .*3' "three are damaged"
[ "$(sim get g1 counter)" -ge "$first" ] && [ "$(sim get g1 counter)" -lt $((first + 3000)) ]
ok $? "it goes on from the oldest, the good one"

rm "$dir/1.xlsave"
sim crash g1
comes_back g1 2
alarmed '^no-checkpoint .* g1' "none is good"
[ "$(sim get g1 counter)" -lt 3000 ]
ok $? "it was booted anew"
is "$(copies g1)" 1 "there is one of it"

knob suspend-g1.once die
ha checkpoint g1 >/dev/null 2>&1
is $? 1 "the worker is killed while the guest stands still for it"
eventually $patience begun_is resume g1 -ge 1
ok $? "the guest is resumed"
wait_state g1 running
is "$(begun start g1)" 2 "... and not started"
is "$(sim list | awk '$2 == "g1" { print $4 }')" running "it runs"
the_end

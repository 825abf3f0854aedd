#!/bin/bash
# A replicated guest: what others see of it waits for its backup. Its host's power goes, and it runs on elsewhere from
# what was seen, without a start; it finds a new backup by itself. Then its backup goes, and it finds another one.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

xhads_up 3
replicated 1 g1
is "$(on "$owner" g1) $(on "$backup" g1)" "running paused" "there is a guest, and a copy that is paused"
is "$(gate "$owner" g1)" shut "its gate is shut"
before=$(seen "$owner" g1)
shown "... what others see of it goes on" sees_more "$owner" g1 "$before"
is "$(ask "$third" '{"cmd":"list"}' result.0.backup)" "h$backup" "a third host knows its backup"

# Its host loses power.
before=$(seen "$owner" g1)
first=$owner
power_off "$owner"
shown "its host loses power: it runs on where its backup is" runs_on "$third" g1 "h$backup"
is "$(begun_on "$backup" start g1)" 0 "... it was not started anew"
test "$(at "$backup" get g1 counter)" -ge "$before"
ok $? "... it remembers all that was seen of it"
shown "... and has a new backup" is_repl "$third" g1 "protected h$third"
look "$third" g1

# The host is back, and the backup's host goes.
power_on "$first"
shown "the host is back" settled "$owner" 3
id=$(domid "$owner" g1)
power_off "$backup"
shown "its backup's host loses power: it has another one" is_repl "$owner" g1 "protected h$first"
is "$(domid "$owner" g1) $(running g1)" "$id 1" "... it runs on where it was, once"
before=$(seen "$owner" g1)
shown "... and is seen" sees_more "$owner" g1 "$before"
the_end

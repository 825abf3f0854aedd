#!/bin/bash
# The stream of a replicated guest breaks: at its sender, at its backup, between the two. Whatever breaks, the gate is
# shut until it is decided in order who speaks, and only one does.
. "${XHA_SRC:?}/tests/cluster/repl-lib.sh"

xhads_up 3
replicated 1 g1
id=$(domid "$owner" g1)

again() { [ "$(told "$owner" replicated)" -gt "$1" ] && protected "$owner" g1; } # COUNT: there is a new copy

# The sender dies.
n=$(told "$owner" replicated)
echo die-protected >"$T/h$owner/sim/move-g1"
shown "the sender is killed: it is replicated anew" again "$n"
is "$(domid "$owner" g1) $(running g1)" "$id 1" "... it runs on where it was"
is "$(told "$owner" promoted)" 0 "... nothing was promoted"
is "$(grep -c 'gate open g1' "$T/h$owner/sim/trace")" 1 "... its gate was opened once"
at_open=$(sed -n 's/^\([0-9.]*\) work gate g1 .*/\1/p' "$T/h$owner/sim/trace")
isnt "$at_open" "" "... by a worker"

# The copy dies.
look "$owner" g1
n=$(told "$owner" replicated)
echo die-standby >"$T/h$backup/sim/move-g1"
shown "the copy's worker is killed: it is replicated anew" again "$n"
is "$(domid "$owner" g1) $(running g1) $(copies g1)" "$id 1 2" "... there is one guest and one copy"

# The first copy does not come to its end.
n=$(told "$owner" replicated)
look "$owner" g1
wish=$T/h$owner/sim/move-g1
used() { [ ! -e "$wish" ]; }
echo 1000 >"$T/h$owner/sim/move_ms"
for moment in die-protected die-syncing; do
    echo $moment >"$wish"
    shown "a sender is killed ($moment)" used
done
is "$(gate "$owner" g1)" 0 "... during a first copy there is no gate"
shown "it is replicated in the end" again "$n"
rm "$T/h$owner/sim/move_ms"
is "$(domid "$owner" g1) $(running g1)" "$id 1" "... and runs on"

# Its stream has nowhere to go, and the hosts see each other all the same (by the other ring).
look "$owner" g1
cut "$owner" "$backup" 0
shown "the network between the two is lost: another host is the backup" is_repl "$owner" g1 "protected h$third"
is "$(domid "$owner" g1) $(running g1)" "$id 1" "... it runs on where it was"
heal

# The sender hangs: its copy hears nothing, and says so.
look "$owner" g1
sender=$(within "$owner" pgrep -f "work $T/h$owner/run/jobs/[0-9]+.job")
within "$owner" kill -STOP "$sender"
shown "the sender hangs: the copy takes over" runs_on "$third" g1 "h$backup"
mute=$(seen "$owner" g1)
test "$(at "$backup" get g1 counter)" -ge "$mute"
ok $? "... it knows all that was seen"
is "$(gate "$owner" g1)" shut "... the other one is mute"
shown "... and is cleared, when its sender was killed" is_on "$owner" g1 ""
shown "... the backup is another" protected "$third" g1
look "$third" g1

# Both live, and do not hear each other: the majority's side speaks, without a fence.
look "$owner" g1
touch "$T/power/deaf"
partition "$owner" "$backup $third"
shown "its host is cut off: its copy takes over" runs_on "$third" g1 "h$backup"
is "$(on "$owner" g1) $(gate "$owner" g1)" "running shut" "... what is cut off runs, and is mute"
mute=$(seen "$owner" g1)
test "$(at "$backup" get g1 counter)" -ge "$mute"
ok $? "... all that was seen of it is known to the one that took over"
sleep 2
is "$(seen "$owner" g1) $(gate "$owner" g1)" "$mute shut" "... it stays mute"
heal
shown "healed, the mute one is gone" is_on "$owner" g1 ""
is "$(running g1)" 1 "... it runs once"
rm "$T/power/deaf"
shown "... and has a backup again" protected "$backup" g1
the_end

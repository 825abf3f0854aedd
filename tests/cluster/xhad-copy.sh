#!/bin/bash
# Disks that no other host reaches: each host has files of its own under the same path, and a move copies them, while
# the domain is stopped.
. "${XHA_SRC:?}/tests/cluster/xhad-lib.sh"

sum_at() { sha256sum <"$T/h$1/disks/g1.img" 2>/dev/null; } # HOST
other_of() { echo $(($1 % 3 + 1)); }
stopped() { [ "$(state_of "$1" g1)" = stopped ]; }

xhads_up 3
policy g1 'storage = "copy";'
echo "disk = ['$T/disks/g1.img,raw,xvda,w']" >>"$T/xen/g1.cfg"
for i in 1 2 3; do # whoever gets it first
    : >"$T/h$i/disks/g1.img"
done
ha 1 protect "$T/policy/g1.conf" >"$T/said" 2>&1
is $? 0 "a domain with a disk of its own host is protected: $(tail -n 1 "$T/said" | command cut -c 1-100)"
shown "... and runs" runs 1 g1
owner=$(host_of 1 g1)
n=${owner#h}
m=$(other_of "$n")
k=$(other_of "$m")
rm -f "$T/h$m/disks/g1.img" "$T/h$k/disks/g1.img"
head -c 1000000 /dev/urandom >"$T/h$n/disks/g1.img"
truncate -s 32M "$T/h$n/disks/g1.img"
before=$(sum_at "$n")

ha "$k" migrate g1 "h$m" >"$T/said" 2>&1
is $? 0 "it moves: $(tail -n 1 "$T/said" | command cut -c 1-120)"
shown "... runs there" runs_on "$k" g1 "h$m"
is "$(copies g1)" 1 "... once"
is "$(sum_at "$m")" "$before" "... with what was on its disk"
is "$(begun_on "$n" send-disks g1) $(begun_on "$m" receive-disks g1) $(begun_on "$m" start g1)" "1 1 1" \
    "... which was copied before it was started there"
[ "$(du -k "$T/h$m/disks/g1.img" | command cut -f 1)" -lt 4000 ]
ok $? "... and holes are holes"

# Back: the file that was left there is older.
echo new | dd of="$T/h$m/disks/g1.img" conv=notrunc 2>/dev/null
ha "$k" migrate g1 "h$n" >"$T/said" 2>&1
isnt $? 0 "a host with an older file of that name does not take it"
ok "$(grep -q 'such a file on the target already.*remove it' "$T/h$n/log"; echo $?)" \
    "... and says what to do: $(tail -n 1 "$T/said" | command cut -c 1-160)"
shown "... it is started again where it was" runs_on "$k" g1 "h$m"
is "$(sum_at "$n")" "$before" "... and nothing is overwritten"
rm -f "$T/h$n/disks/g1.img"

# A stopped domain moves, too, and stays stopped.
ha "$k" stop g1 >/dev/null 2>&1
shown "it is stopped" stopped "$k"
after=$(sum_at "$m")
ha "$k" migrate g1 "h$n" >"$T/said" 2>&1
is $? 0 "stopped it moves as well: $(tail -n 1 "$T/said" | command cut -c 1-120)"
shown "... stays stopped" stopped "$k"
is "$(host_of "$k" g1)" "h$n" "... on the other host"
is "$(sum_at "$n")" "$after" "... and has its disk there"
ha "$k" start g1 >/dev/null 2>&1
shown "started it runs there" runs_on "$k" g1 "h$n"
is "$(copies g1)" 1 "... once"

# The receiver dies in the midst: nothing of it is left there, and the domain goes on where it was.
rm -f "$T/h$k/disks/g1.img"
echo die >"$T/h$k/sim/work-receive-disks-g1"
ha "$m" migrate g1 "h$k" >"$T/said" 2>&1
isnt $? 0 "a receiver that dies ends the move"
shown "... it is started again where it was" runs_on "$m" g1 "h$n"
is "$(copies g1)" 1 "... once"
ok "$([ ! -e "$T/h$k/disks/g1.img" ]; echo $?)" "... and nothing is left at the target"
the_end

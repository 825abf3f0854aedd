#!/bin/bash
# All hosts hear the same messages in the same order, their own included, while all of them talk at once.
. "${XHA_SRC:?}/tests/cluster/lib.sh"

cluster_up 4
probes_start
for i in 1 2 3 4; do
    shown "host $i sees all four" has_members "$i" 0,1,2,3
    shown "host $i has quorum" heard "$i" '^quorum yes'
done
is "$(for i in 1 2 3 4; do view_id $i; done | sort -u | wc -l)" 1 "the view has one id on all hosts"

tell 1 info
shown "it knows the hosts by name and both addresses" heard 1 '^host 3 h4 10.77.0.4 10.77.1.4$'
shown "... and the votes" heard 1 '^votes 4/4 needed=3 '

for i in 1 2 3 4; do
    tell $i flood 500 $((i * 700))
done
all_there() {
    [ "$(grep -c '^message' "$T/h$1/out")" -eq 2000 ]
}
for i in 1 2 3 4; do
    shown "host $i heard all" all_there $i
    grep '^message' "$T/h$i/out" >"$T/order.$i"
done
for i in 2 3 4; do
    is "$(cmp "$T/order.1" "$T/order.$i" 2>&1)" "" "host $i heard what host 1 heard, in the same order"
done
for i in 0 1 2 3; do
    sed -n "s/^message $i .* $i#\([0-9]*\)\$/\1/p" "$T/order.1" >"$T/of.$i"
    is "$(sort -n -c "$T/of.$i" 2>&1)" "" "what host $((i + 1)) sent came in the order of sending"
done
the_end

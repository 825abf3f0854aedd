#!/bin/bash
# Large messages go in parts and come whole, or not at all: also when views change in their midst.
. "${XHA_SRC:?}/tests/cluster/lib.sh"
long_story

cluster_up 3
probes_start
for i in 1 2 3; do
    wait_for "host $i sees all" has_members "$i" 0,1,2 || exit 1
done

tell 1 flood 2 20971520
tell 2 flood 200 300
tell 3 flood 40 700000
heard_all() {
    [ "$(grep -c '^message' "$T/h$1/out")" -eq 242 ]
}
for i in 1 2 3; do
    shown "host $i heard all" heard_all $i
    grep '^message' "$T/h$i/out" >"$T/order.$i"
done
for i in 2 3; do
    is "$(cmp "$T/order.1" "$T/order.$i" 2>&1)" "" "host $i heard what host 1 heard, in the same order"
done
is "$(grep -c '^message 0 20971520' "$T/order.1")" 2 "messages of 20 MiB came whole"
is "$(sed -n 's/^message 2 .* 2#//p' "$T/order.1" | sort -n -c 2>&1)" "" "large ones keep their order"

# Processes and hosts come and go while large messages are under way.
forget
tell 1 flood 12 10000000
for _ in 1 2 3; do
    sleep 0.5
    signal 3 probe KILL
    sleep 0.3
    probe_start 3
done
partition "1 2" 3
sleep 2
heal
for i in 1 2; do
    flooded() { [ "$(grep -c '^message 0 10000000' "$T/h$1/out")" -eq 12 ]; }
    shown "host $i heard each of the twelve once, whatever happened to host 3" flooded $i
    is "$(sed -n 's/^message 0 .* 0#//p' "$T/h$i/out" | tr '\n' ' ')" "0 1 2 3 4 5 6 7 8 9 10 11 " \
        "... in their order"
done
shown "host 3 is back" has_members 3 0,1,2
is "$(grep '^message' "$T/h3/out" | sort | uniq | grep -vxFf <(grep '^message' "$T/h1/out"))" "" \
    "what host 3 heard is what the others heard"

# One that goes in the midst of a message leaves no half of it.
forget
tell 3 flood 6 20000000
wait_for "the first is through" heard 1 '^message 2 20000000'
signal 3 probe KILL
shown "the sender is gone" heard 1 '^view .*left=2:proc'
tell 2 say still-there
for i in 1 2; do
    shown "host $i goes on" heard $i still-there
done
is "$(grep '^message' "$T/h1/out")" "$(grep '^message' "$T/h2/out")" "both heard the same of it"
the_end

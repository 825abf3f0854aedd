#!/bin/bash
# move-workers.sh: the two workers of a move by themselves, on two simulated hosts, with jobs written by hand. What
# each says of its end must be so there, whatever happens to the other.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

key=$T/cluster.key
uuid=5eed0000-0000-4000-8000-000000000001
printf '%064d\n' 7 >"$key"
chmod 600 "$key"
mkdir "$T/h1" "$T/h2" "$T/jobs-h1" "$T/jobs-h2"

at() { # HOST WHAT...: xhad-sim there
    local host=$1
    shift
    XHA_SIM_DIR=$T/$host "$sim" "$@"
}
on() { at "$1" ctl list | awk '$3 == "'$uuid'" { print $4 }'; } # the state of the guest there

job() { # HOST VERB DOMID MORE...
    printf '{"v":1,"id":1,"verb":"%s","uuid":"%s","name":"g1","domid":%s,"move":{"id":5,"key_file":"%s"%s}}\n' \
        "$2" $uuid "$3" "$key" "${4:-}" >"$T/jobs-$1/1.job"
    rm -f "$T/jobs-$1/1.done"
}
result() { # HOST: what its worker said
    sed -n 's/.*"result":"\([a-z]*\)".*/\1/p' "$T/jobs-$1/1.done" 2>/dev/null
}
message() { sed -n 's/.*"message":"\([^"]*\)".*/\1/p' "$T/jobs-$1/1.done"; }
domid_at() { at "$1" ctl get g1 domid; }

# move [MORE]: g1 from h1 to h2 by two workers; waits for both
move() {
    : >"$T/h2.out"
    job h2 receive -1 ',"bind":"127.0.0.1"'
    XHA_SIM_DIR=$T/h2 "$sim" work "$T/jobs-h2/1.job" >"$T/h2.out" 2>>"$T/log" &
    target=$!
    eventually $patience grep -q listening "$T/h2.out"
    port=$(sed -n 's/.*"listening","done":\([0-9]*\).*/\1/p' "$T/h2.out")
    job h1 migrate "$(domid_at h1)" ",\"host\":\"127.0.0.1\",\"port\":$port${1:-}"
    XHA_SIM_DIR=$T/h1 "$sim" work "$T/jobs-h1/1.job" >"$T/h1.out" 2>>"$T/log" &
    source=$!
    [ -z "${2:-}" ] || { sleep "$2" && kill -TERM $source; }
    { wait $source; wait $target; } 2>/dev/null
}
order() { # HOST VERB: an order about the guest there
    job "$1" "$2" "$(domid_at "$1")"
    at "$1" work "$T/jobs-$1/1.job" >/dev/null 2>>"$T/log"
}
fresh() { # g1 runs on h1 and nowhere else
    rm -rf "$T/h1" "$T/h2"
    mkdir "$T/h1" "$T/h2"
    at h1 ctl create "$T/xen/g1.cfg"
}
cfg g1 "uuid = \"$uuid\""

for mode in live warm; do
    fresh
    sleep 0.2
    before=$(at h1 ctl get g1 counter)
    move ",\"mode\":\"$mode\""
    is "$(result h1)/$(result h2)" ok/ok "$mode: both ends say so"
    is "$(on h1)/$(on h2)" shut/paused "$mode: it stands still at both ends until the verdict"
    order h2 resume
    order h1 destroy
    is "$(on h1)/$(on h2)" /running "$mode: it runs there alone"
    test "$(at h2 ctl get g1 counter)" -ge "$before"
    ok $? "$mode: it goes on from where it was"
done

fresh
echo 2000 >"$T/h1/move_ms"
move '' 0.5
is "$(result h1)/$(result h2)" refused/refused "told to stop in the middle: neither end has moved it"
is "$(on h1)/$(on h2)" running/ "it runs on where it was"
has "$(message h1)" "told to stop" "and says why"

fresh
echo abort >"$T/h1/move-g1"
move ',"mode":"warm"'
is "$(on h1)/$(on h2)" running/ "a warm move that is given up runs on"

fresh
at h2 ctl create "$T/xen/g1.cfg"
move
is "$(result h1)/$(result h2)" refused/refused "it is there already: refused at both ends"
has "$(cat "$T/jobs-h1/1.done")" '"refusal":"runs-already"' "the source passes the reason on"
is "$(on h1)/$(on h2)" running/running "and nothing was done to either"

for moment in die-streaming die-suspended; do
    fresh
    echo $moment >"$T/h1/move-g1"
    move
    is "$(result h1)/$(result h2)" /refused "$moment: the target has nothing"
    is "$(on h2)" '' "$moment: nothing is left there"
    order h1 resume
    is "$(on h1)" running "$moment: the source can go on"
done

fresh
echo die-sent >"$T/h1/move-g1"
move
is "$(result h1)/$(result h2)" /ok "source killed behind the end: the target has it whole"
is "$(on h1)/$(on h2)" shut/paused "and neither runs without a verdict"

fresh
echo die-restoring >"$T/h2/move-g1"
move
is "$(on h2)" '' "target killed while restoring: nothing is there"
case "$(result h1)/$(on h1)" in
ok/shut | refused/running) ok 0 "the source waits for the verdict, or runs on" ;;
*) ok 1 "the source is $(result h1), its guest $(on h1)" ;;
esac

fresh
echo fail-restore >"$T/h2/move-g1"
move
is "$(result h2)" refused "a restore that fails is refused"
is "$(on h2)" '' "and nothing is left of it"

fresh
printf '%064d\n' 8 >"$T/other.key"
chmod 600 "$T/other.key"
key=$T/other.key
job h1 migrate "$(domid_at h1)" ',"host":"127.0.0.1","port":1'
key=$T/cluster.key
job h2 receive -1 ',"bind":"127.0.0.1"'
sed -i 's/"domid":-1/"domid":-1,"deadline_ms":3000/' "$T/jobs-h2/1.job"
: >"$T/h2.out"
XHA_SIM_DIR=$T/h2 "$sim" work "$T/jobs-h2/1.job" >"$T/h2.out" 2>>"$T/log" &
target=$!
eventually $patience grep -q listening "$T/h2.out"
port=$(sed -n 's/.*"listening","done":\([0-9]*\).*/\1/p' "$T/h2.out")
sed -i "s/\"port\":1/\"port\":$port/" "$T/jobs-h1/1.job"
at h1 work "$T/jobs-h1/1.job" >/dev/null 2>>"$T/log"
wait $target
is "$(result h1)/$(result h2)" refused/refused "another cluster's key: nothing moves"
has "$(message h1)" "another cluster key" "and the source says why"
is "$(on h1)/$(on h2)" running/ "it runs on where it was"

finish

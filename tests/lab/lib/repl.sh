# The words of stories about the two workers of a replication, driven by job files that the story writes itself.
# shellcheck shell=bash

# shellcheck source=lib/move.sh
. "$LAB_LIB/move.sh"
# shellcheck source=lib/asker.sh
. "$LAB_LIB/asker.sh"

MOVE_NET=10.3.0 # the network of replication

# repl_job HOST FILE VERB NAME DOMID MOVE [REPLICA]: as move_job, without a deadline; REPLICA is what "replica" holds
repl_job() {
    on "$1" "rm -f /run/moves/$2.*; cat >/run/moves/$2.job <<'J'
{\"v\":1,\"id\":$((++move_id)),\"verb\":\"$3\",\"uuid\":\"$(move_uuid "$4")\",\"name\":\"$4\",\"domid\":$5,\"move\":{\"id\":9,\"key_file\":\"/etc/xhad/cluster.key\"$6},\"replica\":{${7:-}}}
J"
}
# repl_start FROM TO NAME [REPLICA]: both workers begin
repl_start() {
    repl_job "$2" in replicate-in "$3" -1 ",\"bind\":\"$MOVE_NET.${2#h}\"" "${4:-}"
    move_begin "$2" in
    expect_eventually 60 "the backup listens" move_listens "$2" in
    repl_job "$1" out replicate-out "$3" "$(on "$1" "xl domid $3")" \
        ",\"host\":\"$MOVE_NET.${2#h}\",\"port\":$(move_port "$2" in)" "${4:-}"
    move_begin "$1" out
}
repl_says() { on "$1" "grep -q '\"$3\"' /run/moves/$2.out"; } # HOST FILE STEP
repl_epochs() { on "$1" "grep -c '\"epoch\":{' /run/moves/$2.out" || true; }
repl_past() { [ "$(repl_epochs "$1" "$2")" -gt "$3" ]; } # HOST FILE NUMBER
# repl_mean HOST FIELD [FROM]: of the epochs after the first ten, in their unit
repl_mean() {
    on "$1" "jq -s '[.[] | .epoch // empty | select(.number > ${3:-10}) | .$2] | if length > 0 then add / length | floor else 0 end' /run/moves/out.out"
}
repl_signal() { on "$1" "kill -$3 \$(cat /run/moves/$2.pid)"; } # HOST FILE SIGNAL
# What became of the pauses, in the mean.
repl_figures() { # HOST
    note "epochs: $(repl_epochs "$1" out); in the mean pages $(repl_mean "$1" pages), raw $(repl_mean "$1" raw_bytes), sent $(repl_mean "$1" sent_bytes) bytes"
    note "  suspend $(repl_mean "$1" suspend_us) (of it the gate $(repl_mean "$1" gate_us)), scan $(repl_mean "$1" scan_us), copy $(repl_mean "$1" copy_us), resume $(repl_mean "$1" resume_us), commit $(repl_mean "$1" commit_us), interval $(repl_mean "$1" interval_us), delay $(repl_mean "$1" delay_us) us"
}

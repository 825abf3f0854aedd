#!/bin/sh
# xl-ha cluster on files below --root; and corosync itself reads what was written. Real clusters are made by
# tests/cluster/.
# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
PATH=$PATH:/usr/sbin

run() {
    # shellcheck disable=SC2086
    ${XHA_WRAP:-} "$XHA_BUILD/xl-plugins/xl-ha" cluster "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    code=$?
}

says() { # PATTERN WHAT
    grep -q -- "$1" "$tmp/out" "$tmp/err"
    ok $? "$2"
}

# corosync looks for the nodelist's host among this machine's addresses: one of them is local
accepted() { # FILE WHAT
    sed "s/ring0_addr: 10.0.0.1\$/ring0_addr: 127.0.0.1/; s|^totem {|&\n    keyfile: ${1%/*}/authkey|" "$1" \
        >"$tmp/corosync.conf"
    is "$(corosync -t -c "$tmp/corosync.conf" 2>"$tmp/corosync.err" && echo taken)" taken "$2"
}

mode() {
    stat -c %a "$1"
}

a=$tmp/a
etc=$a/etc/corosync
run init --root "$a" shop h1=10.0.0.1,10.1.0.1 h2=10.0.0.2,10.1.0.2
is "$code" 0 "init"
says 'Two hosts: .*two_node.*wait_for_all.*confirm-fenced.*third host.*qdevice' "two hosts are explained"
says 'cluster join' "... and what comes next"
accepted "$etc/corosync.conf" "corosync takes two hosts with two links"
is "$(mode "$etc/authkey") $(wc -c <"$etc/authkey")" "400 256" "corosync's key"
key=$(find "$a" -name cluster.key)
is "$(mode "$key") $(grep -cE '^[0-9a-f]{64}$' "$key")" "400 1" "the key of moves"
is "$(grep -E 'crypto|two_node|wait_for' "$etc/corosync.conf" | xargs)" \
    "crypto_cipher: aes256 crypto_hash: sha256 two_node: 1 wait_for_all: 1" "encrypted, and fit for two"
sum=$(cat "$etc"/* | cksum)
run init --root "$a" shop h1=10.0.0.1 h2=10.0.0.2
is "$code" 1 "a second time is refused"
says 'cluster leave.*--force' "... with what to do"
is "$(cat "$etc"/* | cksum)" "$sum" "... and nothing was touched"
run init --root "$a" -N shop h1=10.0.0.1 h2=10.0.0.2 h3=10.0.0.3
is "$code/$(cat "$etc"/* | cksum)" "0/$sum" "-N writes nothing"
says 'ring0_addr: 10.0.0.3' "... but shows it"
run init --root "$a" --force --json --detection 1.5 shop h1=10.0.0.1 h2=10.0.0.2 h3=10.0.0.3 h4=10.0.0.4
is "$code" 0 "--force writes it anew"
says '"notes": \[' "JSON"
says 'even number' "an even number of hosts is explained"
accepted "$etc/corosync.conf" "corosync takes four hosts"
[ "$(cat "$etc"/* | cksum)" != "$sum" ]
ok $? "... and the keys are new"
token=$(sed -n 's/^ *token: //p' "$etc/corosync.conf")
consensus=$(sed -n 's/^ *consensus: //p' "$etc/corosync.conf")
[ $((token + consensus)) -le 1500 ] && [ $((token + consensus)) -ge 1300 ]
ok $? "token and consensus make the detection wanted"

# Debian's example is no cluster.
mkdir -p "$tmp/deb/etc/corosync"
printf 'nodelist {\n node {\n  name: node1\n  nodeid: 1\n  ring0_addr: 127.0.0.1\n }\n}\n' >"$tmp/deb/etc/corosync/corosync.conf"
run init --root "$tmp/deb" --qdevice 10.0.9.9 shop h1=10.0.0.1 h2=10.0.0.2
is "$code" 0 "the example of Debian's package is written over"
says 'corosync-qnetd on 10.0.9.9' "a quorum device is explained"
accepted "$tmp/deb/etc/corosync/corosync.conf" "corosync takes a quorum device"
timeout=$(sed -n 's/^ *timeout: //p' "$tmp/deb/etc/corosync/corosync.conf")
[ $((timeout * 12 / 10)) -le 3000 ] && [ "$timeout" -ge 1250 ]
ok $? "it learns of a loss within the detection"

for bad in "shop" "shop h1=10.0.0.1" "shop h1=10.0.0.1 h1=10.0.0.2" "shop h1=10.0.0.1 h2" "a/b h1=10.0.0.1 h2=10.0.0.2" \
    "--detection 0.01 shop h1=10.0.0.1 h2=10.0.0.2" "--detection x shop h1=10.0.0.1 h2=10.0.0.2"; do
    # shellcheck disable=SC2086
    run init --root "$tmp/bad" $bad
    is "$code" 2 "refused: init $bad"
done
[ ! -e "$tmp/bad" ]
ok $? "... and nothing was written"

# Another host joins.
run bundle --root "$a"
is "$code" 0 "bundle"
umask 022
"$XHA_BUILD/xl-plugins/xl-ha" cluster bundle --root "$a" >"$tmp/bundle"
is "$(mode "$tmp/bundle")" 600 "... into a file for its owner alone"
run join --root "$tmp/b" "$tmp/bundle"
is "$code" 0 "join"
is "$(cd "$tmp/b" && find . -type f -exec cksum {} + | sort)" "$(cd "$a" && find . -type f -exec cksum {} + | sort)" \
    "... brings the same files"
is "$(mode "$tmp/b/etc/corosync/authkey")" 400 "... with the key for root alone"
run join --root "$tmp/b" "$tmp/bundle"
is "$code" 1 "a second time is refused"
head -c 1500 "$tmp/bundle" >"$tmp/half"
run join --root "$tmp/c" "$tmp/half"
is "$code" 1 "half a bundle is refused"
says 'no whole bundle' "... by its name"
sed 's/"xhad_bundle": 1/"xhad_bundle": 2/' "$tmp/bundle" >"$tmp/newer"
run join --root "$tmp/c" "$tmp/newer"
says 'version 2, of a newer xl-ha' "a newer one is refused as such"
sed 's/nodeid: 1/nodeid: 99/' "$tmp/bundle" >"$tmp/odd"
run join --root "$tmp/c" "$tmp/odd"
says 'nodeid from 1 to 64' "one with an odd corosync.conf is refused"
[ ! -e "$tmp/c" ]
ok $? "... and nothing was written"

run add --root "$a" h5=10.0.0.5
is "$code" 0 "add"
accepted "$etc/corosync.conf" "corosync takes it with one host more"
is "$(grep -cE 'config_version: 2|name: h5' "$etc/corosync.conf")" 2 "... under a higher version"
says 'corosync-cfgtool -R' "... and is told what to do with it"
run remove --root "$a" h2
is "$code" 0 "remove"
accepted "$etc/corosync.conf" "corosync takes it with one less"
is "$(grep -cE 'config_version: 3|name: h[1345]|name: h2' "$etc/corosync.conf")" 5 "... which is the right one"
run remove --root "$a" nobody
is "$code" 1 "remove: an unknown host"
run leave --root "$a"
is "$code" 0 "leave"
is "$(find "$a" -type f | grep -vc '\.left-')" 0 "... puts all aside"
run add --root "$a" h6=10.0.0.6
says 'xl-ha cluster init' "without a cluster it says what to do"
run dance
is "$code" 2 "an unknown word"
finish

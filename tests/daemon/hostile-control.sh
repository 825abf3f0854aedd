#!/bin/bash
# Whatever comes over the control socket, xhad answers it, bounded, and goes on serving the others.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
raw() { "$poke" "$sock" raw "${1:-$((patience * 20))}"; } # standard input to xhad; its words to standard output
code() { sed -n 's/.*"code":"\([a-z-]*\)".*/\1/p' | xargs; }

is "$(echo 'GET / HTTP/1.1' | raw | code)" bad-request "no JSON"
is "$(head -c 3000 /dev/urandom | tr -d '\n' | { cat; echo; } | raw | code)" bad-request "random bytes"
is "$(printf '{"v":1,"cmd":"li\000st"}\n' | raw | code)" bad-request "a NUL in it"
is "$(printf '{"v":1,"cmd":"\377\376"}\n' | raw | code)" bad-request "no UTF-8"
is "$(echo '{"v":2,"cmd":"list"}' | raw | code)" version "another version"
is "$(echo '{"cmd":"list"}' | raw | code)" version "no version"
is "$(echo '{"v":1,"cmd":7}' | raw | code)" bad-request "cmd is no text"
is "$(echo '{"v":1,"cmd":"list","args":[1]}' | raw | code)" bad-request "args are no object"
is "$(echo '{"v":1,"cmd":"format-disk"}' | raw | code)" no-such-command "an unknown command"
is "$(echo '{"v":1,"cmd":"stop","args":{"domain":["g1"]}}' | raw | code)" bad-request "an argument of another type"
is "$(echo '{"v":1,"cmd":"stop","args":{"domain":"../../g1"}}' | raw | code)" no-such-domain "a name that is a path"
is "$(echo '{"v":1,"cmd":"protect","args":{"file":"etc/passwd"}}' | raw | code)" bad-request "a relative path"
is "$(echo '{"v":1,"cmd":"protect","args":{"file":"/dev/zero"}}' | raw 2000 | code)" bad-policy "a policy without end"
is "$(echo '{"v":1,"cmd":"log","args":{"lines":99999999999}}' | raw | code)" bad-request "a number out of range"
deep=$(printf '%100000s' '' | tr ' ' '[')
is "$(echo "{\"v\":1,\"cmd\":\"list\",\"args\":{\"a\":$deep" | raw | code)" bad-request "100,000 brackets"
is "$(head -c 1100000 /dev/zero | tr '\0' a | raw | code)" too-long "a line of more than 1 MiB"
is "$({ printf '{"v":1,"cmd":"list","args":{"pad":"%900000s"}}\n' ''; } | raw $((patience * 50)) | grep -c '"ok":true')" 1 \
    "a line of almost 1 MiB is taken"
is "$(for _ in 1 2 3; do echo '{"v":1,"cmd":"version"}'; done | raw | grep -c '"ok":true')" 3 "three requests at once"
is "$(printf '{"v":1,"cmd":"stop","args":{"domain":"g1"}}' | raw)" "" "an unfinished request does nothing"
is "$(state g1)/$(begun shutdown g1)" running/0 "... the guest runs"

# One that never reads, and some that never write, hold nobody up.
for _ in 1 2 3; do sleep 3 | raw 3000 >/dev/null & done
{ for _ in $(seq 300); do echo '{"v":1,"cmd":"info","args":{"domain":"g1"}}'; done; } |
    "$poke" "$sock" raw 2000 > >(sleep 1) &
sleep 0.2
answers
ok $? "others are served meanwhile"

read -r answered refused < <("$poke" "$sock" crowd 100)
[ "$answered" -ge 50 ] && [ "$answered" -le 64 ] && [ $((answered + refused)) -eq 100 ]
ok $? "of 100 clients at once $answered are served, $refused told to come again"
eventually $patience answers
ok $? "then there is room again"
is "$(state g1)" running "the guest has not noticed"
[ "$(stat -c %a "$sock")" = 600 ]
ok $? "the socket is its owner's alone"
is "$(grep -c 'level=error' "$T/log")" 0 "none of it is an error of xhad"
the_end

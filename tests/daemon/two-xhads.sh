#!/bin/bash
# A second xhad on the same run directory is refused, and the first is not disturbed. Exit codes of xhad.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

start_xhad
protect g1
first=$xhad_pid
launch
xhad_ended
is "$xhad_status" 1 "the second one ends"
logged "another xhad\|xhad cannot start.*$first"
ok $? "... and says that another one runs"
xhad_pid=$first
is "$(state g1)" running "the first one goes on"
is "$(cat "$T/run/pid")" "$first" "the pid file is still its own"
run() { # ARGUMENT...: sets code
    # shellcheck disable=SC2086
    ${XHA_WRAP:-} "$XHA_BUILD/xhad/xhad" "$@" >"$T/out" 2>&1 </dev/null
    code=$?
}
run -n -c "$T/xhad.conf"
is $code 0 "xhad -n of good settings"
has "$(cat "$T/out")" 'probe_window = 0.4' "... prints them"
run -n -c "$T/nowhere.conf"
is $code 78 "xhad -n without a file"
echo 'paralel = 2;' >"$T/bad.conf"
run -f -c "$T/bad.conf"
is $code 78 "bad settings: xhad does not start"
has "$(cat "$T/out")" "$T/bad.conf:1: " "... and names file and line"
run --no-such-option
is $code 2 "an unknown option"
run surplus
is $code 2 "a surplus argument"
the_end

#!/bin/sh
# stories.sh [ROOM PLAYER]: plays every story of a room of tests/ and compares what it prints with what it has to print.
# shellcheck disable=SC2154 # XHA_SRC, XHA_BUILD, XHA_WRAP come from the Makefile
. "$XHA_SRC/tests/tap.sh"

room=${1:-scenario} player=${2:-xha-sim}
sim=$XHA_BUILD/tests/$room/$player
dir=$XHA_SRC/tests/$room/stories
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

for story in "$dir"/*.sim; do
    name=$(basename "$story" .sim)
    # shellcheck disable=SC2086 # XHA_WRAP is a command with arguments, or empty
    $XHA_WRAP "$sim" "$story" >"$work/out" 2>"$work/err"
    status=$?
    if [ $status -ne 0 ]; then
        sed 's/^/# /' "$work/err"
        tail -n 3 "$work/out" | sed 's/^/# /'
    elif ! diff -u "$dir/$name.expect" "$work/out" >"$work/diff"; then
        sed 's/^/# /' "$work/diff"
        echo "# if this is on purpose: make -C tests/$room bless NAME=$name"
        status=1
    fi
    ok $status "$name"
done

# A story begins by saying what it tells, judges its end, and no .expect has lost its story.
bad=
for story in "$dir"/*; do
    case $story in
    *.sim) head -n 1 "$story" | grep -q '^# .' && grep -q '^expect ' "$story" || bad="$bad ${story##*/}" ;;
    *.expect) [ -f "${story%.expect}.sim" ] || bad="$bad ${story##*/}" ;;
    *) bad="$bad ${story##*/}" ;;
    esac
done
is "$bad" "" "each story says what it tells, and judges its end"

# A script that is wrong is refused with its file and line.
wrong() { # NAME TEXT WANTED
    printf '%s\n' "$2" >"$work/wrong.sim"
    got=$("$sim" "$work/wrong.sim" 2>&1 >/dev/null)
    is "$got" "$player: $work/wrong.sim:$3" "$1"
}
wrong "a line that is not understood" "$(printf 'domain web\nat 1s web explodes\nrun 1s')" \
    "2: this line is not understood: see tests/$room/README.md"
wrong "a domain that is not there" "$(printf 'domain web\nat 1s db crashes\nrun 1s')" "2: there is no domain 'db'"
wrong "a policy key that is not there" "domain web policy: retries=5" "1: there is no key 'retries'"
wrong "a value that does not fit" "domain web policy: protection=always" "1: 'always' is no value for protection"
wrong "a run without an end" "domain web" "1: 'run' with a length of time is missing"
wrong "a line after the end" "$(printf 'domain web\nat 9s web crashes\nrun 5s')" "2: this comes after the end of the run"
finish

#!/bin/sh
# Manuals and programs say the same: each long option in --help is described in the program's manual and the other
# way round, likewise the one-letter options that --help shows, and the exit codes seen here are documented.
# XHA_MANUALS: pairs program=manual, both relative to the top of build and source.
. "${XHA_SRC:?}/tests/tap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Options are tagged in the manual as ".It Fl x ... , Fl -long ...".
manual_options() {
    grep '^\.It Fl' "$1" | grep -oE 'Fl (-[a-z][a-z0-9-]*|[A-Za-z0-9])\b' | sed 's/^Fl /-/' | sort -u
}

# An option line of --help starts with blanks and the option.
help_options() {
    grep -oE '^ +-[^ ].*' "$1" | sed 's/^ *//; s/   .*//' | grep -oE '(^|[ ,])(--[a-z][a-z0-9-]*|-[A-Za-z0-9])\b' |
        tr -d ' ,' | sort -u
}

# The section's items, "0" or "1, 2".
exit_codes() {
    awk '/^\.Sh/ { on = /EXIT STATUS/ } on && /^\.It/' "$1" | grep -oE '[0-9]+'
}

check_exit() { # ARGUMENT MANUAL NAME PROGRAM
    "$4" "$1" >/dev/null 2>&1 </dev/null
    code=$?
    exit_codes "$2" | grep -qx "$code"
    ok $? "$3: exit code $code of '$1' is documented"
}

for pair in ${XHA_MANUALS:?}; do
    program=$XHA_BUILD/${pair%=*}
    manual=$XHA_SRC/${pair#*=}
    name=${program##*/}

    "$program" --help >"$tmp/help" 2>&1
    ok $? "$name --help succeeds"
    help_options "$tmp/help" >"$tmp/in-help"
    manual_options "$manual" >"$tmp/in-manual"
    test -s "$tmp/in-help" && test -s "$tmp/in-manual"
    ok $? "$name: options found in both"
    is "$(comm -23 "$tmp/in-help" "$tmp/in-manual" | xargs)" "" "$name: options of --help that its manual lacks"
    is "$(comm -13 "$tmp/in-help" "$tmp/in-manual" | xargs)" "" "$name: options of its manual that --help lacks"
    check_exit --help "$manual" "$name" "$program"
    check_exit --version "$manual" "$name" "$program"
    check_exit --no-such-option "$manual" "$name" "$program"
done

# No manual is left out, and each is clean.
for manual in "$XHA_SRC"/man/*.[1-9]; do
    if command -v mandoc >/dev/null; then
        is "$(mandoc -Tlint -Wwarning "$manual")" "" "${manual##*/}: mandoc has nothing to say"
    else
        skip "${manual##*/}: mandoc has nothing to say" "mandoc is not installed"
    fi
done
finish

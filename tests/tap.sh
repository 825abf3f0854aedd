# tap.sh: the few words in which a shell test reports. Source it first:
#     . "$XHA_SRC/tests/tap.sh"
#     plan 2                      # or: finish, as the last word, when the number is not known before
#     ok $? "what was shown"
#     is "$got" "$wanted" "what was shown"
#     skip "what was not shown" "why not"
# shellcheck shell=sh

tap_count=0
tap_failed=0

plan() {
    echo "1..$1"
}

ok() {
    tap_count=$((tap_count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $tap_count - $2"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $2"
    fi
}

is() {
    if [ "$1" = "$2" ]; then
        ok 0 "$3"
    else
        ok 1 "$3"
        printf 'got:    %s\nwanted: %s\n' "$1" "$2" | sed 's/^/# /'
    fi
}

skip() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

finish() {
    plan "$tap_count"
    [ "$tap_failed" -eq 0 ]
}

#!/bin/sh
# The core reaches nothing but itself: the objects of xhad/core leave no symbol undefined but those named here. No I/O,
# no clock, no locks; memory comes from calloc() in _new() only.
. "${XHA_SRC:?}/tests/tap.sh"

library=${XHA_BUILD:?}/xhad/libxhacore.a

# What the compiler puts in by itself: stack protector, fortified string functions, position independence.
inserted='__stack_chk_fail|__(mem(cpy|move|set)|snprintf|vsnprintf|str(cpy|cat|ncpy))_chk|_GLOBAL_OFFSET_TABLE_'
allowed="memcpy|memmove|memset|memcmp|strlen|strnlen|strcmp|strchr|strstr|bcmp|snprintf|abort|calloc|free|__assert_fail|$inserted"

if [ "${SANITIZERS:?}" = yes ]; then
    plan 1
    skip "the core's undefined symbols" "the sanitizers put their own into every object"
    exit
fi
plan 3

test -s "$library"
ok $? "the core is built: libxhacore.a"
defined=$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | sort -u)
test -n "$defined"
ok $? "it defines symbols"
# Symbols that one object of the library takes from another are the core's own.
stray=$(nm -gu "$library" | awk '$1 == "U" { print $2 }' | sort -u | grep -vxE "$allowed" |
    while read -r symbol; do echo "$defined" | grep -qx "$symbol" || echo "$symbol"; done)
is "$stray" "" "no undefined symbol outside the list"

#!/bin/sh
# valgrind.sh PROGRAM ARGUMENT...: runs a program under valgrind, and anything else (scripts, static
# binaries, in which valgrind cannot see the allocator) as it is. Errors and lost memory end in exit code 99.
if [ "$(head -c 4 "$1" | tail -c 3)" = ELF ] && readelf -lW "$1" 2>/dev/null | grep -q INTERP; then
    exec valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
        --child-silent-after-fork=yes --suppressions="$(dirname "$0")/valgrind.supp" "$@"
fi
exec "$@"

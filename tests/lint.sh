#!/bin/bash
# lint.sh BUILDDIR [TOOL...]: the tools that read the code, one TAP line for each: format, cppcheck, tidy, shell, man.
# What a tool says is printed as comments. A tool that is missing is a failure: lint is for developers, and
# tests/packages.list names them all.
# shellcheck disable=SC2317 # the tools are called by name
set -u
cd "$(dirname "$0")/.." || exit 1
export XHA_SRC=$PWD
. tests/tap.sh

build=${1:?the build directory}
shift
[ $# -gt 0 ] || set -- format cppcheck tidy shell man
flags=(-std=gnu11 -D_GNU_SOURCE -DHAVE_CONFIG_H -I. "-I$build" -include "$build/config.h")
# Where things are installed does not matter for reading.
while read -r dir; do flags+=("$dir=\"/x\""); done < <(grep -oE -e '-DXHA_[A-Z_]+_DIR' common-rules.mk | sort -u)
read -ra library_flags <<<"$(pkg-config --cflags xenlight xenstore xencontrol libconfig libuv jansson libzstd libxxhash libnl-3.0)"

all_c() { # find's words
    find xhad xl-plugins guest tests -name '*.[ch]' "$@" | sort
}

# Scripts are told by their first line, or by their place.
all_scripts() {
    local f
    find check demo xhad xl-plugins guest conf tests .ci -type f -size -200k ! -name '*.[cho]' 2>/dev/null | sort |
        while read -r f; do
            case $f in
            tests/lab/lib/*.sh | tests/tap.sh) echo "$f" ;;
            *) head -n 1 "$f" | grep -aqE '^#!.*[/ ](ba|da)?sh( |$)' && echo "$f" ;;
            esac
        done
}

lint_format() {
    local f r=0
    while read -r f; do
        clang-format --dry-run -Werror "$f" 2>/dev/null && continue
        echo "$f: run clang-format -i on it; the first difference:"
        clang-format "$f" | diff "$f" - | head -n 6
        r=1
    done < <(all_c)
    return "$r"
}

# Not heard: memory that __attribute__((cleanup)) frees (memleak, resourceLeak), NULL as the last argument (varFuncNullUB).
lint_cppcheck() {
    all_c -name '*.c' | xargs cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,portability,performance \
        --error-exitcode=1 --inline-suppr --suppress=missingIncludeSystem --suppress=missingInclude \
        --suppress=unknownMacro --suppress=varFuncNullUB --suppress=memleak --suppress=resourceLeak --suppress='*:/usr/include/*' -D_GNU_SOURCE -D__GNUC__ -DPACKAGE_VERSION='""' \
        -I. -I"$build"
}

lint_tidy() {
    all_c -name '*.c' |
        xargs -P "$(nproc)" -n 4 sh -c 'clang-tidy --quiet "$@" 2>&1' sh "${flags[@]/#/--extra-arg=}" \
            "${library_flags[@]/#/--extra-arg=}" |
        grep -v -e ' generated\.$' -e '^Error while processing' -e '^Suppressed ' -e '^Use -header-filter' -e '^Error while trying to load' \
            -e '^Running without flags' -e '^No compilation database' -e '^json-compilation-database' -e '^fixed-compilation-database' \
            -e '^Could not auto-detect'
    [ "${PIPESTATUS[1]}" -eq 0 ]
}

lint_shell() {
    all_scripts | xargs shellcheck -x -P SCRIPTDIR -P "$PWD"
}

lint_man() {
    local said
    said=$(mandoc -Tlint -Wwarning man/*.[1-9])
    echo "$said"
    [ -z "$said" ]
}

declare -A what=([format]="clang-format" [cppcheck]="cppcheck" [tidy]="clang-tidy" [shell]="shellcheck" [man]="mandoc")
plan $#
for tool; do
    output=$("lint_$tool" 2>&1)
    ok $? "lint: ${what[$tool]} has nothing to say"
    [ -z "$output" ] || echo "$output" | head -n 200 | sed 's/^/# /'
done
exit "$((tap_failed > 0))"

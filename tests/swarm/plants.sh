#!/bin/sh
# plants.sh: each bug in plants/ is planted into a copy of the core, and the swarm must catch it.
# shellcheck disable=SC2154 # the variables come from the Makefile
. "$XHA_SRC/tests/tap.sh"

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
seeds=1-6000 # a planted bug that is not caught by then is missed; nearly all take less than two hundred
objects="xha_swarm-cover.o xha_swarm-make.o xha_swarm-run.o xha_swarm-shrink.o xha_swarm-xha-swarm.o"

# PATCH: builds work/swarm from the core with this patch. Only the file that it touches is compiled anew; the rest comes
# from the library.
build() {
    rm -rf "$work/tree" "$work/swarm" && mkdir -p "$work/tree/xhad" || return
    cp -r "$XHA_SRC/xhad/core" "$work/tree/xhad/" && chmod -R u+w "$work/tree" || return
    patch -s -N -p1 -d "$work/tree" <"$1" || return
    file=$(sed -n 's|^+++ b/||p' "$1")
    # shellcheck disable=SC2086 # flags are many words
    $XHA_PLANT_CC $XHA_PLANT_CFLAGS -D_GNU_SOURCE -I"$work/tree" -c "$work/tree/$file" -o "$work/planted.o" || return
    # shellcheck disable=SC2086
    (cd "$XHA_BUILD/tests/swarm" && $XHA_PLANT_CC $XHA_PLANT_CFLAGS $XHA_PLANT_LDFLAGS -o "$work/swarm" $objects \
        "$work/planted.o" ../sim/libsim.a ../../xhad/libxhacore.a)
}

for patch in "$XHA_SRC"/tests/swarm/plants/*.patch; do
    name=$(basename "$patch" .patch)
    grep -q "^| $name |" "$XHA_SRC/tests/swarm/plants/README.md" || echo "# plants/README.md does not say what $name is"
    if ! build "$patch" >"$work/log" 2>&1; then
        sed 's/^/# /' "$work/log"
        ok 1 "$name applies and builds"
        continue
    fi
    "$work/swarm" --seeds $seeds --first --quiet >"$work/log" 2>&1
    status=$?
    grep '^# ' "$work/log" | cut -c 1-160
    [ $status -eq 1 ] && grep -q '^# seed' "$work/log"
    ok $? "$name is caught"
done
finish

#!/bin/sh
# xl-dispatch: `xl ha …` is xl-ha, all else is the real xl, untouched, and it never finds itself.
# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/first" "$tmp/copy" "$tmp/real" "$tmp/sbin" "$tmp/tools"
for tool in head tr grep rm mkdir cp; do
    ln -s "$(command -v $tool)" "$tmp/tools/$tool" # and no xl that may be on this host
done
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "$0"\nfor a; do echo "<$a>"; done\nexit 7\n' >"$tmp/real/xl"
cp "$tmp/real/xl" "$tmp/sbin/xl-ha"
sed "s|@sbindir@|$tmp/sbin|" "$XHA_SRC/xl-plugins/xl-dispatch.in" >"$tmp/dispatch"
chmod +x "$tmp/real/xl" "$tmp/sbin/xl-ha" "$tmp/dispatch"
ln -s "$tmp/dispatch" "$tmp/first/xl"
cp "$tmp/dispatch" "$tmp/copy/xl"
PATH=$tmp/first:$tmp/copy:$tmp/first:$tmp/real:$tmp/tools

is "$(xl create 'a b' '*' '' ; echo "$?")" "$tmp/real/xl
<create>
<a b>
<*>
<>
7" "another subcommand: the real xl, its arguments and its exit code"
is "$(xl ha list 'a b' ha; echo "$?")" "$tmp/sbin/xl-ha
<list>
<a b>
<ha>
7" "xl ha: xl-ha with what follows"
is "$(xl -v -N ha stop web)" "$tmp/sbin/xl-ha
<-v>
<-N>
<stop>
<web>" "xl's options before ha"
is "$(xl list ha)" "$tmp/real/xl
<list>
<ha>" "a domain called ha"
is "$(xl)" "$tmp/real/xl" "no argument at all"
mkdir "$tmp/elsewhere"
cp "$tmp/real/xl" "$tmp/elsewhere/xl"
is "$(XHA_XL=$tmp/elsewhere/xl xl info)" "$tmp/elsewhere/xl
<info>" "XHA_XL"
rm "$tmp/real/xl"
is "$(xl info 2>&1; echo "$?")" "xl: the real xl is nowhere in PATH; set XHA_XL to its path
127" "no real xl anywhere: an error, and an end"
finish

#!/bin/bash
# xl-plugins/xl-ha.bash: what is offered at each place of a command line.
# shellcheck source=tests/tap.sh
. "${XHA_SRC:?}/tests/tap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# The domains come from `xl-ha list`, all else from the program itself.
cat >"$tmp/xl-ha" <<EOF
#!/bin/sh
case \$* in
*hosts) printf 'Host  ID  State\nh1*    0  in\nh2     1  in\n' ;;
*list) printf 'Name      ID\nweb        4\ndatabase  12\n' ;;
*) exec "$XHA_BUILD/xl-plugins/xl-ha" "\$@" ;;
esac
EOF
chmod +x "$tmp/xl-ha"
PATH=$tmp:$PATH
compopt() { :; } # works only while a line is being completed
# shellcheck source=xl-plugins/xl-ha.bash
. "$XHA_SRC/xl-plugins/xl-ha.bash"

# offers WORD...: what is offered in place of the last word
offers() {
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _xl_ha
    echo "${COMPREPLY[@]}"
}

is "$(offers xl-ha "")" "$("$XHA_BUILD/xl-plugins/xl-ha" help | awk '/^ [a-z]/ { print $1 }' | xargs)" "every command"
is "$(offers xl-ha sta)" "start status" "commands that begin so"
is "$(offers xl-ha stop "")" "web database" "domains"
is "$(offers xl-ha repl "")" "web database" "domains that may be replicated"
is "$(offers xl-ha repl --fo)" "--follow" "... from now on"
is "$(offers xl-ha stop d)" "database" "domains that begin so"
is "$(offers xl-ha -v --timeout 5 stop d)" "database" "behind options"
is "$(offers xl-ha maintenance o)" "on off" "on and off"
is "$(offers xl-ha maintenance h)" "h1 h2" "hosts"
is "$(offers xl-ha migrate "")" "web database" "what to move"
is "$(offers xl-ha migrate web "")" "h1 h2" "where to"
is "$(offers xl-ha confirm-fenced h2)" "h2" "a host alone"
is "$(offers xl-ha what-if "")" "host-down add" "what may be"
is "$(offers xl-ha what-if host-down "")" "h1 h2" "what may be down"
is "$(offers xl-ha log --fo)" "--follow" "options of a command"
is "$(offers xl-ha list --fo)" "" "no options of another"
is "$(offers xl-ha --js)" "--json" "options before the command"
is "$(offers xl-ha sched -w "")" "" "nothing for a number"
touch "$tmp/policy.conf"
is "$(offers xl-ha protect "$tmp/pol")" "$tmp/policy.conf" "files"
is "$(offers xl-ha help che)" "checkpoint checkpoints check-config" "commands to help with"
finish

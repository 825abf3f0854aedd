#!/bin/bash
# Alarm hooks: what they are told, which are run and which are not, and that a flood becomes one summary.
# shellcheck source=tests/daemon/lib.sh
. "${XHA_SRC:?}/tests/daemon/lib.sh"

cat >"$T/alarm.d/50-env" <<END
#!/bin/sh
env | sort >>"$T/env"
pwd >"$T/where"
END
for name in .hidden writable plain; do
    printf '#!/bin/sh\necho %s >>%s\n' "$name" "$T/wrong" >"$T/alarm.d/$name"
done
printf '#!/bin/sh\nsleep 1000\n' >"$T/alarm.d/slow"
printf '#!/bin/sh\nexit 7\n' >"$T/alarm.d/failing"
chmod 755 "$T/alarm.d"/{50-env,.hidden,slow,failing}
chmod 757 "$T/alarm.d/writable"
is_running() { [ "$(state "$1")" = running ]; }
settings 'alarm_rate = 3;'
start_xhad
protect g1 'max_restarts = 16;'
sim crash g1
alarmed '^failure .* g1 ' "the first crash"
env_is_there() { grep -q '^XHA_UUID=' "$T/env" 2>/dev/null; }
eventually $patience env_is_there
is "$(sed -n 's/^\(XHA_[A-Z_]*\)=.*/\1/p' "$T/env" | xargs)" \
    'XHA_ALARM_KIND XHA_DOMAIN XHA_HOST XHA_SEVERITY XHA_STATE XHA_TEXT XHA_TIME XHA_UUID' "the environment of a hook"
value() { sed -n "s/^$1=//p" "$T/env"; }
is "$(value XHA_ALARM_KIND)/$(value XHA_DOMAIN)/$(value XHA_UUID)" "failure/g1/$(field g1 uuid)" "kind, domain and UUID"
is "$(value XHA_HOST)" "$(uname -n)" "the host"
value XHA_TIME | grep -qE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$'
ok $? "the time"
is "$(value HOME)$(value XHA_SIM_DIR)" "" "nothing of xhad's own environment"
is "$(cat "$T/where")" / "run in /"
eventually $patience logged 'alarm hook failed.*failing'
ok $? "a hook that fails is told of"
[ ! -e "$T/wrong" ]
ok $? "neither hidden, nor not executable, nor writable for others is run"
logged 'alarm hook is not run.*writable'
ok $? "... the last is told of"

comes_back g1 2
for i in 3 4 5 6 7; do
    sim crash g1
    eventually $patience begun_is start g1 -ge $i
    eventually $patience is_running g1
done
sleep 0.3
is "$(alarms '^failure .* g1 ')" 3 "of six alarms of one kind three go out in a minute"
is "$(ha log --json -n 1000 g1 | grep -c '"kind":"alarm"')" 6 "... and all six are in the history"
answers
ok $? "a hook that does not end holds nothing up"

no_hook_runs() { ! grep -qsa "$T/alarm.d/[s]low" /proc/[0-9]*/cmdline; }
kill_xhad TERM
is "$xhad_status" 0 "xhad ends while a hook is at it"
eventually $patience no_hook_runs
ok $? "and no hook outlives it"
the_end

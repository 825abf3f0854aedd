# Completion of xl-ha for bash: commands, options, protected domains, files.

_xl_ha_domains() {
    xl-ha --timeout 2 list 2>/dev/null | awk 'NR > 1 && $0 !~ /^This host/ { print $1 }'
}

_xl_ha_hosts() {
    xl-ha --timeout 2 hosts 2>/dev/null | awk 'NR > 1 { sub(/\*$/, "", $1); print $1 }'
}

# Options of a command: the words that begin with - in its help.
_xl_ha_options() {
    xl-ha help "$1" 2>/dev/null | grep -oE -- '(^  |, )--?[A-Za-z][A-Za-z-]*' | tr -d ' ,'
}

_xl_ha() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' at=0 i
    local IFS=$' \t\n'

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket | --timeout) ((i++)) ;;
        -* | =) ;;
        *)
            command=${COMP_WORDS[i]}
            at=$i
            break
            ;;
        esac
    done
    case $prev in
    --socket)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --timeout | -n | --lines | -w | --weight | -c | --cap | --affinity | --pool | --limit | --detection | --qdevice) return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_options "${command:-help}")" -- "$cur")
        return
    fi
    case $command in
    '')
        mapfile -t COMPREPLY < <(compgen -W "$(xl-ha help 2>/dev/null | awk '/^ [a-z]/ { print $1 }')" -- "$cur")
        ;;
    list | info | unprotect | start | stop | restart | checkpoint | checkpoints | restore | sched | repl | log | events | why)
        mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_domains)" -- "$cur")
        ;;
    maintenance)
        mapfile -t COMPREPLY < <(compgen -W "on off $(_xl_ha_domains) $(_xl_ha_hosts)" -- "$cur")
        ;;
    migrate)
        if ((COMP_CWORD == at + 1)); then
            mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_domains)" -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_hosts)" -- "$cur")
        fi
        ;;
    confirm-fenced | forget-host)
        mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_hosts)" -- "$cur")
        ;;
    what-if)
        if ((COMP_CWORD == at + 1)); then
            mapfile -t COMPREPLY < <(compgen -W "host-down add" -- "$cur")
        elif [[ $prev == host-down ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_hosts)" -- "$cur")
        else
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        ;;
    cluster)
        if ((COMP_CWORD == at + 1)); then
            mapfile -t COMPREPLY < <(compgen -W "init bundle join add remove leave status" -- "$cur")
        elif [[ $prev == join ]]; then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        elif [[ $prev == remove ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_xl_ha_hosts)" -- "$cur")
        fi
        ;;
    protect | check-config)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    help)
        mapfile -t COMPREPLY < <(compgen -W "$(xl-ha help 2>/dev/null | awk '/^ [a-z]/ { print $1 }')" -- "$cur")
        ;;
    esac
}

complete -F _xl_ha xl-ha

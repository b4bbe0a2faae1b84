#!/usr/bin/env bash
# What every script begins with: goes to the project's folder, and looks at its arguments before anything else.
# Source it, then: arguments FEWEST MOST "$@", where MOST may be `any`.
script=$(readlink -f "${BASH_SOURCE[1]}")
cd "$(dirname "$script")/.." || exit

refuse() { # WHAT, which names options, and never values: those may be secrets
    echo "scripts/${script##*/}: $1; $(sed -n '2s/^# //p' "$script")" >&2
    exit 2
}

explain() { # the comment at the script's top
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$script"
    exit 0
}

arguments() { # FEWEST MOST [ARGUMENT…]
    local fewest=$1 most=$2 argument
    shift 2
    for argument in "$@"; do
        case $argument in
        -h | --help) explain ;;
        -*) refuse "unknown option ${argument%%=*}" ;;
        esac
    done
    if [ $# -lt "$fewest" ]; then
        refuse "arguments: got $#, expected ${most/any/at least $fewest}"
    elif [ "$most" != any ] && [ $# -gt "$most" ]; then
        refuse "arguments: got $#, expected at most $most"
    fi
}

up_to_date() { # [ARGUMENT…]: before a deployment, since the lock may have changed
    case " $* " in *" -h "* | *" --help "*) return ;; esac
    [ -n "${_OPERATIONS_COMPLETE-}" ] || scripts/bootstrap
}

operations() { # VERB [ARGUMENT…]: what people do with a stack, in the project's environment
    local tool
    for tool in .venv/bin/python .toolchain/bin/pulumi .toolchain/bin/uv; do
        if [ ! -x "$tool" ]; then
            scripts/bootstrap >&2
            break
        fi
    done
    exec .venv/bin/python -m operations "$@"
}

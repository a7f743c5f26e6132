# Sourced by check, gates and pair.
# shellcheck shell=bash

# Makes what configures the tree, unless that is there and new enough.
need_configure()
{
    if ! [ -x configure ] || [ configure.ac -nt configure ] ||
        ! [ -e Makefile.in ] || [ Makefile.am -nt Makefile.in ]; then
        ./autogen.sh
    fi
}

# configure_tree DIR [ARGUMENT...]: configures the tree in DIR, unless that was
# done before with the same arguments and the same configure.
configure_tree()
{
    local dir=$1 stamp

    shift
    need_configure || return 1
    stamp="$* CC=${CC:-} $(cat configure Makefile.in config.h.in | cksum)"
    mkdir -p "$dir" || return 1
    if [ -e "$dir/Makefile" ] && [ -e "$dir/.configured" ] &&
        [ "$(cat "$dir/.configured")" = "$stamp" ]; then
        return 0
    fi
    (cd "$dir" && "$OLDPWD/configure" "$@") || return 1
    echo "$stamp" >"$dir/.configured"
}

# How many jobs make may run.
jobs_at_once()
{
    nproc 2>/dev/null || echo 2
}

# count_results DIR: prints "passed failed skipped" over the .trs files below.
count_results()
{
    find "$1" -name '*.trs' -exec cat {} + |
        awk '$1 == ":test-result:" {
                if ($2 == "PASS" || $2 == "XFAIL") passed++
                else if ($2 == "SKIP") skipped++
                else failed++
            }
            END { print passed + 0, failed + 0, skipped + 0 }'
}

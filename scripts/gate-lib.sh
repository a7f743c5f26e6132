# Sourced by the check-* gates. A gate is called with the root of the tree it
# looks at (default: its own), prints what is wrong, and refuses to pass when
# it found nothing to look at.
# shellcheck shell=bash

gate=$(basename "$0")
gate_root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$gate_root" || exit 2

# Files of the tree by name pattern, without what is built and without the
# bad samples (each of which is the root of a tree of its own).
gate_files()
{
    local names=() pattern

    for pattern; do
        names+=(-o -name "$pattern")
    done
    find . \( -path ./.git -o -path ./build -o -path ./build-aux \
        -o -path ./autom4te.cache -o -path ./t/gates -o -name '.deps' \
        -o -name 'repcached-[0-9]*' \) -prune -o -type f \
        \( "${names[@]:1}" \) -print | sed 's|^\./||' |
        grep -v -x -e config.h -e aclocal.m4 | LC_ALL=C sort
}

# gate_end STATUS COUNT: the last line of every gate.
gate_end()
{
    if [ "$2" -eq 0 ]; then
        echo "$gate: no file selected: the gate is broken" >&2
        exit 1
    fi
    if [ "$1" -ne 0 ]; then
        echo "$gate: refused ($2 files)" >&2
        exit 1
    fi
    echo "$gate: $2 files, all well"
    exit 0
}

#!/bin/sh
# Checks one configuration of the models, exhaustively, and says so in TAP. The configurations are a file beside this one.
#
# Usage: tests/model/check.sh NAME          one test
#        tests/model/check.sh --names SET   the names of a set: quick, or full, which is everything
#        tests/model/check.sh --story NAME  a shortest way to the broken promise, step by step
#
# Needs spin and gcc. LIMIT_S and MEMORY_MB bound the search; a search that is not finished is a failed test.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
limit_s=${LIMIT_S:-1800}
memory_mb=${MEMORY_MB:-12000}
depth=400000

line_of() {
    awk -v name="$1" '$1 == name' "$here/configurations"
}

names_of() {
    awk -v set="$1" '/^[a-z]/ && (set == "full" || $2 == set) { print $1 }' "$here/configurations"
}

# build MODEL CFLAGS SWITCH…: ./pan, a program that searches that model
build() {
    model=$1
    cflags=$2
    shift 2
    spin -a "$@" "$here/$model.pml" >spin.out || { cat spin.out; return 1; }
    # shellcheck disable=SC2086 # a list of words
    gcc -w -O1 -DSAFETY -DCOLLAPSE -DMEMLIM="$memory_mb" $cflags -o pan pan.c
}

# The promise that the search has broken, "holds" if there is none in all states, else "unfinished". The broken promise is
# the first name in the assertion that failed.
verdict_of() {
    broken=$(sed -n 's/.*assertion violated (*\([a-z_]*\).*/\1/p' "$1")
    if [ -n "$broken" ]; then
        echo "$broken"
    elif grep -q 'errors: 0$' "$1" && ! grep -qE 'Search not completed|too small|out of memory|^pan: reached' "$1"; then
        echo holds
    else
        echo unfinished
    fi
}

check() { # NAME MODEL EXPECTED SWITCH…
    name=$1
    model=$2
    expected=$3
    shift 3
    echo 1..1
    if ! build "$model" '' "$@"; then
        echo "not ok 1 - $name builds"
        return 1
    fi
    timeout --signal=INT "$limit_s" ./pan -E "-m$depth" >out 2>&1 || true
    verdict=$(verdict_of out)
    states=$(awk '/states, stored/ { printf "%d", $1 }' out)
    seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds.*/\1/p' out)
    if [ "$verdict" = "$expected" ]; then
        echo "ok 1 - $name: $verdict"
        echo "# $name: $verdict, ${states:-?} states in ${seconds:-0} s"
    else
        echo "not ok 1 - $name: $verdict, not $expected"
        grep -E 'assertion violated|errors:|Search not|too small|out of memory|^pan:|states, stored' out | sed 's/^/# /'
        return 1
    fi
}

# Breadth first, so that the way is a shortest one.
story() { # MODEL SWITCH…
    model=$1
    shift
    build "$model" -DBFS -DSTORY "$@"
    ./pan -E >out
    grep -E 'assertion violated|errors:' out
    [ -e "$here/$model.pml.trail" ] || [ -e "$model.pml.trail" ] || return 0
    spin -t -k "$model.pml.trail" -DSTORY "$@" "$here/$model.pml" | sed -n 's/^ *MSC: *//p'
}

if [ "${1:-}" = --names ]; then
    names_of "${2:-quick}"
    exit
fi
how=check
[ "${1:-}" != --story ] || { how=story; shift; }
name=${1:?a name from tests/model/configurations}
# shellcheck disable=SC2046 # a line of words
set -- $(line_of "$name")
[ $# -gt 3 ] || { echo "check.sh: there is no configuration $name" >&2; exit 64; }
command -v spin >/dev/null || { echo "check.sh: spin is missing: apt-get install spin" >&2; exit 1; }

expected=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
case $how in
check) check "$name" "${name%%/*}" "$expected" "$@" ;;
story) story "${name%%/*}" "$@" ;;
esac

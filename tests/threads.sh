#!/bin/sh
# Runs a test program under ThreadSanitizer: those of its tests that start a thread, for in the others there is nothing
# that it could see, and it makes them ten times slower. Which ones those are has been noted by `make check` without
# sanitizers (tests/tap.h); a note that is older than any source counts for nothing, and then all tests run.
#
# Usage: tests/threads.sh PROGRAM       with NOTES, the folder of the notes
set -eu

program=$1
note=${NOTES:?}/$(basename "$program")
if [ ! -e "$note" ] || find base snapshot proxy sidecar tests -name '*.[ch]' -newer "$note" | grep -q .; then
    exec "$program"
fi
# shellcheck disable=SC2046 # a list of words
set -- $(cat "$note")
if [ $# -eq 0 ]; then
    echo '1..0 # SKIP no test starts a thread'
    exit
fi
exec "$program" "$@"

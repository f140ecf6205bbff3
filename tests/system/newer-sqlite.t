#!/bin/sh
# The tests of attached databases once more, with an application that has a newer SQLite inside than we have: what they
# agree on is the format of the wal-index and its locks, and that is what an upgrade of either side may break.
set -u

export TEST_WRITER="${TEST_WRITER_NEW:?run by make system}"
echo "# the application has SQLite $("$TEST_WRITER")"
number=0
for unit in ${TEST_DATABASE_UNITS:?run by make system}; do
    number=$((number + 1))
    name=$(basename "$unit")
    if output=$("$unit" 2>&1); then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
done
echo "1..$number"

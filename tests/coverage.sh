#!/bin/sh
# Prints which share of its lines each source file's tests have run, the least covered first, and the whole.
# Usage: tests/coverage.sh BUILD-FOLDER (`make coverage` runs the tests before, those of the whole program too)
set -eu

build=$1
find "$build/base" "$build/snapshot" "$build/proxy" "$build/sidecar" -name '*.gcno' 2>/dev/null | while read -r notes; do
    gcov --no-output --object-directory "$(dirname "$notes")" "$notes" 2>/dev/null
done | awk '
    /^File / { split($0, quoted, "\047"); file = quoted[2] }
    /^Lines executed:/ && file ~ /^(base|snapshot|proxy|sidecar)\/.*\.c$/ {
        split($0, part, /[:% ]+/) # Lines executed PERCENT of COUNT
        percent[file] = part[3]; lines[file] = part[5]
    }
    /^Lines executed:/ || /^No executable lines/ { file = "" }
    END {
        for (file in percent) {
            printf "%6.1f %%  %5d lines  %s\n", percent[file], lines[file], file | "sort -n"
            run += percent[file] * lines[file] / 100; all += lines[file]
        }
        close("sort -n")
        if (all) printf "%6.1f %%  %5d lines  all\n", run * 100 / all, all
    }'

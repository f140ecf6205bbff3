#!/bin/sh
# Measures what docs/BENCHMARKS.md tells, and prints its table.
#
#   bench/run.sh [FIGURE…]     restore base memory start trips proxy; all without a name
#
#   BENCH_BYTES (1GiB), BENCH_FILES (1000), BENCH_ROUNDS (5), BENCH_PRIORITY (0; -20 on a machine that others use too).
#   Needs ./holdfast and build/gcc/backend, python3, zstd; the proxy's figure nginx and wrk too. Some 4 GiB below $TMPDIR.
set -eu

cd "$(dirname "$0")/.."
exec nice -n "${BENCH_PRIORITY:-0}" python3 bench/figures.py "$@"

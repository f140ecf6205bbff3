#!/bin/sh
# Measures what docs/BENCHMARKS.md tells, and prints its table.
#
#   bench/run.sh [FIGURE…]     restore base memory start trips proxy deltas lost idle replay files hour; all but hour without a name
#
#   deltas lost idle together take some 6 minutes, replay 4.
#   BENCH_BYTES (1GiB), BENCH_FILES (1000), BENCH_ROUNDS (5), BENCH_PRIORITY (0; -20 on a machine that others use too).
#   deltas: BENCH_DELTA_BYTES (256MiB), BENCH_DELTA_ROUNDS (3), BENCH_DELTA_S (15), BENCH_FULL_S (5); lost: BENCH_KILLS (45),
#   BENCH_LANES (3); idle: BENCH_IDLE_S (60); replay: BENCH_BYTES, BENCH_COMMITS (50000), BENCH_REPLAY_ROUNDS (3).
#   files: BENCH_MANY (100000), BENCH_FILES_S (10), BENCH_RIVAL (another holdfast, to compare with). hour: BENCH_HOUR_S (3600).
#   Needs ./holdfast and build/gcc/backend, python3, zstd; the proxy's figure nginx and wrk too. Some 4 GiB below $TMPDIR.
set -eu

cd "$(dirname "$0")/.."
exec nice -n "${BENCH_PRIORITY:-0}" python3 bench/figures.py "$@"

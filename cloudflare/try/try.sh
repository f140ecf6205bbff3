#!/bin/sh
# Runs try.mjs, whatever happens to it, so that nothing it has started stays behind.
#
# Usage: cloudflare/try/try.sh FOLDER [--lose-part|--lose-newest|--small-disk]    (as root) FOLDER is what tests/image/build.sh has filled
exec unshare --pid --fork --kill-child --mount-proc node "$(dirname "$0")/try.mjs" "$@"

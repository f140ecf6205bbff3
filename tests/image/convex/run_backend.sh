#!/bin/bash
# In the shape of the Convex image's script, for tests: helpers by names relative to the working directory, one exec,
# both ports as options.
set -e

data=/convex/data
export TMPDIR=${TMPDIR:-$data}
export STORAGE_DIR=${STORAGE_DIR:-$data/storage}
export SQLITE_DB=${SQLITE_DB:-$data/db.sqlite3}
mkdir -p "$TMPDIR" "$STORAGE_DIR"

source ./read_credentials.sh

beacon=()
[ -z "$DISABLE_BEACON" ] || beacon=(--disable-beacon)

exec ./convex-local-backend "$@" \
    --instance-name "$INSTANCE_NAME" \
    --instance-secret "$INSTANCE_SECRET" \
    --port 3210 \
    --site-proxy-port 3211 \
    --convex-origin "${CONVEX_CLOUD_ORIGIN:-http://127.0.0.1:3210}" \
    --convex-site "${CONVEX_SITE_ORIGIN:-http://127.0.0.1:3211}" \
    --local-storage "$STORAGE_DIR" \
    "${beacon[@]}" \
    "$SQLITE_DB"

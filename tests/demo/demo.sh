#!/bin/sh
# What holdfast is for, in a minute: a container that loses its disk twice and nothing else.
#
# Everything is real but the container: the store is a directory (file://), the backend is the sample of the tests, which behaves
# like self-hosted Convex where it matters. Nothing outside a temporary directory is touched; three ports of loopback are used.
set -eu

holdfast=${HOLDFAST_BIN:-./holdfast}
backend=${BACKEND_BIN:-build/gcc/backend}
room=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-demo.XXXXXX")
front=${DEMO_PORT:-21310}
upstream=$((front + 1))
admin=$((front + 2))
url=http://127.0.0.1:$front
container=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
note() { printf '  %s\n' "$*"; }

clean_up() {
    # The backend is the child of holdfast and ends with its process group.
    if [ -n "$container" ] && kill -0 "$container" 2>/dev/null; then
        kill -TERM "$container" 2>/dev/null || true
        wait "$container" 2>/dev/null || true
    fi
    rm -rf "$room"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# One "container start": what the platform does with an image whose entrypoint is holdfast.
start() {
    HOLDFAST_STORE="file://$room/bucket" \
    HOLDFAST_DATA_DIR="$room/disk" \
    HOLDFAST_LISTEN="127.0.0.1:$front" \
    HOLDFAST_UPSTREAM="127.0.0.1:$upstream" \
    HOLDFAST_ADMIN_LISTEN="127.0.0.1:$admin" \
    HOLDFAST_STOP_SIGNAL=INT \
    HOLDFAST_SYNC_INTERVAL=200ms \
        "$holdfast" run -- "$backend" --data "$room/disk" --port "$upstream" >"$room/out" 2>"$room/log" &
    container=$!
    curl --silent --fail --retry 30 --retry-connrefused --retry-delay 1 --max-time 30 "$url/version" >"$room/version" ||
        { cat "$room/log"; exit 1; }
    grep -E 'restored|nothing to fetch|serving' "$room/log" | sed 's/^[^ ]* /  /'
}

status() { HOLDFAST_ADMIN_LISTEN="127.0.0.1:$admin" "$holdfast" status --json; }
field() { status | tr -d ' ' | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }

# Shipped is what the status says is shipped; the demo asks instead of hoping.
wait_until_shipped() {
    tries=0
    while [ "$(field position)" != "$(field durable_position)" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "not shipped within 20 s"; cat "$room/log"; exit 1; }
        sleep 0.1
    done
}

count() { curl --silent --fail "$url/count" | sed 's/[^0-9]*\([0-9]*\).*/\1/'; }

expect_count() {
    found=$(count)
    [ "$found" = "$1" ] || { echo "expected $1 values, found $found"; cat "$room/log"; exit 1; }
    note "the backend holds $found values: all of them"
}

write() { curl --silent --show-error --fail --data-binary "$1" "$url/write" >/dev/null; }

mkdir -p "$room/disk"

say "1. A new container: the disk is empty, the store is empty. First boot."
start
for value in one two three; do write "$value"; done
head -c 200000 /dev/urandom >"$room/upload"
curl --silent --show-error --fail --data-binary "@$room/upload" "$url/upload" >"$room/file.json"
note "wrote three values and uploaded a file of 200,000 bytes"
wait_until_shipped
note "shipped: $(status | tr -d '\n' | cut -c1-100)..."

say "2. The machine dies: kill -9 of holdfast and the backend. The disk is thrown away."
pids=$(ps -o pid= --ppid "$container" | tr '\n' ' ')
# shellcheck disable=SC2086
kill -9 "$container" $pids
wait "$container" 2>/dev/null || true
container=
rm -rf "$room/disk"
mkdir "$room/disk"
note "the data directory holds $(find "$room/disk" -mindepth 1 | wc -l) files now"

say "3. A new container, somewhere else: it restores before the backend starts."
start
expect_count 3
file=$(sed -n 's/.*"file" *: *"\([^"]*\)".*/\1/p' "$room/file.json")
curl --silent --show-error --fail "$url/download?file=$file" | cmp - "$room/upload"
note "the uploaded file is back, byte for byte"

say "4. The platform stops the container: SIGTERM. A value written just before it counts too."
write four
kill -TERM "$container"
code=0
wait "$container" || code=$?
container=
grep -E 'shipped|exit' "$room/log" | tail -n 2 | sed 's/^[^ ]* /  /'
note "exit code $code (0: everything was shipped)"
[ "$code" = 0 ] || { cat "$room/log"; exit 1; }
rm -rf "$room/disk"
mkdir "$room/disk"

say "5. And again on an empty disk."
start
expect_count 4
kill -TERM "$container"
wait "$container" || true
container=

say "6. What the store holds can be listed, and proved without restoring it."
HOLDFAST_STORE="file://$room/bucket" "$holdfast" list | sed 's/^/  /'
HOLDFAST_STORE="file://$room/bucket" "$holdfast" verify 2>/dev/null | sed 's/^/  /'

say "That is all there is to it: bake holdfast into the image, name a bucket, lose the disk."

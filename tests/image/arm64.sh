#!/bin/sh
# holdfast for arm64: cross-compiled in a root of its own, with the distribution's arm64 libraries, and run under qemu's
# user-mode emulation, where it restores what the holdfast of this machine has shipped.
#
# Usage: tests/image/arm64.sh    (make image-arm64; as root, on amd64 Debian; fetches some 150 MB, so not a part of the check)
#
# The root is kept in build/bare/. libmicrohttpd and libxml2 are the packaged ones. The emulator comes from backports: before
# 9.2 it lacks openat2(2), without which holdfast opens no store and no data directory.
set -eu

cd "$(dirname "$0")/../.."
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
root=$PWD/build/bare/$suite-arm64
triplet=aarch64-linux-gnu
libraries='libc6-dev libs3-dev libsqlite3-dev libzstd-dev libcurl4-openssl-dev libmicrohttpd-dev libxml2-dev libssl-dev
    libxxhash-dev'

# within COMMAND…: in the root, as a fresh login would
within() {
    unshare --mount --pid --fork --kill-child sh -c '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
    ' sh "$root" "$@"
}

make_root() {
    rm -rf "$root" "$root.new"
    cp -a "$(tests/bootstrap/pristine.sh "$suite")" "$root"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/quick"
    awk -v suite="$suite" '$3 == suite { print "deb", $2, suite "-backports main"; exit }' "$root/etc/apt/sources.list" \
        >"$root/etc/apt/sources.list.d/backports.list"
    within dpkg --add-architecture arm64
    within apt-get -qq update
    # shellcheck disable=SC2046 # words
    within apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends make gcc-$triplet "qemu-user-static/$suite-backports" "qemu-user/$suite-backports" \
        $(for library in $libraries; do echo "$library:arm64"; done) >"$root/apt.log" 2>&1 || { tail "$root/apt.log"; exit 1; }
    touch "$root/.made"
}

[ -e "$root/.made" ] || make_root
mkdir -p "$root/src"
tar -c Makefile base snapshot proxy sidecar | tar -x -C "$root/src"
within make -C /src -j "$(nproc)" CC=$triplet-gcc AR=$triplet-ar WERROR=1 all
emulated="qemu-aarch64-static /src/build/$triplet-gcc/holdfast"
readelf --file-header "$root/src/build/$triplet-gcc/holdfast" | grep Machine
# shellcheck disable=SC2086 # words
within $emulated version

# A store of this machine: a database and files, shipped by the backend's whole life.
work=$root/exchange
rm -rf "$work"
mkdir -p "$work/data" "$work/store"
./build/gcc/backend generate --data "$work/data" --bytes 8MiB --files 3 >/dev/null
export HOLDFAST_STORE="file://$work/store" HOLDFAST_DATA_DIR="$work/data" HOLDFAST_LISTEN=127.0.0.1:23210
export HOLDFAST_UPSTREAM=127.0.0.1:23211 HOLDFAST_ADMIN_LISTEN=127.0.0.1:23212 HOLDFAST_STOP_SIGNAL=INT
./holdfast run -- ./build/gcc/backend --data "$work/data" --port 23211 --interface 127.0.0.1 >"$work/run.log" 2>&1 &
owner=$!
tries=0
until ./holdfast snapshot 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { cat "$work/run.log"; kill $owner; exit 1; }
    sleep 0.2
done
kill $owner
wait $owner || { cat "$work/run.log"; exit 1; }
# shellcheck disable=SC2086
within env HOLDFAST_STORE=file:///exchange/store $emulated restore --to /exchange/copy
diff -r --exclude=.holdfast --exclude='*-wal' --exclude='*-shm' "$work/data" "$work/copy"
echo "arm64.sh: what amd64 shipped came back byte for byte under emulated arm64"

#!/bin/sh
# Proves that a machine with nothing on it but the distribution's base can build and test holdfast: makes a bare root
# with debootstrap, puts a clean checkout of HEAD into it and runs ./bootstrap there.
#
# Usage: tests/bootstrap/bare.sh [bookworm|noble] [ARGUMENTS OF ./bootstrap]    (as root; default: bookworm demo)
#
# The bare root (tests/bootstrap/pristine.sh) is kept in build/bare/ and copied for each run. Mounts and processes live in
# namespaces of their own and end with the script.
set -eu

cd "$(dirname "$0")/../.."
suite=${1:-bookworm}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- demo

root=$PWD/build/bare/run

pristine=$(tests/bootstrap/pristine.sh "$suite")
rm -rf "$root"
cp -a "$pristine" "$root"
mkdir "$root/src"
git archive HEAD | tar -x -C "$root/src"
cp /etc/resolv.conf "$root/etc/resolv.conf"

# What a machine behind a mirror hands on: npm's registry, and the certificates that it has been told to trust.
registry=$(npm config get registry 2>/dev/null || true)
certificates=${SSL_CERT_FILE:-${NODE_EXTRA_CA_CERTS:-}}
handed=/etc/ssl/machine.crt
[ -z "$certificates" ] || cp -L "$certificates" "$root$handed"

started=$(date +%s)
status=0
unshare --mount --pid --fork sh -c '
    root=$1
    shift
    mount --bind "$root" "$root" # what makes mount namespaces inside wants its root to be a mount
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" "$@"
' sh "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin ${registry:+npm_config_registry="$registry"} \
    ${certificates:+NODE_EXTRA_CA_CERTS="$handed" SSL_CERT_FILE="$handed"} \
    /src/bootstrap "$@" || status=$?
echo "bare.sh: ./bootstrap $* on a bare $suite took $(($(date +%s) - started)) s and ended with $status"
rm -rf "$root"
exit "$status"

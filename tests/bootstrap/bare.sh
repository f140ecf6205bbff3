#!/bin/sh
# Proves that a machine with nothing on it but the distribution's base can build and test holdfast: makes a bare root
# with debootstrap, puts a clean checkout of HEAD into it and runs ./bootstrap there.
#
# Usage: tests/bootstrap/bare.sh [bookworm|noble] [ARGUMENTS OF ./bootstrap]    (as root; default: bookworm demo)
#
# Packages come from the mirror that this machine uses itself for the suite, or from MIRROR.
#
# The bare root is kept in build/bare/ and copied for each run. Mounts and processes live in namespaces of their own
# and end with the script.
set -eu

cd "$(dirname "$0")/../.."
suite=${1:-bookworm}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- demo

pristine=$PWD/build/bare/$suite
root=$PWD/build/bare/run

# Where this machine has its own packages from, without the slash at the end.
own_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite="$1" '$2 == suite { sub("/$", "", $1); print $1; exit }'
}
mirror=${MIRROR:-$(own_mirror "$suite")}
[ -n "$mirror" ] || {
    echo "bare.sh: this machine has no apt source for $suite; name one in MIRROR" >&2
    exit 64
}

# The apt sources that a fresh installation of the suite has.
sources() {
    case $suite in
    bookworm)
        echo "deb $mirror bookworm main"
        echo "deb $mirror bookworm-updates main"
        echo "deb $mirror-security bookworm-security main"
        ;;
    noble)
        for pocket in noble noble-updates noble-security; do
            echo "deb http://${mirror#*://} $pocket main universe"
        done
        ;;
    esac
}

make_pristine() {
    case $suite in
    bookworm) set -- --include=ca-certificates bookworm "$pristine.new" "$mirror" ;;
    # debootstrap of Debian 12 knows Ubuntu's older suites, which are made alike, but has no keyring for them: TLS has
    # to do for the root; apt inside checks signatures.
    noble) set -- --include=ca-certificates --components=main,universe --no-check-gpg noble "$pristine.new" \
        "$mirror" gutsy ;;
    *)
        echo "bare.sh: bookworm or noble, not $suite" >&2
        exit 64
        ;;
    esac
    rm -rf "$pristine.new"
    mkdir -p "$pristine.new"
    debootstrap --variant=minbase "$@" >"$pristine.log" 2>&1 || { tail -n 5 "$pristine.log"; exit 1; }
    sources >"$pristine.new/etc/apt/sources.list"
    mv "$pristine.new" "$pristine"
}

[ -d "$pristine" ] || make_pristine
rm -rf "$root"
cp -a "$pristine" "$root"
mkdir "$root/src"
git archive HEAD | tar -x -C "$root/src"
cp /etc/resolv.conf "$root/etc/resolv.conf"

# npm's registry is the one setting that a machine behind a mirror hands on.
registry=$(npm config get registry 2>/dev/null || true)

started=$(date +%s)
status=0
unshare --mount --pid --fork sh -c '
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" "$@"
' sh "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin ${registry:+npm_config_registry="$registry"} \
    /src/bootstrap "$@" || status=$?
echo "bare.sh: ./bootstrap $* on a bare $suite took $(($(date +%s) - started)) s and ended with $status"
rm -rf "$root"
exit "$status"

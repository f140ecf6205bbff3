#!/bin/sh
# Makes the bare root of a distribution with debootstrap, once, and prints its folder: build/bare/SUITE.
#
# Usage: tests/bootstrap/pristine.sh SUITE    (as root; bookworm or noble)
#
# Packages come from the mirror that this machine uses itself for the suite, or from MIRROR.
set -eu

cd "$(dirname "$0")/../.."
suite=$1
pristine=$PWD/build/bare/$suite

# Where this machine has its own packages from, without the slash at the end.
own_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite="$1" '$2 == suite { sub("/$", "", $1); print $1; exit }'
}
mirror=${MIRROR:-$(own_mirror "$suite")}
[ -n "$mirror" ] || {
    echo "pristine.sh: this machine has no apt source for $suite; name one in MIRROR" >&2
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
        echo "pristine.sh: bookworm or noble, not $suite" >&2
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
echo "$pristine"

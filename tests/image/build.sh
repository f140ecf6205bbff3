#!/bin/sh
# Builds the images of the Dockerfile with buildah, without a Docker engine and without a registry, for tests/image/image.t:
#
#   holdfast            the folder alone
#   convex-holdfast     in front of a stand-in for the Convex image: its layout, a script of its shape, the sample backend
#   my-app-holdfast     what the README's lines make of an application's image
#
# Usage: tests/image/build.sh FOLDER           (as root) unpacks each into FOLDER/<image>/ with its configuration in FOLDER/<image>.json
#        tests/image/build.sh FOLDER convex    … only the second of them
#
# The builder is this distribution with what ./bootstrap deps installs, and in /src what this machine has compiled already, so
# that the Dockerfile's commands find nothing left to do but linking. It is kept in build/bare/; images live in FOLDER only.
set -eu

cd "$(dirname "$0")/../.."
out=$1
only=${2:-}
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")

# As the Makefile says what it does: some of it takes a minute.
say() {
    printf '  %-8s %s\n' image "$*"
}

[ -d "build/bare/$suite" ] || say "a bare $suite, with debootstrap (kept)"
pristine=$(tests/bootstrap/pristine.sh "$suite")
builder=$pristine-builder

rm -rf "$out"
mkdir -p "$out/storage" "$out/tmp"
export TMPDIR=$out/tmp

# No policy, registry or mount of this machine has a say.
engine() {
    command=$1
    shift
    buildah --storage-driver vfs --root "$out/storage/root" --runroot "$out/storage/run" "$command" "$@"
}

build() {
    engine build --quiet --isolation chroot --pull-never --format docker --signature-policy tests/image/policy.json "$@"
}

# --- bases -------------------------------------------------------------------------------------------------------

# What decides whether a kept builder is still right.
builder_key() {
    { sed -n "/^build_packages=/,/'\$/p" bootstrap && cat tools/deps.sh; } | sha256sum | cut -c 1-16
}

# Each copy of the builder takes its time: what no build looks at goes. The copyright notices stay.
slim() {
    rm -rf "$builder/var/lib/apt/lists" "$builder"/var/cache/apt/* "$builder/usr/share/locale" "$builder/usr/share/man" \
        "$builder/usr/share/info" "$builder/usr/share/zoneinfo" "$builder/usr/share/i18n" "$builder/usr/lib/python3" \
        "$builder"/usr/lib/gcc/*/*/lto1 "$builder"/usr/lib/gcc/*/*/cc1plus "$builder"/usr/lib/*/perl "$builder"/usr/share/perl \
        "$builder"/usr/lib/*/gconv "$builder"/usr/lib/*/libasan* "$builder"/usr/lib/gcc/*/*/lib*san.a
    find "$builder/usr/share/doc" -type f ! -name copyright -delete
}

make_builder() {
    say "a builder, with what ./bootstrap deps installs (kept)"
    rm -rf "$builder"
    cp -a "$pristine" "$builder"
    echo force-unsafe-io >"$builder/etc/dpkg/dpkg.cfg.d/quick"
    cp /etc/resolv.conf "$builder/etc/resolv.conf"
    mkdir -p "$builder/src/tools"
    cp -p bootstrap Makefile "$builder/src/"
    cp -p tools/deps.sh "$builder/src/tools/"
    cp -a deps "$builder/src/"
    rm -rf "$builder/src/deps/node"
    unshare --mount --pid --fork --kill-child sh -c '
        mount -t proc proc "$1/proc"
        exec chroot "$1" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin /src/bootstrap deps
    ' sh "$builder" >"$out/builder.log" 2>&1 || { tail -n 20 "$out/builder.log"; exit 1; }
    slim
    builder_key >"$builder/src/.key"
}

# import NAME DIRECTORY FOLDER…: an image of what the folders hold, with that working directory
import() {
    name=$1 directory=$2
    shift 2
    container=$(engine from scratch)
    engine config --workingdir "$directory" "$container"
    place=$(engine mount "$container")
    for folder in "$@"; do
        cp -a "$folder/." "$place/"
    done
    engine commit --quiet --rm --format docker --signature-policy tests/image/policy.json "$container" "$name" >/dev/null
}

# The libraries of a program that a bare root may lack.
bring_libraries() {
    ldd "$1" | awk '$3 ~ /^\// { print $3 }' | while read -r library; do
        merged=$2/usr/${library#/usr/}
        mkdir -p "$(dirname "$merged")"
        cp -L "$library" "$merged"
    done
}

make_bases() {
    compiled=$out/compiled/src/build/gcc convex=$out/convex
    mkdir -p "$compiled" "$convex/convex/data" "$convex/store"
    cp -a build/gcc/base build/gcc/snapshot build/gcc/proxy build/gcc/sidecar build/gcc/libholdfast.a "$compiled/"
    cp -p tests/image/convex/*.sh "$convex/convex/"
    cp build/gcc/backend "$convex/convex/convex-local-backend"
    bring_libraries build/gcc/backend "$convex"
    import builder / "$builder" "$out/compiled"
    import convex-backend /convex "$pristine" "$convex"
}

make_app() {
    app=$out/app
    mkdir -p "$app/usr/local/bin" "$app/data" "$app/store"
    cp build/gcc/backend "$app/usr/local/bin/my-app"
    bring_libraries build/gcc/backend "$app"
    import my-app / "$pristine" "$app"
}

# --- images ------------------------------------------------------------------------------------------------------

unpack() {
    container=$(engine from --pull-never --signature-policy tests/image/policy.json "$1")
    ln -s "$(engine mount "$container")" "$out/$1"
    engine inspect --type image "$1" >"$out/$1.json"
}

build_convex() {
    say "convex-holdfast, with buildah"
    build --build-arg BUILDER=localhost/builder --build-arg BASE=localhost/convex-backend --tag convex-holdfast . >"$out/convex.log"
    unpack convex-holdfast
}

build_others() {
    say "holdfast and my-app-holdfast"
    # The stage `holdfast` holds the same folder; building it anew would copy the whole builder again.
    mkdir "$out/folder" "$out/fragment"
    printf 'FROM scratch\nCOPY --from=convex-holdfast /opt/holdfast /opt/holdfast\n' >"$out/folder/Dockerfile"
    build --tag holdfast "$out/folder" >"$out/folder.log"
    sed -n '/^```dockerfile$/,/^```$/{/^```/d;p;}' README.md >"$out/fragment/Dockerfile"
    build --tag my-app-holdfast "$out/fragment" >"$out/fragment.log"
    unpack holdfast
    unpack my-app-holdfast
}

# A base of another kind is refused by the same lines, whose first stages are left out.
refuse_another_base() {
    mkdir "$out/refused"
    { echo 'FROM localhost/my-app' && sed -n '/ AS convex$/,$p' Dockerfile | sed -e 1d -e 's/--from=build/--from=holdfast/'; } >"$out/refused/Dockerfile"
    if build --tag refused "$out/refused" >"$out/refused.log" 2>&1; then
        echo "build.sh: an image without run_backend.sh was built" >&2
        exit 1
    fi
}

[ "$(cat "$builder/src/.key" 2>/dev/null)" = "$(builder_key)" ] || make_builder
make_bases
build_convex
if [ "$only" != convex ]; then
    make_app
    build_others
    refuse_another_base
fi

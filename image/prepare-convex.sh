#!/bin/sh
# Runs while the Convex image is built: looks whether run_backend.sh is what the shim (sidecar/shim.h) can stand in for, and
# makes the folder that the script will run in.
#
# Usage: prepare-convex.sh FOLDER    where the script and the backend lie, /convex
#
# It fails with one sentence that says what is different and what to do.
set -eu

folder=$1
shim=$(cd "$(dirname "$0")/../convex" && pwd)
script=$folder/run_backend.sh
older='build from an image of an earlier release (--build-arg BASE=IMAGE:TAG) and report it to holdfast'

refuse() {
    echo "holdfast: $*" >&2
    exit 1
}

# The script's lines without comments.
code() {
    sed -e 's/^[[:space:]]*#.*//' -e 's/[[:space:]]#.*//' "$script"
}

holds() {
    code | grep -Eq -e "$1"
}

[ -f "$script" ] || refuse "the base image has no $script, so it is no Convex backend: name one with --build-arg BASE=IMAGE:TAG, \
or take --target app for another application"
[ -x "$script" ] || refuse "$script can't be executed: make it so in the base image"
[ -x "$folder/convex-local-backend" ] || refuse "the base image has no program $folder/convex-local-backend: $older"
[ "$(code | grep -Ec '^[[:space:]]*exec[[:space:]]+\./convex-local-backend([[:space:]]|$)')" -eq 1 ] ||
    refuse "$script no longer ends in 'exec ./convex-local-backend', which is how holdfast moves its ports: $older"
for option in --port --site-proxy-port; do
    holds "(^|[[:space:]])${option}[[:space:]=]" ||
        refuse "$script no longer gives $option to the backend, which is what holdfast replaces: $older"
done
! holds '(^|[;&|[:space:]])(cd|pushd)[[:space:]]' ||
    refuse "$script now changes its working directory, which is where it finds holdfast: $older"
# shellcheck disable=SC2016 # those words, not their values
! holds '\$\{?(0|BASH_SOURCE)' ||
    refuse "$script now looks for files beside itself instead of in the working directory, where it finds holdfast: $older"
! code | grep -Fq "$folder/convex-local-backend" ||
    refuse "$script now names $folder/convex-local-backend, past the working directory, where it finds holdfast: $older"

# What the script may find in its working directory is there.
for file in "$folder"/*; do
    name=${file##*/}
    case $name in
    run_backend.sh | convex-local-backend | data | '*') ;;
    *) ln -sfn "$file" "$shim/$name" ;;
    esac
done
for name in $(code | grep -oE '(^|[[:space:]])\./[A-Za-z0-9_.-]+' | sed 's|.*\./||' | sort -u); do
    [ -e "$shim/$name" ] || refuse "$script uses ./$name, and $folder has no such file: $older"
done

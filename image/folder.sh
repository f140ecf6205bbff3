#!/bin/sh
# Makes /opt/holdfast, which holds all that holdfast needs in a foreign image:
#
#   bin/holdfast      linked so that it looks for the dynamic linker and every library in lib/, and nowhere else
#   lib/              those libraries, the C library among them, as they are on this machine
#   etc/              certificates for images that have none (HOLDFAST_S3_CA_FILE)
#   licences/, sbom.spdx.json     of everything linked, static archives too
#   convex/, share/   the Convex shim's names, and what prepares an image for them
#
# Usage: image/folder.sh PROGRAM FOLDER    (make image-folder FOLDER=/opt/holdfast)
set -eu

cd "$(dirname "$0")/.."
program=$1
folder=$2

# Each library as "SONAME PATH". libgcc_s is loaded by the C library when a thread is cancelled.
libraries() {
    ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { name = $1; sub(".*/", "", name); print name, $3 }
        $1 ~ /^\/.*ld-/ && $2 != "=>" { name = $1; sub(".*/", "", name); print name, $1 }' |
        grep -v '^ld\.so '
    loader
    echo "libgcc_s.so.1 $(${CC:-gcc} -print-file-name=libgcc_s.so.1)"
}

# The dynamic linker that programs of this machine name.
loader() {
    path=$(readelf --program-headers --wide "$(command -v "${CC:-gcc}")" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
    echo "${path##*/} $path"
}

rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib" "$folder/etc" "$folder/convex" "$folder/share"
strip -o "$folder/bin/holdfast" "$program"
libraries | sort -u | while read -r name path; do
    [ -e "$folder/lib/$name" ] || cp -L "$path" "$folder/lib/$name"
    printf '%s %s\n' "$name" "$path"
done >"$folder/lib.list"
ln -s "$(loader | cut -d ' ' -f 1)" "$folder/lib/ld.so"
chmod 644 "$folder"/lib/*.so*
chmod 755 "$folder/lib/ld.so"
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/"
cp image/prepare-convex.sh "$folder/share/"
ln -s ../bin/holdfast "$folder/convex/run_backend.sh"
ln -s ../bin/holdfast "$folder/convex/convex-local-backend"
image/sbom.sh "$folder/lib.list" "$folder"
rm "$folder/lib.list"

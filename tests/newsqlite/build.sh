#!/bin/sh
# The application's SQLite is not holdfast's: Convex carries 3.46.0 inside (rusqlite 0.32, "bundled"), while holdfast
# links the distribution's. This builds that very version into an object file for a second sample backend.
#
#     tests/newsqlite/build.sh FOLDER        makes FOLDER/sqlite3.o; CC chooses the compiler
#
# The amalgamation comes out of an npm package that contains it, fetched as npm is configured and then checked against
# sqlite.lock; none of the package's own code runs. An archive that build/newsqlite has already is used without npm.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../../build/newsqlite
mkdir -p "${1:?usage: build.sh FOLDER}" "$cache"
folder=$(cd "$1" && pwd)
archive=$(awk '{ print $2 }' "$here/sqlite.lock")
version=${archive#better-sqlite3-}
version=${version%.tgz}

cd "$cache"

is_intact() {
    [ -f "$archive" ] && sha512sum --check --status "$here/sqlite.lock"
}

if ! is_intact; then
    command -v npm >/dev/null || {
        echo "build.sh: npm is needed to fetch SQLite's source: apt-get install npm" >&2
        exit 1
    }
    npm pack --silent "better-sqlite3@$version" >/dev/null
    is_intact || {
        echo "build.sh: $archive is not what sqlite.lock says" >&2
        exit 1
    }
fi
cd "$folder"
tar -xzf "$cache/$archive" --strip-components=3 package/deps/sqlite3

# The flags of libsqlite3-sys 0.30.1 (its build.rs).
${CC:-cc} -O2 -g -fPIC -w -c -o sqlite3.o.new sqlite3.c \
    -DSQLITE_CORE -DSQLITE_DEFAULT_FOREIGN_KEYS=1 -DSQLITE_ENABLE_API_ARMOR -DSQLITE_ENABLE_COLUMN_METADATA \
    -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_FTS3 -DSQLITE_ENABLE_FTS3_PARENTHESIS -DSQLITE_ENABLE_FTS5 \
    -DSQLITE_ENABLE_LOAD_EXTENSION=1 -DSQLITE_ENABLE_MEMORY_MANAGEMENT -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_STAT4 \
    -DSQLITE_SOUNDEX -DSQLITE_THREADSAFE=1 -DSQLITE_USE_URI -DHAVE_USLEEP=1 -D_POSIX_THREAD_SAFE_FUNCTIONS \
    -DHAVE_ISNAN -DHAVE_LOCALTIME_R
mv sqlite3.o.new sqlite3.o

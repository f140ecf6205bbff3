#!/bin/sh
# Builds two libraries as static archives into deps/, where the Makefile finds them before the packaged ones:
#
#   libmicrohttpd 1.0.10 or newer, without TLS. The packaged 0.9.75 (Debian 12) and 1.0.0 (Ubuntu 24.04) accept
#       requests that two parsers read in two ways; 1.0.10 refuses them.
#   libxml2 without ICU, of which libs3 needs the push parser. The packaged one maps 36 MB of ICU data.
#
# The sources are the distribution's own source packages, fetched through the machine's own mirror and verified by apt
# against the distribution's keyring. apt works in a folder of its own: the machine's lists, sources and packages stay
# as they are, and root is not needed. Where libmicrohttpd can't be had, the packaged one is linked and we say so.
#
# deps/.built names what is in there. Nothing is done while it is newer than this script; removing deps/ starts afresh.
set -eu

cd "$(dirname "$0")/.."
deps=$PWD/deps
work=$deps/work
cflags='-O2 -g -fPIE -fstack-protector-strong'
microhttpd_min=1.0.10

if [ -e "$deps/.built" ] && [ -z "$(find tools/deps.sh -newer "$deps/.built")" ]; then
    exit 0
fi

say() {
    printf 'deps: %s\n' "$*"
}

# Sets distribution, codename, newest (the suite that has the newest packages) and its components.
recognise_system() {
    distribution=$(. /etc/os-release && echo "$ID")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $distribution in
    debian) newest=testing components=main ;;
    ubuntu) newest=devel components='main universe' ;;
    *) return 1 ;;
    esac
    keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
    [ -e "$keyring" ]
}

# The machine's own mirrors as "URI SUITE" for the suites of its release (others may be configured too: not ours).
own_suites() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u | \
        awk -v name="$codename" '$2 == name || $2 == name "-updates" || $2 == name "-security"'
}

# fetch NAME LINES: unpacks the newest source package NAME that the deb-src LINES offer into $work/NAME/ and sets
# `source` to its folder and `version`.
fetch() {
    place=$work/$1
    mkdir -p "$place/lists/partial" "$place/cache/archives/partial"
    : >"$place/status"
    printf '%s\n' "$2" >"$place/sources.list"
    cat >"$place/apt.conf" <<-END
		Dir::Etc::sourcelist "$place/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State "$place";
		Dir::State::status "$place/status";
		Dir::Cache "$place/cache";
		Acquire::Languages "none";
		APT::Sandbox::User "$(id -un)";
		#clear APT::Update;
		#clear DPkg::Post-Invoke;
	END
    (
        cd "$place" &&
            apt-get -c apt.conf -qq -o Acquire::Retries=3 update &&
            apt-get -c apt.conf -qq -o Acquire::Retries=3 --only-source source "$1"
    ) >"$place/fetch.log" 2>&1 || { tail -n 3 "$place/fetch.log"; return 1; }
    source=$(find "$place" -mindepth 1 -maxdepth 1 -type d -name "$1-*")
    version=$(sed -n 's/^Version: //p' "$place/$1"_*.dsc)
}

# configure_and_make FOLDER TARGET OPTIONS…: Debian's patches touch the inputs of autotools, whose outputs are good all
# the same; ":" keeps make from asking for autotools.
configure_and_make() {
    folder=$1 target=$2
    shift 2
    (
        cd "$source" && ./configure AUTOMAKE=: ACLOCAL=: AUTOCONF=: AUTOHEADER=: CFLAGS="$cflags" --disable-shared --enable-static \
            --disable-dependency-tracking "$@" &&
            make -C "$folder" -j "$(nproc)" "$target"
    ) >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; return 1; }
}

build_microhttpd() {
    configure_and_make src/microhttpd libmicrohttpd.la --disable-https --disable-doc --disable-examples \
        --disable-tools --disable-curl --disable-postprocessor --disable-bauth --disable-dauth --disable-cookie
    cp "$source/src/include/microhttpd.h" "$deps/include/"
    cp "$source/src/microhttpd/.libs/libmicrohttpd.a" "$deps/lib/"
}

build_xml() {
    configure_and_make . libxml2.la --with-minimum --with-push --with-sax1 --with-threads \
        --without-icu --without-iconv --without-lzma --without-zlib
    mkdir -p "$deps/include/libxml2"
    cp -R "$source/include/libxml" "$deps/include/libxml2/"
    cp "$source/.libs/libxml2.a" "$deps/lib/"
}

trap 'rm -rf "$work"' EXIT
rm -rf "${deps:?}/include" "$deps/lib" "$deps/.built" "$work"
mkdir -p "$deps/include" "$deps/lib" "$work"
built=$work/built
: >"$built"

if ! recognise_system; then
    say "this is neither Debian nor Ubuntu: the packaged libmicrohttpd and libxml2 are linked"
    exit 0
fi
uri=$(own_suites | awk -v name="$codename" '$2 == name { print $1; exit }')

say "fetching the source of libmicrohttpd from ${uri:-nowhere} $newest"
# A mirror may be a snapshot of the past, whose signature on $newest has run out; the version tells whether it will do.
if fetch libmicrohttpd "deb-src [signed-by=$keyring check-valid-until=no] $uri $newest $components" &&
    dpkg --compare-versions "$version" ge "$microhttpd_min"; then
    say "building libmicrohttpd $version"
    build_microhttpd
    echo "libmicrohttpd $version" >>"$built"
else
    say "libmicrohttpd $microhttpd_min can't be had from here: the packaged one is linked, and holdfast itself" \
        "refuses the ambiguous requests that it lets through"
fi

say "fetching the source of libxml2 from ${uri:-nowhere} $codename"
if fetch libxml2 "$(own_suites | sed "s|.*|deb-src [signed-by=$keyring] & main|")"; then
    say "building libxml2 $version without ICU"
    build_xml
    echo "libxml2 $version" >>"$built"
else
    say "the source of libxml2 can't be had from here: the packaged one is linked, with ICU"
fi
mv "$built" "$deps/.built"

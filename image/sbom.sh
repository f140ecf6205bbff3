#!/bin/sh
# What holdfast is linked with, from the packages that the files come from: licence notices and a list in SPDX 2.3.
#
# Usage: image/sbom.sh LIST FOLDER    LIST has "SONAME PATH" lines; writes FOLDER/licences/ and FOLDER/sbom.spdx.json
#
# The copyright files are the packages' own, word for word. What is linked statically is named here, since nothing in the
# program says so.
set -eu

cd "$(dirname "$0")/.."
list=$1
folder=$2
version=$(sed -n 's/^#define VERSION_TEXT "\(.*\)"/\1/p' sidecar/versions.h)
distribution=$(. /etc/os-release && echo "$ID")
epoch=${SOURCE_DATE_EPOCH:-$(date +%s)}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

# The package that a file belongs to; where /lib is a link, dpkg may know the file by either name.
package_of() {
    real=$(readlink -f "$1")
    for path in "$1" "$real" "/usr$1" "${real#/usr}"; do
        owner=$(dpkg-query --search "$path" 2>/dev/null | head -n 1 | cut -d : -f 1)
        [ -z "$owner" ] || { echo "$owner"; return 0; }
    done
    echo "sbom.sh: no package has $1" >&2
    return 1
}

# "PACKAGE VERSION DYNAMIC_LINK|STATIC_LINK|OTHER", each package once. What `make deps` built has its version from there.
components() {
    while read -r _ path; do
        package=$(package_of "$path") || return 1
        echo "$package $(dpkg-query --show --showformat '${Version}' "$package") DYNAMIC_LINK"
    done <"$list" | sort -u
    echo "ca-certificates $(dpkg-query --show --showformat '${Version}' ca-certificates) OTHER"
    # libs3 is an archive, xxHash is compiled from its header.
    for package in libs3-dev libxxhash-dev; do
        echo "$package $(dpkg-query --show --showformat '${Version}' $package) STATIC_LINK"
    done
    [ ! -e deps/.built ] || while read -r name number; do
        echo "$name-dev $number STATIC_LINK"
    done <deps/.built
}

copy_notices() {
    mkdir -p "$folder/licences"
    cp LICENSE "$folder/licences/holdfast"
    while read -r package _; do
        cp -L "/usr/share/doc/$package/copyright" "$folder/licences/$package"
    done <"$folder/components"
    mkdir -p "$folder/licences/common"
    # The copyright files refer to these.
    grep -hoE '/usr/share/common-licenses/[A-Za-z0-9.-]*[A-Za-z0-9]' "$folder"/licences/* 2>/dev/null | sort -u | while read -r text; do
        [ ! -f "$text" ] || cp -L "$text" "$folder/licences/common/"
    done
}

json() {
    cat <<-END
		{
		  "spdxVersion": "SPDX-2.3",
		  "dataLicense": "CC0-1.0",
		  "SPDXID": "SPDXRef-DOCUMENT",
		  "name": "holdfast-$version",
		  "documentNamespace": "https://spdx.org/spdxdocs/holdfast-$version-$(sort "$folder/components" | sha256sum | cut -c 1-32)",
		  "creationInfo": {"created": "$created", "creators": ["Tool: holdfast-image-sbom"]},
		  "packages": [
		    {"SPDXID": "SPDXRef-holdfast", "name": "holdfast", "versionInfo": "$version", "downloadLocation": "NOASSERTION",
		     "filesAnalyzed": false, "licenseConcluded": "GPL-3.0-or-later", "licenseDeclared": "GPL-3.0-or-later",
		     "copyrightText": "NOASSERTION"}
	END
    while read -r package number _; do
        cat <<-END
			    ,{"SPDXID": "SPDXRef-$package", "name": "$package", "versionInfo": "$number", "downloadLocation": "NOASSERTION",
			     "filesAnalyzed": false, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
			     "licenseComments": "the notice is licences/$package", "copyrightText": "NOASSERTION",
			     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
			       "referenceLocator": "pkg:deb/$distribution/$(printf %s "$package" | sed 's/+/%2B/g')@$(printf %s "$number" | sed 's/+/%2B/g; s/:/%3A/g; s/~/%7E/g')"}]}
		END
    done <"$folder/components"
    echo '  ],'
    echo '  "relationships": ['
    echo '    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-holdfast"}'
    while read -r package _ how; do
        echo "    ,{\"spdxElementId\": \"SPDXRef-holdfast\", \"relationshipType\": \"$how\", \"relatedSpdxElement\": \"SPDXRef-$package\"}"
    done <"$folder/components"
    printf '  ]\n}\n'
}

components >"$folder/components"
copy_notices
# SPDX identifiers know no '+'.
json | sed -E ':again; s/(SPDXRef-[A-Za-z0-9.-]*)[+]/\1-plus-/; t again' >"$folder/sbom.spdx.json"
rm "$folder/components"

#!/bin/sh
# The rules of the house that no compiler knows, each one line of output for each breach:
#
#     path:line: RULE: what stands there
#
# Usage: tests/lint.sh [FOLDER]    (default: the project). tests/lint_test.sh proves that each rule fires.
#
# Rules about code look at a copy without comments and texts, so that prose may speak of exit() and goto. The lengths
# of functions, names, nesting and complexity are clang-tidy's (`make tidy`).
set -eu

root=$(cd "${1:-$(dirname "$0")/..}" && pwd)
cd "$root"
view=$(mktemp -d)
trap 'rm -rf "$view"' EXIT
findings=$view/findings
: >"$findings"

# --- what there is to look at ------------------------------------------------------------------------------------

everything() {
    find . \( -path ./.git -o -path ./build -o -path ./deps -o -path ./tests/fuzz/corpus -o -name node_modules \
        -o -name __pycache__ \) -prune -o -type f ! -path ./.git ! -path ./holdfast -print | sed 's|^\./||' | sort
}

# code PREFIX…: the C files below the given folders
code() {
    for folder in "$@"; do
        grep -E "^$folder/.*\\.[ch]\$" "$view/files" || true
    done
}

# Blanks out comments and the insides of texts and characters; lines stay where they are.
without_prose() {
    awk '
        {
            out = ""; n = length($0)
            for (at = 1; at <= n; at++) {
                c = substr($0, at, 1); two = substr($0, at, 2)
                if (comment) { if (two == "*/") { comment = 0; at++ } }
                else if (quote != "") {
                    if (c == "\\") at++
                    else if (c == quote) { quote = ""; out = out c }
                }
                else if (two == "/*") { comment = 1; at++ }
                else if (two == "//") break
                else { if (c == "\"" || c == "\047") quote = c; out = out c }
            }
            quote = ""
            print out
        }' "$1"
}

everything >"$view/files"
code base snapshot proxy sidecar tests | while read -r file; do
    mkdir -p "$view/code/$(dirname "$file")"
    without_prose "$file" >"$view/code/$file"
done

# --- how rules are said ------------------------------------------------------------------------------------------

# Each of these reads file names on standard input.

# absent RULE PATTERN: no line of code matches
absent() {
    (cd "$view/code" && xargs -r grep -nHE "$2" -- 2>/dev/null | sed "s/^\([^:]*:[0-9]*:\)/\1 $1: /") >>"$findings" || true
}

# unsaid RULE PATTERN: no line at all matches, comments included
unsaid() {
    xargs -r grep -nHIE "$2" -- 2>/dev/null | sed "s/^\([^:]*:[0-9]*:\)/\1 $1: /" >>"$findings" || true
}

call() {
    printf '(^|[^A-Za-z0-9_.>])(%s) *\\(' "$1"
}

# owners HEADER COUNT: at most so many .c files of the product, and no header, include it
owners() {
    pattern="^ *# *include <$1"
    code base snapshot proxy sidecar | grep '\.h$' | unsaid one-adapter "$pattern" || true
    # shellcheck disable=SC2046 # names without blanks
    users=$(grep -lE "$pattern" -- $(code base snapshot proxy sidecar) /dev/null || true)
    if [ "$(printf '%s' "$users" | grep -c .)" -gt "$2" ]; then
        printf '%s:1: one-adapter: <%s> in more than %s file(s)\n' "$(printf '%s' "$users" | tr '\n' ' ')" "$1" "$2" \
            >>"$findings"
    fi
}

# --- the rules ---------------------------------------------------------------------------------------------------

# sidecar → {snapshot, proxy} → base, and tests are nobody's.
code base | unsaid include-direction '# *include "(snapshot|proxy|sidecar|tests)/'
code snapshot | unsaid include-direction '# *include "(proxy|sidecar|tests)/'
code proxy | unsaid include-direction '# *include "(snapshot|sidecar|tests)/'
code sidecar | unsaid include-direction '# *include "tests/'
code base snapshot proxy sidecar tests | unsaid include-path '# *include "[^/]*"'

# One library, one adapter. OpenSSL is both a hash and the signature of S3 requests.
owners libs3.h 1
owners curl/ 1
owners sqlite3.h 1
owners zstd.h 1
owners xxhash.h 1
owners microhttpd.h 1
owners openssl/ 2
owners libxml/ 1
code base | unsaid base-is-libc-only '# *include <(libs3|curl|sqlite3|zstd|xxhash|microhttpd|openssl|libxml)'

# Unbounded, not thread-safe, by way of a shell, or with an answer that can't be told from an error.
code base snapshot proxy sidecar tests | absent banned-function "$(call \
    'strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets|strtok|system|popen|alloca|tmpnam|tempnam|mktemp')"
code base snapshot proxy sidecar | absent banned-function "$(call \
    'sscanf|atoi|atol|atoll|atof|rand|srand|localtime|gmtime|ctime|asctime|strerror')"
# Waiting is for an event, never for a while and hoping. clock_pause() is for the rest.
code base snapshot proxy sidecar tests/unit | grep -vx 'base/clock\.c' | absent sleep "$(call 'sleep|usleep|nanosleep|clock_nanosleep')"
code base snapshot proxy sidecar | grep -v '^sidecar/config[^/]*\.c$' | absent getenv "$(call 'getenv|secure_getenv')"
code snapshot proxy base | grep -v '^base/log\.[ch]$' | absent logging-below-sidecar 'log_(error|warning|info) *\('
code base snapshot proxy | absent exit-below-sidecar "$(call 'exit|_exit|_Exit|quick_exit')"
code base snapshot proxy sidecar tests | absent goto '(^|[^A-Za-z0-9_])goto [A-Za-z_]'
code base snapshot proxy sidecar tests | absent typedef-of-struct 'typedef +(struct|enum|union)'
code base snapshot proxy sidecar tests | absent ndebug 'NDEBUG'

unsaid mark '(^|[^A-Za-z])(TO''DO|FIX''ME|XX''X|HA''CK)([^A-Za-z]|$)' <"$view/files"
unsaid registry-host \
    '(registry[.]npmjs|registry[.]yarnpkg|pypi[.]org|files[.]pythonhosted|crates[.]io|proxy[.]golang)' <"$view/files"
grep -E '(package-lock|npm-shrinkwrap)\.json$' "$view/files" | unsaid resolved-address '"resolved"' || true
grep -vE '\.(md|patch)$' "$view/files" | unsaid trailing-blank '[ 	]+$'

# A header's guard is its path, so that no two are the same.
code base snapshot proxy sidecar tests | grep '\.h$' | while read -r file; do
    guard=$(printf '%s' "$file" | tr 'a-z/.-' 'A-Z___')
    grep -q "^#ifndef $guard\$" "$file" || printf '%s:1: guard: it is not %s\n' "$file" "$guard"
done >>"$findings"

code base snapshot proxy sidecar tests | while read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 400 ] || printf '%s:%d: long-file: more than 400 lines\n' "$file" "$lines"
done >>"$findings"

# A document that names a test, as `name_test: what_it_says` or `model: set/configuration`, names one that there is.
grep -E '^docs/.*\.md$' "$view/files" | while read -r file; do
    grep -noE '`[a-z0-9_]+_test: [a-z0-9_]+`|`model: [a-z0-9/-]+`' "$file" | tr -d '`' | while IFS=: read -r line where what; do
        case $where in
        model) grep -q "^${what# } " tests/model/configurations 2>/dev/null ;;
        *) grep -q "^TEST(${what# })" "tests/unit/$where.c" 2>/dev/null ;;
        esac || printf '%s:%s: no-such-test: %s:%s\n' "$file" "$line" "$where" "$what"
    done
done >>"$findings"

# Each version lays out code differently: 14 (Debian 12) decides.
formatter=$(command -v clang-format-14 || command -v clang-format || true)
case $($formatter --version 2>/dev/null) in
*"version 14."*)
    code base snapshot proxy sidecar tests | xargs -r "$formatter" --dry-run 2>&1 |
        sed -nE 's/^([^ :]+):[0-9]+:[0-9]+: warning: .*/\1:1: format: make format mends it/p' | sort -u >>"$findings"
    ;;
*) echo "lint: no clang-format 14 here, the layout was not checked" >&2 ;;
esac

if [ -s "$findings" ]; then
    cat "$findings"
    echo "lint: $(wc -l <"$findings") breaches" >&2
    exit 1
fi

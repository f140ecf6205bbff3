#!/bin/sh
# Proves that each rule of tests/lint.sh fires, and that it keeps quiet about what is allowed. TAP, for prove(1).
set -eu

lint=$(cd "$(dirname "$0")" && pwd)/lint.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
number=0

verdict() { # RESULT NAME
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}

put() { # FILE TEXT: into an otherwise empty tree
    rm -rf "$tree"
    mkdir -p "$tree/$(dirname "$1")"
    printf '%b\n' "$2" >"$tree/$1"
}

# fires RULE FILE TEXT: a tree with this one file breaks the rule
fires() {
    put "$2" "$3"
    "$lint" "$tree" 2>/dev/null | grep -q "^$2.*:[0-9]*: $1:" && held=0 || held=1
    verdict $held "$1 fires in $2"
}

# allows FILE TEXT WHAT: a tree with this one file breaks no rule
allows() {
    put "$1" "$2"
    if found=$("$lint" "$tree" 2>&1); then verdict 0 "$3 in $1 is allowed"; else
        verdict 1 "$3 in $1 is allowed"
        printf '%s\n' "$found" | sed 's/^/# /'
    fi
}

fires include-direction base/a.c '#include "snapshot/log.h"'
fires include-direction snapshot/a.c '#include "proxy/gate.h"'
fires include-direction proxy/a.h '#include "snapshot/log.h"'
fires include-direction sidecar/a.c '#include "tests/tap.h"'
fires include-path base/a.c '#include "log.h"'
allows sidecar/a.c '#include "snapshot/log.h"' 'an include downwards'

fires base-is-libc-only base/a.c '#include <zstd.h>'
fires one-adapter snapshot/a.h '#include <zstd.h>'
allows snapshot/codec.c '#include <zstd.h>' 'the adapter of a library'
for header in libs3.h curl/curl.h sqlite3.h zstd.h xxhash.h microhttpd.h libxml/parser.h; do
    put snapshot/a.c "#include <$header>"
    cp "$tree/snapshot/a.c" "$tree/snapshot/b.c"
    "$lint" "$tree" 2>/dev/null | grep -q 'a.c .*b.c.*: one-adapter:' && held=0 || held=1
    verdict $held "a second adapter of $header fires"
done

for function in strcpy sprintf strcat gets strtok system popen; do
    fires banned-function tests/unit/a.c "int a = $function(b);"
done
for function in sscanf atoi gmtime; do
    fires banned-function base/a.c "int a = $function(b);"
done
allows base/a.c 'char *a = strtok_r(b, c, &d);' 'the reentrant one'
allows base/a.c '/* never system() */ const char *a = "system(1) \" popen(2)"; /* nor */' 'prose about functions'
allows base/a.c '/* goto here\n   goto there */\nint a;' 'prose over lines'

fires sleep base/a.c 'int a = usleep(1);'
fires getenv sidecar/main.c 'char *a = getenv("A");'
allows sidecar/config_read.c 'char *a = getenv("A");' 'getenv'
fires logging-below-sidecar proxy/a.c 'int a = log_info("a");'
allows sidecar/a.c 'int a = log_info("a");' 'logging'
allows snapshot/a.c 'int a = log_debug("a");' 'debug output'
fires exit-below-sidecar snapshot/store/a.c 'int a = exit(1);'
allows sidecar/a.c 'int a = exit(1);' 'exit'
fires goto tests/double/a.c 'int a = 1;\ngoto out;\n'
fires typedef-of-struct base/a.c 'typedef struct a b;'
fires ndebug base/a.c '#define NDEBUG'
fires mark docs/A.md 'TO''DO: mend'
fires registry-host package.json 'see https://registry''.npmjs.org/a'
fires resolved-address tests/s3/package-lock.json '{"resolved": "a"}'
fires no-such-test docs/A.md 'see `a_test: it_holds`'
fires no-such-test docs/A.md 'see `model: log/a-rule`'
allows docs/A.md 'see `a_test` and `TIME|POSITION`' 'what names no test'
fires trailing-blank Makefile 'a = 1 \n'
fires guard base/a.h '#ifndef A_H\n#define A_H\n#endif'
allows base/a.h '#ifndef BASE_A_H\n#define BASE_A_H\n#endif' 'the right guard'
fires long-file base/a.c "$(yes 'int a;' | head -n 401)"
if command -v clang-format-14 >/dev/null; then
    fires format base/a.c 'int   a;'
fi

echo "1..$number"

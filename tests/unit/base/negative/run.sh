#!/bin/sh
# Wrong programs must not compile, and for the reason that each names in its first line; good.c must.
# Run from anywhere; $CC chooses one compiler, else every one of gcc and clang that is there is tried.
set -u
here=$(cd "$(dirname "$0")" && pwd)
src=$here/../../../../src
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
passed=0 failed=0

compile() {         # compiler file
    "$1" -std=c17 -D_GNU_SOURCE -I"$src" -include "$src/base/banned.h" -Wall -Wextra -Wpedantic -Wformat=2 -Werror \
        -S -o /dev/null "$2" >"$out" 2>&1
}

for cc in ${CC:-gcc clang}; do
    command -v "$cc" >/dev/null 2>&1 || continue
    if compile "$cc" "$here/good.c"; then
        passed=$((passed + 1))
    else
        echo "FAIL  $cc: good.c does not compile"; cat "$out"; failed=$((failed + 1))
    fi
    for file in "$here"/*.c; do
        name=$(basename "$file")
        [ "$name" = good.c ] && continue
        want=$(sed -n '1s|^/\* EXPECT: \(.*\) \*/$|\1|p' "$file")
        if [ -z "$want" ]; then
            echo "FAIL  $name does not say what it expects"; failed=$((failed + 1))
        elif compile "$cc" "$file"; then
            echo "FAIL  $cc: $name compiled"; failed=$((failed + 1))
        elif ! grep -Eq "error: .*($want)" "$out"; then
            echo "FAIL  $cc: $name was refused for another reason"; cat "$out"; failed=$((failed + 1))
        else
            passed=$((passed + 1))
        fi
    done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

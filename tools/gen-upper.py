#!/usr/bin/env python3
"""Writes src/base/upper_table.inc, the upper case of letters beyond ASCII that upper_make() knows.

Run by hand when Unicode grows:  tools/gen-upper.py > src/base/upper_table.inc
Needs nothing but Python's own unicodedata.  A row holds letters first, first + step ... last, each `delta` away from its
capital; letters whose capital is more than one character are not here.
"""
import textwrap
import unicodedata


def run_of(items, i, step):
    """Index behind the letters from i on that share a row with this step."""
    j = i + 1
    while j < len(items) and items[j][0] == items[j - 1][0] + step and items[j][1] == items[i][1]:
        j += 1
    return j


def main():
    letters = [(c, ord(chr(c).upper()) - c) for c in range(0x80, 0x10000)
               if chr(c).upper() != chr(c) and len(chr(c).upper()) == 1]
    rows, i = [], 0
    while i < len(letters):
        end, step = max((run_of(letters, i, step), -step) for step in (1, 2))
        rows.append("{0x%04X,0x%04X,%d,%d}" % (letters[i][0], letters[end - 1][0], -step, letters[i][1]))
        i = end
    print("/* Written by tools/gen-upper.py from Unicode %s; change that, not this. */" % unicodedata.unidata_version)
    print("static const struct row rows[] = {")
    print(textwrap.fill(", ".join(rows) + ",", 116, initial_indent="    ", subsequent_indent="    ", break_long_words=False))
    print("};")


main()

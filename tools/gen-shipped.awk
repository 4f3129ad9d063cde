# gen-shipped.awk policies/*/*   the shipped policies as tables of C, for src/config/shipped.c:
#   static const char shipped_1[] = { bytes };        a text, one line of it in a line
#   #define SHIPPED_FILES SHIPPED("tag-operations/base.yaml", shipped_1) ...
# The path is what follows policies/.  Plain ASCII only, so that any awk gives the same bytes.
BEGIN { for (i = 1; i < 127; i++) code[sprintf("%c", i)] = i }
FNR == 1 {
    if (n > 0) print "};"
    path = FILENAME; sub(/^.*policies\//, "", path)
    files = files " SHIPPED(\"" path "\", shipped_" ++n ")"
    printf "static const char shipped_%d[] = {\n", n
}
{
    for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        if (!(c in code) || code[c] < 32) {
            print "gen-shipped.awk: " FILENAME ":" FNR ": not plain ASCII" > "/dev/stderr"
            failed = 1
            exit 1
        }
        printf "%d,", code[c]
    }
    print "10,"
}
END { if (!failed) print "};\n#define SHIPPED_FILES" files }

# tools/gen-profile.awk < data/ps3_15_table_e1_1.tsv   the rows of PS3.15 Table E.1-1 as C initialisers:
#   PROFILE_ROW(tag, mask, action, in a standard IOD, options that retain it)
# An x in a tag stands for any digit; odd groups are the row of private attributes.  One row of the table spans lines.
BEGIN { FS = "\t" }
/^#/ || NF == 0 { next }
NF == 2         { head = $1 FS $2; next }
NF == 13        { $0 = head FS substr($0, index($0, FS) + 1) }
NF != 14        { print "gen-profile.awk: line " NR ": " NF " columns, not 14" > "/dev/stderr"; failed = 1; exit 1 }
{
    if ($1 ~ /ODD/) {
        tag = mask = "00010000"
    } else {
        tag = mask = substr($1, 2, 4) substr($1, 7, 4)
        if (tag !~ /^[0-9A-FX]+$/ || length(tag) != 8) {
            print "gen-profile.awk: line " NR ": not a tag" > "/dev/stderr"
            failed = 1
            exit 1
        }
        gsub(/X/, "0", tag)
        gsub(/[0-9A-F]/, "F", mask)
        gsub(/X/, "0", mask)
    }
    action = $4
    gsub(/[\/*]/, "", action)
    options = "0"
    if ($6 == "K") options = options " | PROFILE_UIDS"
    if ($7 == "K") options = options " | PROFILE_DEVICE"
    if ($8 == "K") options = options " | PROFILE_INSTITUTION"
    if ($9 == "K") options = options " | PROFILE_PATIENT"
    if ($10 == "K") options = options " | PROFILE_DATES"
    printf "PROFILE_ROW(0x%su, 0x%su, %s, %d, %s)  /* %s */\n", tag, mask, action, $3 == "Y", options, $2
    rows++
}
END { if (!failed && rows < 600) { print "gen-profile.awk: " rows + 0 " rows" > "/dev/stderr"; exit 1 } }

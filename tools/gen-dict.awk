# gen-dict.awk - the data dictionary of PS3.6 as rows of C, for src/dicom/dict.c.
#
# Reads data/dicom_attributes.tsv (tag, VR, VM, keyword, retired) and writes, each sorted for a binary search:
#   EXACT(tag, VR, "keyword")          ascending tags
#   MASKED(tag, mask, VR, "keyword")   repeating groups: an X in the tag is a digit that may be anything
#   KEYWORD(index)                     indices of the EXACT rows, by keyword as strcmp() orders them
# A row without a VR (retired, nameless) tells nothing and is left out.  Plain POSIX awk: mawk runs it.
BEGIN { FS = "\t" }
/^#/ || NF < 4 || $2 == "" { next }
{
    tag = toupper(substr($1, 2, 4) substr($1, 7, 4))
    vr = substr($2, 1, 2)                   # "US or SS": the first
    if (vr == "Se") vr = "NONE"             # "See Note 2": items and delimiters
    if (tag ~ /X/) {
        mask = tag; bare = tag
        gsub(/[0-9A-F]/, "F", mask); gsub(/X/, "0", mask); gsub(/X/, "0", bare)
        masked[++n_masked] = sprintf("MASKED(0x%s, 0x%s, %s, \"%s\")", bare, mask, vr, $4)
        next
    }
    key[++n] = tag; vr_of[tag] = vr; word[tag] = $4
}
# Merge sort of name[lo..hi] by bytes, as strcmp() does (mawk and gawk both); a test looks every keyword up.
function sort(name, lo, hi,    mid, i, j, k) {
    if (lo >= hi) return
    mid = int((lo + hi) / 2)
    sort(name, lo, mid); sort(name, mid + 1, hi)
    for (i = lo; i <= hi; i++) spare[i] = name[i]
    i = lo; j = mid + 1
    for (k = lo; k <= hi; k++)
        name[k] = (j > hi || (i <= mid && spare[i] "" <= spare[j] "")) ? spare[i++] : spare[j++]
}
END {
    sort(key, 1, n)
    for (i = 1; i <= n; i++) {
        printf "EXACT(0x%s, %s, \"%s\")\n", key[i], vr_of[key[i]], word[key[i]]
        if (word[key[i]] != "") { by[++n_by] = word[key[i]]; index_of[word[key[i]]] = i - 1 }
    }
    for (i = 1; i <= n_masked; i++) print masked[i]
    sort(by, 1, n_by)
    for (i = 1; i <= n_by; i++) printf "KEYWORD(%d)\n", index_of[by[i]]
}

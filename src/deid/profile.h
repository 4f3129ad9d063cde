/* profile.h - PS3.15 Table E.1-1 as data: what the basic profile does to an attribute, and which options retain it.
 * Owns: a constant table, generated from data/ps3_15_table_e1_1.tsv.  Threads: any. */
#ifndef PIXL_DEID_PROFILE_H
#define PIXL_DEID_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X remove, Z zero length or dummy, D dummy, U map consistently; X/Z and the like: the first unless the IOD needs the
 * second.  XZU is X/Z/U* of the table: a sequence may stay when the UIDs inside are mapped. */
enum profile_action {
    PROFILE_X, PROFILE_Z, PROFILE_D, PROFILE_U, PROFILE_XZ, PROFILE_XD, PROFILE_XZD, PROFILE_ZD, PROFILE_XZU,
};

/* Options of section E.3 under which the attribute may be retained as it is ("K"). */
enum profile_option {
    PROFILE_UIDS        = 1u << 0,      /* 113110 */
    PROFILE_DEVICE      = 1u << 1,      /* 113109 */
    PROFILE_INSTITUTION = 1u << 2,      /* 113112 */
    PROFILE_PATIENT     = 1u << 3,      /* 113108 */
    PROFILE_DATES       = 1u << 4,      /* 113106 */
    PROFILE_PRIVATE     = 1u << 5,      /* 113111; not of a row: said of private data that was kept */
    PROFILE_PIXELS      = 1u << 6,      /* 113101; not of a row, and retains nothing: pixels were cleaned */
};

struct profile_row {
    uint32_t tag, mask;                 /* the row holds for t when (t & mask) == tag: repeating groups, odd groups */
    uint8_t action;
    bool is_standard;                   /* in a standard composite IOD */
    uint8_t options;
};

const struct profile_row *profile_rows(size_t *n);
/* The row for a tag; NULL when the table does not name it. */
const struct profile_row *profile_find(uint32_t tag);

#endif

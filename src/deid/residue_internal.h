/* residue_internal.h - the table where needles and texts meet; for residue.c, needle.c and their tests.
 *
 * A cell is one hash (token.h) that stood in a needle, in a text or in both: when both sides have a kind of identity in
 * common, that is a hit.  So it makes no difference which of the two came first. */
#ifndef PIXL_DEID_RESIDUE_INTERNAL_H
#define PIXL_DEID_RESIDUE_INTERNAL_H

#include "base/arena.h"
#include "deid/residue.h"

enum cell_flags { /* beside enum identity in cell.needle */
                  CELL_STOP = 1u << 8,
                  CELL_STOP_PERSON = 1u << 9,
                  CELL_CODE = 1u << 10,
                  CELL_PLACE = 1u << 11,
                  CELL_ORDINARY = 1u << 12,
                  CELL_TITLED = 1u << 13,
                  CELL_LISTED = CELL_PLACE | CELL_ORDINARY,
};
struct cell {
    uint64_t hash;         /* 0: empty */
    const char *place;     /* of the text that brought seen */
    uint16_t needle, seen; /* enum identity; needle also cell_flags */
    uint16_t word;         /* of CELL_LISTED: its number, from 1 */
};

struct residue {
    uint64_t seed;
    struct cell *cells;
    size_t n_cells, mask, n_seen, n_needles;
    struct arena places;
    char hit[RESIDUE_WHERE_SIZE];
    bool has_hit;
    unsigned generation;
};

/* NULL when there is none; lives until the next residue_find_or_add(). */
struct cell *residue_find(const struct residue *r, uint64_t hash);
/* Fails: NOMEM. */
PIXL_MUST_CHECK bool residue_find_or_add(struct residue *r, uint64_t hash, struct cell **out, struct pixl_error *err);
/* place: of the text where it stands. */
void residue_note_hit(struct residue *r, const char *place);

#endif

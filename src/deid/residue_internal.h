/* residue_internal.h - the table where needles and texts meet; for residue.c, needle.c and their tests.
 *
 * A cell is one hash (token.h) that stood in a needle, in a text or in both: when both sides have a kind of identity in
 * common, that is a hit.  So it makes no difference which of the two came first. */
#ifndef PIXL_DEID_RESIDUE_INTERNAL_H
#define PIXL_DEID_RESIDUE_INTERNAL_H

#include <assert.h>

#include "deid/residue.h"
#include "deid/words.h"

enum cell_flags { /* of words that are in a list (words.h) */
                  CELL_STOP = 1u << 0,
                  CELL_STOP_PERSON = 1u << 1,
                  CELL_CODE = 1u << 2,
                  CELL_PLACE = 1u << 3,
                  CELL_ORDINARY = 1u << 4,
                  CELL_TITLED = 1u << 5,
                  CELL_LISTED = CELL_PLACE | CELL_ORDINARY,
                  CELL_ALL = 63,
};
struct cell {
    uint64_t hash;                 /* 0: empty */
    uint32_t place;                /* of the text that brought seen: where in residue.places, from 1; 0: none */
    uint8_t needle, seen;          /* enum identity */
    unsigned word : 10, flags : 6; /* of CELL_LISTED: its number, from 1; enum cell_flags */
};
static_assert(sizeof(struct cell) == 16 && WORDS_LISTED_MAX <= 1 << 10, "four cells in a line of cache");

struct residue {
    uint64_t seed;
    struct cell *cells;
    size_t n_cells, mask, n_seen, n_needles;
    struct buf places; /* each ends with a NUL */
    char hit[RESIDUE_WHERE_SIZE];
    bool has_hit;
    unsigned generation;
};

/* NULL when there is none; lives until the next residue_find_or_add(). */
struct cell *residue_find(const struct residue *r, uint64_t hash);
/* Fails: NOMEM. */
PIXL_MUST_CHECK bool residue_find_or_add(struct residue *r, uint64_t hash, struct cell **out, struct pixl_error *err);
/* The text of cell.place. */
const char *residue_place_of(const struct residue *r, uint32_t place);
/* place: of the text where it stands. */
void residue_note_hit(struct residue *r, const char *place);

#endif

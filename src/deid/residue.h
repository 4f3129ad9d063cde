/* residue.h - is a trace of somebody's identity left in what would be written?
 *
 * Needles are what must not be left; texts are what would be written.  Both are cut into the same tokens (token.h)
 * and meet in one table of keyed hashes, so that a needle that comes late is also compared with every text seen before.
 *
 *   ids      joined form as a whole run, compound or value; 2 or 3 runs in a row, of digits 4; shorter than 4: only as
 *            a whole value; numbers of 6 or more also glued to letters ("x4711-0815"), without their own letters when
 *            they are no date, or leading zeros; from 7 digits also alone between others
 *            ("HOSP/1234567/A")
 *   names    words of 3 or more (2 ideographs), hyphenated words joined, two words of a name in a row; words that are
 *            others too only where they are meant as a name (words.h); shorter than 3: only as a whole value; family
 *            and given name joined, or with an initial; each of several words as one; a patient's of 2 letters behind
 *            a title; "ü" also as "ue" and the other way; Chinese, Japanese and Korean
 *            family names and whole names also in the midst of a text without gaps; in texts also, from 5 letters, words
 *            that begin with a capital inside another, what stands before a modality, letters with a blank between each
 *   dates    the birth date as 19700131, 31.01.1970, 1/31/1970, 31/1/70, 31 Jan 1970, 31st of January 1970, and so in
 *            nine other languages; of Thai, Japanese and Chinese years
 *   UIDs     whole, or as the beginning of a longer one
 * Texts are read once more without the escapes of addresses and mail ("M%C3%BCller", "M=FCller").
 *
 * Not found, as it cannot be told from what is nobody's: a name glued to other small letters or capitals
 * ("muellerknie"); one that is cut, misspelt or abbreviated; single syllables of Hangul, given names of two ideographs in
 * the midst of a text; between other bytes ideographs that no NUL sets off; UTF-16 beyond ASCII in bytes.  Nor what
 * must be decoded first: base64, hexadecimal, entities of HTML, compressed bytes.
 * Owns: its table; no text.  Never: names a value.  Threads: one. */
#ifndef PIXL_DEID_RESIDUE_H
#define PIXL_DEID_RESIDUE_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "deid/scheme.h"

enum { RESIDUE_WHERE_SIZE = 96, RESIDUE_MAX_TOKENS = 200000 };

struct residue;

/* Given: residue_free(). */
PIXL_MUST_CHECK bool residue_new(struct residue **out, struct pixl_error *err);
void residue_free(struct residue *r);
PIXL_DEFINE_CLEANUP(residue, residue_free)
/* Forgets needles, texts and hits: another person's study begins. */
PIXL_MUST_CHECK bool residue_reset(struct residue *r, struct pixl_error *err);

/* Needles, as UTF-8 (or Latin-1); empty ones are let pass.  When a text seen before holds one, residue_hit() tells
 * where.
 * kind: one of IDENTITY_IDS; a study id that is shorter than 4 identifies nobody ("1" is in every file).
 * Fails: NOMEM, LIMIT. */
PIXL_MUST_CHECK bool residue_add_id(struct residue *r, struct str id, enum identity kind, struct pixl_error *err);
/* who: IDENTITY_PATIENT or IDENTITY_PERSON (whose words count from 4 letters and have more exceptions). */
PIXL_MUST_CHECK bool residue_add_name(struct residue *r, struct str name, enum identity who, struct pixl_error *err);
PIXL_MUST_CHECK bool residue_add_birth_date(struct residue *r, struct str da, struct pixl_error *err);
PIXL_MUST_CHECK bool residue_add_uid(struct residue *r, struct str uid, struct pixl_error *err);

enum residue_form {
    RESIDUE_TEXT, /* free text, possibly many values */
    RESIDUE_NAME, /* PN: as text, and words that elsewhere are no names */
    RESIDUE_CODE, /* CS: of names only the patient's: two words in a row, or one of 4 that no standard defines */
    RESIDUE_NUMBERS, /* IS, DS: whole numbers of 6 digits or more as ids, whatever their sign, zeros before and ".0" behind */
    RESIDUE_DATE,    /* DA, DT: dates only */
    RESIDUE_UIDS,    /* UI: UIDs, and a component that is an id or a date; the standard's own are let pass */
    RESIDUE_BINARY,  /* bytes of unknown meaning: whatever is printable in them */
    RESIDUE_DECODED, /* the same, as UTF-8 out of another character set: what holds letters beyond ASCII */
};
struct residue_text {
    struct str text;
    enum residue_form form;
    bool is_multi;               /* '\' separates values */
    bool is_unclean;             /* could not be decoded: bytes beyond ASCII are tried as letters and as separators */
    unsigned exempt;             /* enum identity that may be left here */
};
/* Where texts stand: asked for once, when something new is seen in one of them. */
struct residue_place {
    void (*write)(void *ctx, char out[RESIDUE_WHERE_SIZE]);
    void *ctx;
    uint32_t known; /* 0: not asked for yet; holds until residue_reset() */
};
/* Fails: NOMEM; LIMIT when a study holds more distinct tokens than can be kept for later needles. */
PIXL_MUST_CHECK bool residue_check(struct residue *r, const struct residue_text *t, struct residue_place *place,
                                   struct pixl_error *err);

/* The place of the first hit since the last residue_clear_hit(); NULL: none. */
const char *residue_hit(const struct residue *r);
void residue_clear_hit(struct residue *r);
/* Grows with each hit: what was remembered as clean before is not clean for sure any more. */
unsigned residue_generation(const struct residue *r);

#endif

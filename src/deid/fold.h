/* fold.h - one character as the residue check compares it.
 *
 * Case and Latin diacritics go ("Müller" = "MULLER"), Greek accents, Hebrew and Arabic points and the kinds of alef, yeh,
 * kaf and heh that are written for each other, the voicing marks and small forms of kana, which is all made katakana;
 * full-width forms are their ASCII, as are the digits of other scripts and ligatures; combining marks, variation selectors
 * and characters of no width are skipped.  The same letter may also be spelt out, as those write who have no umlaut: ä ae,
 * ö oe, ü ue, ø oe, å aa.
 * Owns: constant tables.  Threads: any. */
#ifndef PIXL_DEID_FOLD_H
#define PIXL_DEID_FOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum fold_class { FOLD_GAP, FOLD_LETTER, FOLD_DIGIT, FOLD_JOINER, FOLD_SKIP };
/* Scripts that put no gap between words. */
enum fold_script { FOLD_SPACED, FOLD_HAN, FOLD_KANA, FOLD_HANGUL };

/* Up to three code points of one class. */
struct folded {
    uint32_t c[3];
    unsigned char n, class, script;
};

extern const struct folded fold_ascii[128];
/* c: 0x80 and above. */
struct folded fold_char(uint32_t c);
/* The same, spelt out.  before: the byte in front of it, which a combining mark belongs to; 0: none. */
struct folded fold_spelt(uint32_t c, unsigned char before);

/* Takes the next character of a text that is not empty; bytes that are not UTF-8 are Latin-1, one by one. */
uint32_t fold_next(struct str *s);

#endif

/* token.h - cuts text into what the residue check compares: hashes of folded words, ids, sequences and UIDs.
 *
 * Characters are folded (fold.h); the T of a date with a time separates.  A *run* is a maximal run of letters and
 * digits; where Chinese, Japanese or Korean meets another script it ends.  Texts are never kept: a token is 64 bits of a
 * keyed hash.
 *
 *   "AB-12 345"   RUN ab, 12, 345    COMPOUND ab12    GRAM2 ab|12, 12|345    GRAM3 ab|12|345    JOINED ab12345
 *   "山田様の"     RUN 山田様の    STRETCH 山田, 山田様    PART 山田, 山田様, 田様, 田様の
 * Owns: nothing.  Never: decides what is identity.  Threads: any. */
#ifndef PIXL_DEID_TOKEN_H
#define PIXL_DEID_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum token_kind {
    TOKEN_RUN,      /* one run */
    TOKEN_LETTERS,  /* letters inside a run that also holds digits; 5 or more: "smith1970" */
    TOKEN_DIGITS,   /* 6 or more digits: inside a run that also holds letters ("mrn123456"), or 2 to 4 runs of
                                  * digits in a row, joined ("943 476 5919"); 5 or more: a run without its leading zeros;
                                  * with TOKEN_WITH_PARTS also a compound without letters around it ("x4711-0815"), and
                                  * digits with one blank or NUL between each and the next */
    TOKEN_COMPOUND, /* two or more runs with one of - . / _ : ' + # between them, or a hyphen and the end of a line,
                                  * joined */
    TOKEN_GRAM2,
    TOKEN_GRAM3,      /* two or three runs in a row, whatever stands between; another hash than any run's */
    TOKEN_SHORT_DATE, /* "4/7/61": a compound of three numbers, 4 to 6 digits; another hash than any run's */
    TOKEN_DAY,        /* the first 8 of 12 or 14 digits: "19610704120000"; with TOKEN_WITH_PARTS */
    TOKEN_STRETCH,    /* inside a run of Chinese, Japanese or Korean: what is of one script, or ends before a
                                  * form of address; 2 characters, of kana 3 */
    TOKEN_PART,       /* inside such a run: any 2 Han characters or syllables of Hangul,
                                  * any 3, 4 kana; another hash than any run's */
    TOKEN_WITHIN, /* of 5 letters or more, what is not a run for want of gaps or for too many: "CTMuellerAnna" before and
                                  * at capitals, "muellerct" before a modality, "M u e l l e r", with NULs too */
    TOKEN_JOINED, /* all runs of one value, joined; runs tells how many */
    TOKEN_UID,    /* a UID or a UID's beginning that ends before a '.'; another hash than any run's */
};

struct token {
    enum token_kind kind;
    uint64_t
        hash; /* equal kinds of text give equal hashes: RUN, LETTERS, DIGITS, COMPOUND, DAY, STRETCH, WITHIN, JOINED share theirs */
    uint32_t n;                  /* characters after folding; ideographs count twice */
    uint32_t runs;               /* of JOINED, COMPOUND */
    bool has_letter, has_digit;
};

enum token_options {
    TOKEN_WITH_UIDS = 1u << 0,
    TOKEN_WITH_GRAMS = 1u << 1,
    TOKEN_MULTI = 1u << 2, /* '\' separates values */
    TOKEN_ASCII = 1u << 3, /* bytes beyond ASCII are no letters: for text whose character set is not what it says */
    TOKEN_SPELT = 1u << 4, /* umlauts are spelt out: "ue" */
    TOKEN_WITH_PARTS = 1u << 5,
};

/* Gives every token of text to sink, in order; false: sink said stop. */
PIXL_MUST_CHECK bool token_each(struct str text, uint64_t seed, unsigned options,
                                bool (*sink)(void *ctx, const struct token *t), void *ctx);

/* The hashes that token_each would give. */
uint64_t token_hash_run(uint64_t seed, struct str folded);
uint64_t token_hash_gram2(uint64_t a, uint64_t b);
uint64_t token_hash_gram3(uint64_t a, uint64_t b, uint64_t c);
uint64_t token_hash_uid(uint64_t seed, struct str uid);
/* The PART that a name of such a script begins with, the longest; false: there is none, it is too short. */
bool token_hash_part(uint64_t seed, struct str name, uint64_t *hash);

/* What counts in one place only has a hash of its own, made of the token's. */
enum token_use {
    TOKEN_AS_VALUE,  /* JOINED: as a whole value */
    TOKEN_AS_CODE,   /* JOINED: as a whole value of CS */
    TOKEN_AS_PERSON, /* RUN: in a PN */
    TOKEN_AS_DATE,   /* GRAM3: as a short date */
    TOKEN_AS_PAIR,   /* of token_hash_pair() */
};
uint64_t token_hash_as(uint64_t hash, enum token_use use);
/* Two words by their numbers, in one value. */
uint64_t token_hash_pair(uint64_t seed, unsigned a, unsigned b);

#endif

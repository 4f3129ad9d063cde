/* words.h - words that names share with everything else, and how months and people are called.
 *
 * A name counts wherever it stands.  Not so when it is also a word that reports, protocols and devices use: a study must
 * not be withheld because Mr Young's says "young adult".  So every word of a name is of one class:
 *
 *   WORD_STOP         no name at all: what systems write where a name should be ("test", "unknown"), what is written on
 *                     every page, particles ("von", "de la").  Never looked for.
 *   WORD_STOP_TITLED  the same, but a patient's counts behind a title ("Mr Page")
 *   WORD_STOP_PERSON  the same where a physician's or operator's name should be ("tech", "admin")
 *   WORD_PLACE        anatomy, planes and directions ("Hand", "Head", "Cor").  Counts in a PN; behind a title ("Mrs
 *                     Hand", "Dr. med. Hand"); beside an initial of the name ("Hand, K.", but not "a hand"); before
 *                     such titles as say nothing else there ("Hand (Mrs)"); and together with another listed word of the
 *                     same name, anywhere in the value and in any order
 *   WORD_ORDINARY     other words of the trade and of every day ("Young", "May", "Park").  As WORD_PLACE, and where it is
 *                     the whole value; a patient's also as "Young's"
 *   none              counts wherever it stands as a word
 *
 * A word belongs into a list when it says something else more often than it names somebody, in descriptions as in reports.
 * "Smith" fracture, "Baker" cyst and "Wilson" disease do not: these are names first.
 * WORD_CODE are values of CS that the standard and makers define and that could be taken for names, beyond those above:
 * they are no trace in a CS.
 * Owns: constant tables.  Threads: any. */
#ifndef PIXL_DEID_WORDS_H
#define PIXL_DEID_WORDS_H

#include <stddef.h>

enum word_class { WORD_STOP, WORD_STOP_TITLED, WORD_STOP_PERSON, WORD_PLACE, WORD_ORDINARY, WORD_CODE, WORD_CLASSES };
enum { WORDS_LISTED_MAX = 1024 }; /* words of WORD_PLACE and WORD_ORDINARY together are fewer */

/* Folded as in fold.h, separated by blanks. */
extern const char *const words_of[WORD_CLASSES];
/* What stands before a name: "mr", "frau". */
extern const char *const words_titles;
/* What stands behind it, "Green (Mrs)": not those that say something else there ("hand MR"). */
extern const char *const words_titles_behind;
/* Of two letters, what stands between a title and anybody's name: "de". */
extern const char *const words_particles;

/* Names of a month, 0 to 11: English ones; those of other languages, and Roman numbers. */
extern const char *const words_months_english[12];
extern const char *const words_months[12];

/* Eras of East Asia in which years are counted: names, the letter that stands for it ('\0': none), first and last year. */
struct words_era {
    const char *names;
    char letter;
    unsigned from, to;
};
extern const struct words_era words_eras[];
extern const size_t words_n_eras;

#endif

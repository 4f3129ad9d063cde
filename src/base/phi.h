/* phi.h - text that names a patient, in a type that no log or error function takes.
 *
 * MRN, accession number, patient name, original UIDs and whatever was read next to them travel as
 * struct phi_text.  Reading one is phi_reveal(), a word that a reviewer can grep for: it may feed a
 * comparison, a keyed hash, the store or the archive, and never a log, an error, a file name, a URL.
 * Owns: nothing (borrowed, like struct str).  Threads: any. */
#ifndef PIXL_BASE_PHI_H
#define PIXL_BASE_PHI_H

#include "str.h"

struct phi_text {
    struct str hidden_;          /* only phi_text() and phi_reveal() name this field */
};

static inline struct phi_text phi_text(struct str s) { return (struct phi_text){ s }; }
static inline struct str phi_reveal(struct phi_text t) { return t.hidden_; }
static inline bool phi_is_empty(struct phi_text t) { return t.hidden_.n == 0; }
static inline bool phi_eq(struct phi_text a, struct phi_text b) { return str_eq(a.hidden_, b.hidden_); }

#endif

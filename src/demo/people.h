/* people.h - patients and staff who never lived, and the list of what must not be found of them afterwards.
 * Owns: nothing; texts live in the arena given.  Threads: any; a list belongs to one thread. */
#ifndef PIXL_DEMO_PEOPLE_H
#define PIXL_DEMO_PEOPLE_H

#include "base/arena.h"
#include "base/error.h"

struct person {
    const char *family, *given, *middle, *mother; /* UTF-8; mother: "" when she is not written down */
    const char *charset;                          /* of this person's files: ISO_IR 192 or ISO_IR 100 */
    const char *family_in_file;                   /* family in that character set */
    const char *mrn, *nhs_number, *old_mrn;
    const char *birth_date; /* yyyymmdd */
    const char *sex;        /* F or M */
    const char *street, *postcode, *phone;
    int age; /* in years, in 2026 */
};

/* Person number i, always the same.  false: no memory. */
PIXL_MUST_CHECK bool person_make(struct arena *a, size_t i, struct person *out);

/* The hospital and those who work there. */
#define HOSPITAL_NAME    "St Elfreda's Infirmary, Northmere"
#define HOSPITAL_SHORT   "Elfreda"
#define HOSPITAL_TOWN    "Northmere"
#define HOSPITAL_ADDRESS "14 Candlewick Passage, Northmere NQ7 3ZZ"
#define HOSPITAL_STREET  "Candlewick Passage"
#define STAFF_REFERRING  "Drummelzier^Agatha^^Dr"
#define STAFF_READING    "Pfefferkorn^Ignaz^^Dr"
#define STAFF_PERFORMING "Abernethwyn^Lorcan^^Prof"
#define STAFF_OPERATOR   "Vandersloot^Mieke"
#define STAFF_PHONE      "+44 1632 960441"

/* Texts to be looked for later. */
struct needles {
    struct arena *arena;
    const char **texts;
    size_t n, cap;
    bool failed; /* out of memory */
};
void needles_add(struct needles *l, const char *text);
void needles_add_person(struct needles *l, const struct person *p);
void needles_add_hospital(struct needles *l);
/* Sorts, drops what is there twice, puts NULL behind the last.  Fails: NOMEM, also of an earlier call. */
PIXL_MUST_CHECK bool needles_finish(struct needles *l, const char *const **out, struct pixl_error *err);

#endif

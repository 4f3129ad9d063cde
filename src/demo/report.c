#include "images_internal.h"

#include <stdio.h>
#include <string.h>

/* A node of the content tree (PS3.3 section C.17.3) with its concept name. */
static struct dataset *node(struct image_writer *w, struct dataset *parent, const char *relation, const char *type,
                            const char *code, const char *meaning)
{
    struct dataset *n = dataset_item(w->b, parent, 0x0040A730);
    dataset_text(w->b, n, 0x0040A010, relation);
    dataset_text(w->b, n, 0x0040A040, type);
    image_put_code(w, dataset_item(w->b, n, 0x0040A043), code, "DCM", meaning);
    return n;
}

static void put_contents(struct image_writer *w)
{
    const struct person *p = w->i->person;
    struct dataset *n;
    n = node(w, w->d, "HAS OBS CONTEXT", "PNAME", "121008", "Person Observer Name");
    dataset_text(w->b, n, 0x0040A123, STAFF_READING);
    n = node(w, w->d, "HAS OBS CONTEXT", "PNAME", "121029", "Subject Name");
    dataset_textf(w->b, n, 0x0040A123, "%s^%s", p->family_in_file, p->given);
    n = node(w, w->d, "CONTAINS", "CONTAINER", "121070", "Findings");
    dataset_text(w->b, n, 0x0040A050, "SEPARATE");
    n = node(w, n, "CONTAINS", "TEXT", "121071", "Finding");
    dataset_textf(w->b, n, 0x0040A160,
                  "%s %s (%s, born %s) has clear lungs. Signed, Dr Pfefferkorn, " HOSPITAL_SHORT ".", p->given,
                  p->family_in_file, p->mrn, p->birth_date);
}

void image_put_report(struct image_writer *w)
{
    const struct image *i = w->i;
    struct dataset *d = w->d, *verifier;
    dataset_text(w->b, d, 0x00080023, i->study_date);
    dataset_text(w->b, d, 0x00080033, "164500");
    dataset_empty_sequence(w->b, d, 0x00081111);
    dataset_empty_sequence(w->b, d, 0x0040A372);
    dataset_text(w->b, d, 0x0040A491, "COMPLETE");
    dataset_text(w->b, d, 0x0040A493, "VERIFIED");
    verifier = dataset_item(w->b, d, 0x0040A073);
    dataset_text(w->b, verifier, 0x0040A027, HOSPITAL_NAME);
    dataset_textf(w->b, verifier, 0x0040A030, "%s164500", i->study_date);
    dataset_text(w->b, verifier, 0x0040A075, STAFF_READING);
    dataset_empty_sequence(w->b, verifier, 0x0040A088);
    dataset_text(w->b, d, 0x0040A040, "CONTAINER");
    dataset_text(w->b, d, 0x0040A050, "SEPARATE");
    image_put_code(w, dataset_item(w->b, d, 0x0040A043), "121060", "DCM", "History");
    put_contents(w);
}

/* residue_rig.h - one needle, one text, in both orders, for tests of the residue check. */
#ifndef PIXL_TEST_RESIDUE_RIG_H
#define PIXL_TEST_RESIDUE_RIG_H

#include <stdio.h>
#include <string.h>

#include "deid/residue.h"
#include "test.h"

#define residue_auto PIXL_CLEANUP(residue_freep) struct residue

/* kind: IDENTITY_PATIENT, IDENTITY_PERSON, IDENTITY_DATE, IDENTITY_UID, or one of IDENTITY_IDS. */
struct residue_row {
    enum identity kind;
    const char *needle, *text;
    enum residue_form form;
    bool found;
};

static inline void residue_rig_place(void *ctx, char out[RESIDUE_WHERE_SIZE])
{
    (void)snprintf(out, RESIDUE_WHERE_SIZE, "%s", (const char *)ctx);
}

static inline void residue_rig_needle(struct residue *r, enum identity kind, struct str needle)
{
    struct pixl_error err = { 0 };
    switch (kind) {
    case IDENTITY_DATE: REQUIRE_OK(residue_add_birth_date(r, needle, &err), err); break;
    case IDENTITY_UID: REQUIRE_OK(residue_add_uid(r, needle, &err), err); break;
    case IDENTITY_PATIENT:
    case IDENTITY_PERSON: REQUIRE_OK(residue_add_name(r, needle, kind, &err), err); break;
    default: REQUIRE_OK(residue_add_id(r, needle, kind, &err), err); break;
    }
}

static inline void residue_rig_text(struct residue *r, const struct residue_row *row)
{
    struct pixl_error err = { 0 };
    char where[RESIDUE_WHERE_SIZE] = "here";
    const struct residue_text t = { .text = str_of(row->text), .form = row->form, .is_multi = true };
    struct residue_place place = { residue_rig_place, where, 0 };
    REQUIRE_OK(residue_check(r, &t, &place, &err), err);
}

static inline void residue_rig_check(const struct residue_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int late = 0; late < 2; late++) {
            struct pixl_error err = { 0 };
            residue_auto *r = NULL;
            test_row("%s / %s%s", rows[i].needle, rows[i].text, late ? ", needle late" : "");
            REQUIRE_OK(residue_new(&r, &err), err);
            if (late)
                residue_rig_text(r, &rows[i]);
            CHECK(residue_hit(r) == NULL);
            residue_rig_needle(r, rows[i].kind, str_of(rows[i].needle));
            if (!late)
                residue_rig_text(r, &rows[i]);
            CHECK_INT(residue_hit(r) != NULL, rows[i].found);
        }
}

#endif

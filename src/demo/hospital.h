/* hospital.h - which studies this hospital has, who asks for them, and how each must end.
 * Owns: nothing; all lives in the arena given.  Threads: one call at a time. */
#ifndef PIXL_DEMO_HOSPITAL_H
#define PIXL_DEMO_HOSPITAL_H

#include "demo.h"
#include "images.h"

/* What is special about a study. */
enum hospital_flags {
    HOSPITAL_ABSENT = 1u << 0,       /* asked for, but in no archive */
    HOSPITAL_DAMAGED = 1u << 1,      /* one file ends in the middle of its pixels */
    HOSPITAL_LEAKS = 1u << 2,        /* a kept description names the patient */
    HOSPITAL_TWICE = 1u << 3,        /* two rows of the cohort ask for it; one file of it lies twice in the archive */
    HOSPITAL_BY_ACCESSION = 1u << 4, /* the cohort does not know its UID */
    HOSPITAL_ONE_SERIES = 1u << 5,   /* the cohort asks for its second series only */
    HOSPITAL_BYSTANDER = 1u << 6,    /* in the archive, but nobody asks for it */
};

struct hospital_study {
    enum image_kind kind;
    unsigned flags;
    bool is_omop; /* of the OMOP project; else of the CSV's */
    bool is_second_vendor;
    unsigned number; /* from 1 */
    struct person person;
    unsigned person_number;
    const char *accession_number, *study_date;
    char study_uid[DICOM_UID_MAX + 1];
    const char *series_uid;     /* asked for; "": all */
    const char *participant_id; /* "": none */
    int64_t procedures[2];      /* that ask for it */
    size_t n_procedures;
    enum study_state expect;
    enum study_reason expect_reason;
    const char *what;
    int64_t delivered; /* set by hospital_write_archive(), as are the pixels */
    uint8_t pixels[HASH_SHA256_BYTES];
};

struct hospital {
    struct hospital_study *studies; /* bystanders last */
    size_t n, n_asked_for;
    unsigned shrink; /* pictures are so many times smaller in both directions, so that many studies fit */
};

/* Fails: NOMEM. */
PIXL_MUST_CHECK bool hospital_plan(struct arena *a, size_t n_studies, struct hospital *out, struct pixl_error *err);

/* Writes every file of the archive below dir, and strangers among them.  *sample: one that must be delivered.
 * Fails: IO, NO_SPACE, DENIED, NOMEM. */
PIXL_MUST_CHECK bool hospital_write_archive(struct hospital *h, const char *dir, struct arena *a, const char **sample,
                                            struct pixl_error *err);

/* The cohorts: an OMOP ES extract below omop_dir, and a CSV.  Fails: as duck_open(), fs_write_whole(). */
PIXL_MUST_CHECK bool hospital_write_omop(const struct hospital *h, const char *omop_dir, const char *temp_dir,
                                         struct pixl_error *err);
PIXL_MUST_CHECK bool hospital_write_csv(const struct hospital *h, const char *path, struct pixl_error *err);

void hospital_add_needles(const struct hospital *h, struct needles *l);

#endif

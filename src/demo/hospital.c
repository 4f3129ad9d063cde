#include "hospital.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "policies.h"

enum {
    MANY_STUDIES = 24, /* from here on pictures are half as wide */
    IMAGE_ARENA_MAX = 64 * 1024 * 1024,
};

/* The first studies are always these; then ordinary ones of each kind follow, round and round. */
static const struct special {
    enum image_kind kind;
    unsigned flags;
    bool is_omop;
    enum study_state expect;
    enum study_reason why;
    const char *what;
} specials[] = {
    { IMAGE_CT, HOSPITAL_TWICE, true, STUDY_EXPORTED, STUDY_WHY_NONE,
      "CT of the chest, which two rows of the cohort ask for" },
    { IMAGE_MR, HOSPITAL_ONE_SERIES, false, STUDY_EXPORTED, STUDY_WHY_NONE,
      "MR of the head, one of its two series asked for" },
    { IMAGE_XRAY, HOSPITAL_BY_ACCESSION, false, STUDY_EXPORTED, STUDY_WHY_NONE,
      "X-ray, known by MRN and accession number only" },
    { IMAGE_CT, HOSPITAL_ABSENT, true, STUDY_MISSING, STUDY_WHY_NOT_IN_ARCHIVE, "CT that the archive does not have" },
    { IMAGE_REPORT, 0, true, STUDY_SKIPPED, STUDY_WHY_MODALITY, "structured report, in a project of CT images" },
    { IMAGE_CT, HOSPITAL_DAMAGED, true, STUDY_FAILED, STUDY_WHY_UNREADABLE_INSTANCE, "CT, one of its files cut short" },
    { IMAGE_XRAY, HOSPITAL_LEAKS, false, STUDY_WITHHELD, STUDY_WHY_RESIDUE,
      "X-ray whose kept description names the patient" },
    { IMAGE_XRAY, 0, false, STUDY_EXPORTED, STUDY_WHY_NONE, "X-ray of the chest" },
}, ordinary[] = {
    { IMAGE_CT, 0, true, STUDY_EXPORTED, STUDY_WHY_NONE, "CT of the chest" },
    { IMAGE_MR, 0, false, STUDY_EXPORTED, STUDY_WHY_NONE, "MR of the head" },
    { IMAGE_XRAY, 0, false, STUDY_EXPORTED, STUDY_WHY_NONE, "X-ray of the chest" },
};

/* What lies beside: an older CT of the first patient, and an X-ray of somebody else with the accession number by
 * which the third study is looked for. */
static const struct bystander {
    enum image_kind kind;
    size_t same_person, same_accession; /* as that study, from 1; 0: its own */
} bystanders[] = { { IMAGE_CT, 1, 0 }, { IMAGE_XRAY, 0, 3 } };

static bool plan_study(struct arena *a, struct hospital_study *s, size_t i, size_t person)
{
    char uid[DICOM_UID_MAX + 1];
    s->number = (unsigned)i + 1;
    s->person_number = (unsigned)person + 1;
    s->accession_number = arena_printf(a, "QX26%06u", 1417 + (unsigned)i * 29);
    s->study_date = arena_printf(a, "2026%02u%02u", 9 + (unsigned)i % 2, 1 + (unsigned)i * 3 % 28);
    images_study_uid(s->number, s->study_uid);
    images_series_uid(s->number, 2, uid);
    s->series_uid = s->flags & HOSPITAL_ONE_SERIES ? arena_cstr(a, uid) : "";
    s->participant_id = !s->is_omop && i % 3 == 1 ? arena_printf(a, "participant-%03u", s->person_number) : "";
    if (!(s->flags & HOSPITAL_BYSTANDER)) {
        s->n_procedures = s->flags & HOSPITAL_TWICE ? 2 : 1;
        s->procedures[0] = (s->is_omop ? 10000 : 20000) + (int64_t)i * 2 + 1;
        s->procedures[1] = s->procedures[0] + 1;
    }
    return s->accession_number != NULL && s->study_date != NULL && s->series_uid != NULL && s->participant_id != NULL &&
           person_make(a, person, &s->person);
}

bool hospital_plan(struct arena *a, size_t n_studies, struct hospital *out, struct pixl_error *err)
{
    size_t n = n_studies + ARRAY_LEN(bystanders);
    struct hospital_study *all = arena_calloc(a, n, sizeof *all);
    bool ok = all != NULL;
    for (size_t i = 0; ok && i < n_studies; i++) {
        const struct special *k =
            i < ARRAY_LEN(specials) ? &specials[i] : &ordinary[(i - ARRAY_LEN(specials)) % ARRAY_LEN(ordinary)];
        all[i] = (struct hospital_study){ .kind = k->kind,
                                          .flags = k->flags,
                                          .is_omop = k->is_omop,
                                          .expect = k->expect,
                                          .expect_reason = k->why,
                                          .what = k->what,
                                          .is_second_vendor = i >= ARRAY_LEN(specials) };
        ok = plan_study(a, &all[i], i, i);
    }
    for (size_t k = 0; ok && k < ARRAY_LEN(bystanders); k++) {
        size_t i = n_studies + k, same = bystanders[k].same_person;
        all[i] = (struct hospital_study){ .kind = bystanders[k].kind,
                                          .flags = HOSPITAL_BYSTANDER,
                                          .what = "nobody asks for it" };
        ok = plan_study(a, &all[i], i, same > 0 ? same - 1 : i);
        if (ok && bystanders[k].same_accession > 0)
            all[i].accession_number = all[bystanders[k].same_accession - 1].accession_number;
    }
    if (!ok)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "plan of a made-up hospital");
    *out = (struct hospital){ all, n, n_studies, n_studies > MANY_STUDIES ? 2 : 1 };
    return true;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

struct series_plan {
    const char *description;
    unsigned n, size;
    bool is_scout;
};
static const struct kind_plan {
    const char *description;
    struct series_plan series[2];
    unsigned n_series;
} kind_plans[] = {
    [IMAGE_CT] = { "CT CHEST", { { "CHEST SCOUT", 1, 256, true }, { "CHEST AXIAL 3MM", 24, 512, false } }, 2 },
    [IMAGE_XRAY] = { "XR CHEST", { { "CHEST AP", 1, 1024, false }, { "CHEST LOCALIZER", 1, 256, true } }, 2 },
    [IMAGE_MR] = { "MR HEAD", { { "T1 TRA", 8, 256, false }, { "DWI TRA", 8, 256, false } }, 2 },
    [IMAGE_REPORT] = { "CT CHEST", { { "REPORTS", 2, 0, false } }, 1 },
};

struct archive_writer {
    struct hospital *h;
    const char *dir;
    struct arena image, names; /* of one picture, of one study */
    const char *sample;        /* in names, until it is kept */
};

static bool write_plan(const char *path, const struct dicom_plan *p, uint64_t cut_to, struct pixl_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "a file of the made-up archive");
    bool ok = dicom_plan_write_fd(p, NULL, fd, err);
    if (ok && cut_to > 0 && ftruncate(fd, (off_t)cut_to) != 0)
        ok = pixl_fail_errno(err, errno, "a file of the made-up archive");
    if (close(fd) != 0 && ok)
        ok = pixl_fail_errno(err, errno, "a file of the made-up archive");
    return ok;
}

/* Is this series delivered when its study is? */
static bool is_wanted(const struct hospital_study *s, unsigned series)
{
    return !kind_plans[s->kind].series[series - 1].is_scout && (!(s->flags & HOSPITAL_ONE_SERIES) || series == 2);
}

static bool write_instance(struct archive_writer *w, struct hospital_study *s, const struct image *i, const char *dir,
                           struct pixl_error *err)
{
    struct dicom_plan plan;
    uint8_t pixels[HASH_SHA256_BYTES];
    char name[64];
    (void)snprintf(name, sizeof name, "IM%u%04u.dcm", i->series, i->instance);
    const char *path = fs_path(&w->names, dir, name), *copy = fs_path(&w->names, dir, "COPY.dcm");
    if (path == NULL || copy == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "a file of the made-up archive");
    bool damaged = (s->flags & HOSPITAL_DAMAGED) && i->series == 2 && i->instance == 11;
    bool doubled = (s->flags & HOSPITAL_TWICE) && i->series == 2 && i->instance == 5;
    arena_reset(&w->image);
    if (!images_make(&w->image, i, &plan, pixels, err) ||
        !write_plan(path, &plan, damaged ? plan.size_bytes - (uint64_t)i->size * i->size : 0, err) ||
        (doubled && !write_plan(copy, &plan, 0, err)))
        return false;
    if (s->expect == STUDY_EXPORTED && is_wanted(s, i->series)) {
        s->delivered++;
        for (size_t k = 0; k < sizeof pixels; k++)
            s->pixels[k] ^= pixels[k];
        if (w->sample == NULL && s->is_omop)
            w->sample = path;
    }
    return true;
}

static bool write_study(struct archive_writer *w, struct hospital_study *s, struct pixl_error *err)
{
    const struct kind_plan *k = &kind_plans[s->kind];
    const char *leak = arena_printf(&w->names, "CHEST AP %s REVIEW", s->person.family_in_file);
    const char *patient = arena_printf(&w->names, "%s_%s", s->person.family, s->person.mrn);
    const char *dir =
        patient ? fs_path3(&w->names, w->dir, patient, arena_printf(&w->names, "%s-%u", s->accession_number, s->number))
                : NULL;
    if (leak == NULL || dir == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "a folder of the made-up archive");
    if (!fs_make_dirs(dir, 0755, err))
        return false;
    for (unsigned series = 1; series <= k->n_series; series++) {
        const struct series_plan *p = &k->series[series - 1];
        struct image image = {
            .kind = s->kind,
            .person = &s->person,
            .accession_number = s->accession_number,
            .study_date = s->study_date,
            .study = s->number,
            .series = series,
            .n_instances = p->n,
            .size = p->size / w->h->shrink,
            .study_description = k->description,
            .series_description = p->description,
            .is_scout = p->is_scout,
            .is_second_vendor = s->is_second_vendor,
        };
        if ((s->flags & HOSPITAL_LEAKS) && !p->is_scout)
            image.series_description = leak;
        for (image.instance = 1; image.instance <= p->n; image.instance++)
            if (!write_instance(w, s, &image, dir, err))
                return false;
    }
    return true;
}

/* An archive's folder is never only DICOM. */
static bool write_strangers(struct archive_writer *w, struct pixl_error *err)
{
    static const char directory[] = "\0\0\0\0DICM is not here; OFFSET 0000 IMAGE IM10001 PATIENT Thistlewick";
    static const struct {
        const char *name;
        struct str text;
    } files[] = {
        { "README.txt",
          { "Put new studies into a folder per patient.  Questions: Mieke Vandersloot, radiology.\n", 84 } },
        { "DICOMDIR", { directory, sizeof directory } },
        { "incoming.dcm", { "", 0 } },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const char *path = fs_path(&w->names, w->dir, files[i].name);
        if (path == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "a file of the made-up archive");
        if (!fs_write_whole(path, files[i].text, 0644, err))
            return false;
    }
    return true;
}

bool hospital_write_archive(struct hospital *h, const char *dir, struct arena *a, const char **sample,
                            struct pixl_error *err)
{
    struct archive_writer w = { .h = h, .dir = dir };
    const char *kept = NULL;
    arena_init(&w.image, IMAGE_ARENA_MAX);
    arena_init(&w.names, IMAGE_ARENA_MAX);
    bool ok = fs_make_dirs(dir, 0755, err) && write_strangers(&w, err);
    for (size_t i = 0; ok && i < h->n; i++) {
        struct hospital_study *s = &h->studies[i];
        arena_reset(&w.names);
        ok = s->flags & HOSPITAL_ABSENT || write_study(&w, s, err);
        if (ok && kept == NULL && w.sample != NULL) {
            kept = arena_cstr(a, w.sample);
            ok = kept != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "made-up archive");
        }
    }
    arena_done(&w.names);
    arena_done(&w.image);
    if (ok)
        *sample = kept;
    return ok;
}

void hospital_add_needles(const struct hospital *h, struct needles *l)
{
    needles_add_hospital(l);
    for (size_t i = 0; i < h->n; i++) {
        const struct hospital_study *s = &h->studies[i];
        const struct image image = {
            .kind = s->kind, .person = &s->person, .accession_number = s->accession_number, .study = s->number
        };
        if (s->flags & HOSPITAL_ABSENT) { /* only the cohort knows of it */
            needles_add(l, s->person.mrn);
            needles_add(l, s->accession_number);
            continue;
        }
        needles_add_person(l, &s->person);
        images_add_needles(l, &image);
    }
}

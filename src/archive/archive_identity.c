#include "archive_identity.h"

#include "dicom/frames.h"
#include "dicom/sniff.h"

/* A header of more than this before the series UID is not an image's: a hostile file must not take all memory. */
static const struct dicom_limits limits = {
    .max_elements = 200000, .max_depth = 32, .max_value_bytes = 64u << 10, .max_inflated_bytes = 16u << 20
};

static bool take(struct dicom_file *f, uint32_t tag, struct phi_text *out, bool *all, struct pixl_error *err)
{
    struct str value = { 0 };
    bool found;
    if (!dicom_text(f, tag, &value, &found, err))
        return false;
    *out = phi_text(str_trim(value));
    *all = *all && found;
    return true;
}

/* *all: the patient and the three UIDs are there, if empty. */
static bool take_all(struct dicom_file *f, struct archive_identity *out, bool *all, struct pixl_error *err)
{
    struct archive_identity who = { .kind = ARCHIVE_IDENTITY_INSTANCE };
    bool any = true;
    *all = true;
    if (!take(f, DICOM_SOP_INSTANCE_UID, &who.sop_uid, all, err) ||
        !take(f, DICOM_ACCESSION_NUMBER, &who.accession_number, &any, err) ||
        !take(f, DICOM_PATIENT_ID, &who.patient_id, all, err) || !take(f, DICOM_STUDY_UID, &who.study_uid, all, err) ||
        !take(f, DICOM_SERIES_UID, &who.series_uid, all, err) ||
        !dicom_count_frames(f, &who.frames, err))
        return false;
    *out = who;
    return true;
}

static bool is_about_content(enum pixl_code code)
{
    return code == PIXL_E_CORRUPT || code == PIXL_E_UNSUPPORTED || code == PIXL_E_LIMIT;
}

static bool read_until(const struct dicom_source *source, uint32_t last_tag, struct arena *arena,
                       struct archive_identity *out,
                       struct pixl_error *err)
{
    struct dicom_file f;
    struct archive_identity who;
    bool all;
    arena_reset(arena);
    if (!dicom_parse_until(source, &limits, last_tag, arena, &f, err) || !take_all(&f, &who, &all, err))
        return false;
    if (!all && last_tag == DICOM_SERIES_UID) {
        /* It may stand further behind, where tags do not ascend. */
        struct pixl_error e = { 0 };
        if (!(dicom_parse(source, &limits, arena, &f, &e) && take_all(&f, &who, &all, &e)) &&
            !is_about_content(e.code)) {
            *err = e;
            return false;
        }
    }
    *out = who;
    return true;
}

/* The header breaks before the series UID.  Perhaps behind the study UID: that study must not go on as if this file were
 * not there. */
static bool read_damaged(const struct dicom_source *source, struct arena *arena, struct archive_identity *out,
                         struct pixl_error *err)
{
    struct archive_identity who = { 0 };
    struct pixl_error e = { 0 };
    bool is_dicom;
    if (!read_until(source, DICOM_STUDY_UID, arena, &who, &e) && !is_about_content(e.code)) {
        *err = e;
        return false;
    }
    if (!dicom_sniff(source, &is_dicom, err))
        return false;
    who.kind = is_dicom || !phi_is_empty(who.study_uid) ? ARCHIVE_IDENTITY_DAMAGED : ARCHIVE_IDENTITY_STRANGER;
    who.frames = 0;
    *out = who;
    return true;
}

/* DICOM files that belong to no study: directories, and the non-patient objects of PS3.4 Table GG.3-1. */
static bool is_of_no_study(struct str sop_class)
{
    static const char *const classes[] = {
        "1.2.840.10008.1.3.10",          /* Media Storage Directory */
        "1.2.840.10008.5.1.4.1.1.200.1", /* CT Defined Procedure Protocol */
        "1.2.840.10008.5.1.4.1.1.200.3", /* Protocol Approval */
        "1.2.840.10008.5.1.4.1.1.200.7", /* XA Defined Procedure Protocol */
        "1.2.840.10008.5.1.4.1.1.201.1", /* Inventory */
        "1.2.840.10008.5.1.4.38.1",      /* Hanging Protocol */
        "1.2.840.10008.5.1.4.39.1",      /* Color Palette */
        "1.2.840.10008.5.1.4.43.1",      /* Generic Implant Template */
        "1.2.840.10008.5.1.4.44.1",      /* Implant Assembly Template */
        "1.2.840.10008.5.1.4.45.1",      /* Implant Template Group */
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (str_eq(sop_class, str_of(classes[i])))
            return true;
    return false;
}

/* What was read, but names no study, series or instance. */
static bool read_incomplete(const struct dicom_source *source, struct arena *arena, struct archive_identity *who,
                            struct pixl_error *err)
{
    who->kind = ARCHIVE_IDENTITY_DAMAGED;
    who->frames = 0;
    if (!phi_is_empty(who->study_uid))
        return true;
    struct pixl_error e = { 0 };
    struct dicom_file f;
    struct str sop_class = { 0 };
    bool found, is_dicom;
    arena_reset(arena);
    *who = (struct archive_identity){ .kind = ARCHIVE_IDENTITY_DAMAGED };
    int64_t i = -1;
    bool ok = dicom_parse_until(source, &limits, DICOM_SOP_CLASS_UID, arena, &f, &e);
    if (ok)
        i = dicom_find(&f, DICOM_NO_PARENT, DICOM_META_SOP_CLASS_UID);
    ok = ok && (i < 0 ? dicom_text(&f, DICOM_SOP_CLASS_UID, &sop_class, &found, &e)
                      : dicom_value(&f, (uint32_t)i, &sop_class, &e));
    if (!ok && !is_about_content(e.code)) {
        *err = e;
        return false;
    }
    if (!dicom_sniff(source, &is_dicom, err))
        return false;
    if (!is_dicom || is_of_no_study(dicom_uid_trim(sop_class)))
        who->kind = ARCHIVE_IDENTITY_STRANGER;
    return true;
}

bool archive_identity_read(int fd, struct arena *arena, struct archive_identity *out, struct pixl_error *err)
{
    struct pixl_error e = { 0 };
    struct dicom_source source;
    struct archive_identity who = { 0 };
    bool ok = dicom_source_fd(fd, &source, &e);
    if (ok && !read_until(&source, DICOM_SERIES_UID, arena, &who, &e)) {
        ok = is_about_content(e.code);
        if (ok) {
            pixl_error_clear(&e);
            ok = read_damaged(&source, arena, &who, &e);
        }
    } else if (ok && (phi_is_empty(who.study_uid) || phi_is_empty(who.series_uid) || phi_is_empty(who.sop_uid))) {
        ok = read_incomplete(&source, arena, &who, &e);
    }
    if (!ok && e.code == PIXL_E_NOMEM) {
        *err = e;
        return false;
    }
    if (!ok)
        who = (struct archive_identity){ .kind = ARCHIVE_IDENTITY_UNREADABLE };
    *out = who;
    return true;
}

/* An error of this file holds a field's name and never its content, which names a patient. */
#include "request.h"

#include "base/slug.h"

enum { UID_MAX = 64, KEY_MAX = 64, PARTICIPANT_MAX = 255, TIME_MAX = 64 };

static size_t count_characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

/* C0, DEL and the C1 controls in UTF-8. */
static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && i + 1 < s.n && (unsigned char)s.p[i + 1] <= 0x9F))
            return true;
    }
    return false;
}

static bool check_text(struct str s, const char *field, size_t max, struct pixl_error *err)
{
    if (!str_is_utf8(s) || has_control(s))
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: holds a control character or is not UTF-8", field);
    if (str_trim(s).n != s.n)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: has blanks around it", field);
    if (count_characters(s) > max)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: longer than %zu characters", field, max);
    return true;
}

static bool check_uid(struct str uid, const char *field, struct pixl_error *err)
{
    if (uid.n == 0 || uid.n > UID_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: a UID has 1 to %d characters", field, UID_MAX);
    for (size_t i = 0; i < uid.n; i++)
        if ((uid.p[i] < '0' || uid.p[i] > '9') && uid.p[i] != '.')
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s: a UID is made of digits and dots", field);
    return true;
}

static bool check_series(struct str list, struct pixl_error *err)
{
    bool more = list.n > 0;
    while (more) {
        struct str uid;
        more = str_split(list, '\\', &uid, &list);
        if (!check_uid(uid, "series_uid", err))
            return false;
    }
    return true;
}

/* The digits of an identifier as a number: 6 and more that fit into 63 bits; -1: none. */
static int64_t number_in(struct str id)
{
    enum { DIGITS_MIN = 6 };
    int64_t v = 0;
    size_t n = 0;
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] < '0' || id.p[i] > '9')
            continue;
        if (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_add_overflow(v, (int64_t)(id.p[i] - '0'), &v))
            return -1;
        n += n > 0 || id.p[i] != '0';
    }
    return n >= DIGITS_MIN ? v : -1;
}

/* Tables for researchers show the number of the procedure: who had none at hand may have put another one there. */
static bool check_procedure(const struct study_request *r, struct pixl_error *err)
{
    const int64_t id = r->procedure_occurrence_id;
    if (id < 0 || (id != number_in(phi_reveal(r->mrn)) && id != number_in(phi_reveal(r->accession_number))))
        return true;
    return pixl_fail(err, PIXL_E_INVALID, 0,
                     "procedure_id: is the row's MRN or accession number, and would be shown in tables");
}

bool study_request_check(const struct study_request *r, struct pixl_error *err)
{
    if (!slug_is_valid(r->project))
        return pixl_fail(err, PIXL_E_INVALID, 0, "project: not a slug");
    if (phi_is_empty(r->mrn))
        return pixl_fail(err, PIXL_E_INVALID, 0, "mrn: missing");
    if (phi_is_empty(r->accession_number) && phi_is_empty(r->study_uid))
        return pixl_fail(err, PIXL_E_INVALID, 0, "accession_number and study_uid: at least one is needed");
    if (!check_text(phi_reveal(r->mrn), "mrn", KEY_MAX, err) ||
        !check_text(phi_reveal(r->accession_number), "accession_number", KEY_MAX, err) ||
        !check_text(r->participant_id, "participant_id", PARTICIPANT_MAX, err) ||
        !check_text(r->extract_time, "extract_time", TIME_MAX, err))
        return false;
    if (!phi_is_empty(r->study_uid) && !check_uid(phi_reveal(r->study_uid), "study_uid", err))
        return false;
    if (!check_series(phi_reveal(r->series_uids), err) || !check_procedure(r, err))
        return false;
    if (r->priority < 1 || r->priority > 5)
        return pixl_fail(err, PIXL_E_INVALID, 0, "priority: %d is not 1 to 5", r->priority);
    return true;
}

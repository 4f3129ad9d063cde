#include "deid.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/upper.h"
#include "study_internal.h"

enum { STUDY_ARENA_MAX = 32 << 20, SCRATCH_MAX = 64 << 20, PARTICIPANT_MAX = 64 };

static bool keep_text(struct deid_study *s, struct str from, struct str *to, struct pixl_error *err)
{
    struct str copy = arena_str(&s->arena, from);
    if (copy.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "study");
    *to = copy;
    return true;
}

/* It is written into files of any character set, as one value of PatientID. */
static bool check_participant(struct str id, struct pixl_error *err)
{
    bool ok = id.n <= PARTICIPANT_MAX;
    for (size_t i = 0; ok && i < id.n; i++)
        ok = id.p[i] >= 0x20 && id.p[i] < 0x7F && id.p[i] != '\\';
    return ok || pixl_fail(err, PIXL_E_INVALID, 0,
                           "participant_id: at most %d printable ASCII characters, no backslash, can stand for a "
                           "patient in a DICOM file",
                           PARTICIPANT_MAX);
}

static bool set_pseudo_uid(struct deid_study *s, struct str adopted, struct pixl_error *err)
{
    if (adopted.n > 0 && (s->study_uid.n == 0 || !dicom_uid_is_plausible(adopted)))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "an adopted pseudo study UID must be a UID and stand for a study that is known");
    if (adopted.n > 0) {
        memcpy(s->uid, adopted.p, adopted.n);
        return true;
    }
    if (s->study_uid.n == 0 || dicom_uid_is_standard(s->study_uid))
        return true;                         /* instances of a study with a UID of the standard are refused */
    return pseudonyms_uid(s->pseudonyms, phi_text(s->study_uid), s->uid, err);
}

static bool set_patient(struct deid_study *s, struct str mrn, struct pixl_error *err)
{
    if (s->participant.n > 0) {
        memcpy(s->patient, s->participant.p, s->participant.n);
        s->patient[s->participant.n] = '\0';
        return true;
    }
    s->patient[0] = '\0';
    return mrn.n == 0 || pseudonyms_text(s->pseudonyms, phi_text(mrn), PSEUDONYM_TEXT_MAX, s->patient, err);
}

/* The needles that are known before any instance. */
static bool add_given_needles(struct deid_study *s, struct pixl_error *err)
{
    return residue_add_id(s->residue, s->mrn, IDENTITY_MRN, err) &&
           residue_add_id(s->residue, s->accession, IDENTITY_ACCESSION, err) &&
           residue_add_uid(s->residue, s->study_uid, err);
}

bool deid_study_new(const struct deid_study_args *a, struct deid_study **out, struct pixl_error *err)
{
    PIXL_CLEANUP(deid_study_freep) struct deid_study *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "study");
    s->policy = a->policy;
    s->pseudonyms = a->pseudonyms;
    s->report = a->report;
    arena_init(&s->arena, STUDY_ARENA_MAX);
    arena_init(&s->scratch, SCRATCH_MAX);
    s->cache = calloc(DEID_CACHE, sizeof *s->cache);
    s->uids = calloc(DEID_UID_CACHE, sizeof *s->uids);
    if (s->cache == NULL || s->uids == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "study");
    if (!keep_text(s, str_trim(phi_reveal(a->mrn)), &s->mrn, err) ||
        !keep_text(s, str_trim(phi_reveal(a->accession_number)), &s->accession, err) ||
        !keep_text(s, str_trim(dicom_uid_trim(phi_reveal(a->study_uid))), &s->study_uid, err) ||
        !keep_text(s, phi_reveal(a->series_uids), &s->series_uids, err) ||
        !keep_text(s, str_trim(a->participant_id), &s->participant, err))
        return false;
    s->is_adopted = a->pseudo_study_uid.n > 0;
    if (!check_participant(s->participant, err) || !set_pseudo_uid(s, a->pseudo_study_uid, err) ||
        !set_patient(s, s->mrn, err) || !hash_random(s->cache_keys, sizeof s->cache_keys, err) ||
        !residue_new(&s->residue, err) || !add_given_needles(s, err))
        return false;
    *out = PIXL_STEAL(&s);
    return true;
}

void deid_study_free(struct deid_study *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < DEID_SCHEMES; i++)
        scheme_free(s->schemes[i].own);
    residue_free(s->residue);
    arena_done(&s->arena);
    arena_done(&s->scratch);
    free(s->series);
    free(s->cache);
    free(s->uids);
    free(s);
}

const char *deid_study_uid(const struct deid_study *s)
{
    return s->uid;
}

const char *deid_study_patient(const struct deid_study *s)
{
    return s->patient;
}

bool deid_study_pseudo_uid(const struct deid_study *s, struct phi_text uid, char out[DICOM_UID_MAX + 1],
                           struct pixl_error *err)
{
    struct str u = str_trim(dicom_uid_trim(phi_reveal(uid)));
    if (s->study_uid.n > 0 && str_eq(u, s->study_uid)) {
        memcpy(out, s->uid, strlen(s->uid) + 1);
        return true;
    }
    return pseudonyms_uid(s->pseudonyms, phi_text(u), out, err);
}

/* --- what the study is about --- */

bool deid_study_expect_series(struct deid_study *s, struct phi_text series_uid, uint64_t n_instances,
                              struct pixl_error *err)
{
    struct str uid = str_trim(dicom_uid_trim(phi_reveal(series_uid)));
    for (size_t i = 0; i < s->n_series; i++)
        if (str_eq(s->series[i].uid, uid)) {
            s->series[i].n_instances = n_instances;
            return true;
        }
    if (s->n_series == s->cap_series) {
        size_t cap = s->cap_series ? s->cap_series * 2 : 16;
        struct deid_series *more = realloc(s->series, cap * sizeof *more);
        if (more == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "%zu series", cap);
        s->series = more;
        s->cap_series = cap;
    }
    if (!keep_text(s, uid, &uid, err))
        return false;
    s->series[s->n_series++] = (struct deid_series){ uid, n_instances };
    return true;
}

static bool is_requested(const struct deid_study *s, struct str series_uid)
{
    struct str rest = s->series_uids, one;
    bool more = true;
    if (str_trim(rest).n == 0)
        return true;
    while (more) {
        more = str_split(rest, '\\', &one, &rest);
        if (str_eq(str_trim(dicom_uid_trim(one)), series_uid))
            return true;
    }
    return false;
}

void deid_study_series_wanted(const struct deid_study *s, struct phi_text series_uid, enum study_reason *why)
{
    struct str uid = str_trim(dicom_uid_trim(phi_reveal(series_uid)));
    *why = STUDY_WHY_NONE;
    if (!is_requested(s, uid)) {
        *why = STUDY_WHY_SERIES_NOT_REQUESTED;
        return;
    }
    int64_t least = s->policy->project->min_instances_per_series;
    for (size_t i = 0; least > 1 && i < s->n_series; i++)
        if (str_eq(s->series[i].uid, uid) && s->series[i].n_instances < (uint64_t)least)
            *why = STUDY_WHY_TOO_FEW_INSTANCES;
}

/* --- one instance: who it is --- */

static const uint32_t top_tags[TOP_COUNT] = {
#define X(symbol, tag) [TOP_##symbol] = tag,
    TOP_ELEMENTS(X)
#undef X
};

/* Two values of one element that everything depends on: other readers may take the second, which is at i. */
static bool refuse_two_values(struct instance *in, enum top_element t, uint32_t i, struct pixl_error *err)
{
    const struct dicom_file *f = in->f;
    const uint32_t at = (uint32_t)in->top[t];
    struct str first, second;
    bool is_text = t != TOP_PIXELS && ((f->elements[at].flags | f->elements[i].flags) & DICOM_IS_SEQUENCE) == 0;
    if (is_text && (!dicom_value(in->f, at, &first, err) || !dicom_value(in->f, i, &second, err)))
        return false;
    if (!is_text || !str_eq(str_trim(dicom_uid_trim(first)), str_trim(dicom_uid_trim(second))))
        (void)instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    return true;
}

bool instance_find_top(struct instance *in, struct pixl_error *err)
{
    for (size_t t = 0; t < TOP_COUNT; t++)
        in->top[t] = -1;
    for (uint32_t i = in->f->meta_end; i < in->f->n_elements; i = in->f->elements[i].end) {
        uint32_t tag = in->f->elements[i].tag;
        for (size_t t = 0; t < TOP_COUNT; t++) {
            if (top_tags[t] != tag)
                continue;
            if (in->top[t] < 0)
                in->top[t] = i;
            else if (!refuse_two_values(in, (enum top_element)t, i, err))
                return false;
        }
    }
    struct dicom_charset set = dicom_charset_parse((struct str){ 0 });
    for (size_t t = 0; t < TOP_COUNT; t++) {
        if (in->top[t] < 0 || t == TOP_PIXELS)
            continue;
        if (in->f->elements[in->top[t]].flags & DICOM_IS_SEQUENCE)
            continue;                        /* none of them is one: as if it were absent */
        if (!instance_text(in, (uint32_t)in->top[t], &set, &in->text[t], err))
            return false;
        if (t == TOP_CHARSET)
            set = dicom_charset_parse(in->text[t]);
        in->text[t] = str_trim(dicom_uid_trim(in->text[t]));
    }
    return true;
}

static void put_tag(uint32_t tag, struct deid_result *res)
{
    (void)snprintf(res->where, sizeof res->where, "(%04X,%04X)", DICOM_GROUP(tag), DICOM_ELEMENT_OF(tag));
}

/* Patient and study must be the ones that were asked for; then the three UIDs and the SOP class must be there. */
static bool check_identity(const struct instance *in, struct deid_result *res)
{
    const struct deid_study *s = in->study;
    res->verdict = DEID_MISMATCH;
    res->why = STUDY_WHY_IDENTITY_MISMATCH;
    if (s->mrn.n > 0 && !str_eq(in->text[TOP_PATIENT], s->mrn))
        return false;
    if (s->study_uid.n > 0 && in->text[TOP_STUDY].n > 0 && !str_eq(in->text[TOP_STUDY], s->study_uid))
        return false;
    res->verdict = DEID_REFUSED;
    static const enum top_element needed[] = { TOP_SOP_CLASS, TOP_SOP, TOP_STUDY, TOP_SERIES };
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        struct str uid = in->text[needed[i]];
        bool is_class = needed[i] == TOP_SOP_CLASS;
        bool is_strange = is_class ? !dicom_uid_is_plausible(uid) : dicom_uid_is_standard(uid);
        if (uid.n > 0 && !is_strange)
            continue;
        res->why = uid.n == 0 ? STUDY_WHY_MISSING_ATTRIBUTE : STUDY_WHY_UNSUPPORTED_VALUE;
        put_tag(top_tags[needed[i]], res);
        return false;
    }
    return true;
}

/* --- the project's filters, in the order of the reference, and its word on pixels that say what they hold --- */

/* A series without a description is kept. */
static bool filter_description(const struct instance *in, enum study_reason *why, struct pixl_error *err)
{
    const struct project *p = in->study->policy->project;
    struct str description;
    if (in->top[TOP_DESCRIPTION] < 0 || p->n_series_filters == 0)
        return true;
    if (!upper_make(in->arena, in->text[TOP_DESCRIPTION], &description, err))
        return false;
    for (size_t i = 0; i < p->n_series_filters; i++) {
        struct str filter = str_of(p->series_filters[i]);
        if (memmem(description.p, description.n, filter.p, filter.n) != NULL)
            *why = STUDY_WHY_SERIES_DESCRIPTION;
    }
    return true;
}

/* Where numbers are excluded, a series without one, or whose number cannot be read, may be any of them. */
static bool is_number_excluded(struct str number, const struct project_manufacturer *m)
{
    int64_t n;
    if (m->n_exclude == 0)
        return false;
    if (number.n > 0 && number.p[0] == '+')
        number = (struct str){ number.p + 1, number.n - 1 };
    if (!str_to_i64(number, &n))
        return true;
    for (size_t i = 0; i < m->n_exclude; i++)
        if (m->exclude_series_numbers[i] == n)
            return true;
    return false;
}

/* Do the letters of the value make the word, whatever stands between them? */
static bool spells(struct str value, struct str word)
{
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        const char c = value.p[i] >= 'a' && value.p[i] <= 'z' ? (char)(value.p[i] - 'a' + 'A') : value.p[i];
        if (c < 'A' || c > 'Z')
            continue;
        if (n == word.n || c != word.p[n])
            return false;
        n++;
    }
    return n == word.n;
}

static bool any_spells(struct str values, const char *const *words, size_t n_words)
{
    struct str value;
    bool more = true;
    while (more) {
        more = str_split(values, '\\', &value, &values);
        for (size_t i = 0; i < n_words; i++)
            if (spells(value, str_of(words[i])))
                return true;
    }
    return false;
}

/* What an image says of text in its pixels.  One that says nothing is taken to say YES where text is usual: Secondary
 * Capture (PS3.3 section A.8), a picture of a screen, a film or a document (section C.8.6.1; neither DI, as images of a
 * treatment machine are, nor SYN, which is computed). */
static struct str burned_in_of(const struct instance *in)
{
    static const char *const types[] = { "SCREENSAVE", "SCREENSHOT", "SCREENCAPTURE" };
    static const char *const conversions[] = { "DV", "DF", "WSD", "SD", "SI", "DRW" };
    const struct str says = in->text[TOP_BURNED_IN], sop_class = in->text[TOP_SOP_CLASS];
    const struct str capture = STR("1.2.840.10008.5.1.4.1.1.7"), captures = STR("1.2.840.10008.5.1.4.1.1.7.");
    const bool is_picture_of_one = str_eq(sop_class, capture) || str_is_prefix(sop_class, captures) ||
                                   any_spells(in->text[TOP_IMAGE_TYPE], types, ARRAY_LEN(types)) ||
                                   any_spells(in->text[TOP_CONVERSION], conversions, ARRAY_LEN(conversions));
    return says.n == 0 && is_picture_of_one ? STR("YES") : says;
}

static bool filter(const struct instance *in, enum study_reason *why, struct pixl_error *err)
{
    const struct project *p = in->study->policy->project;
    deid_study_series_wanted(in->study, phi_text(in->text[TOP_SERIES]), why);
    if (*why != STUDY_WHY_NONE)
        return true;
    const struct project_manufacturer *found = NULL;
    for (size_t i = 0; found == NULL && in->text[TOP_MANUFACTURER].n > 0 && i < p->n_manufacturers; i++) {
        bool matches = false;
        if (!pattern_search(p->manufacturers[i].pattern, in->text[TOP_MANUFACTURER], &matches, err))
            return pixl_wrap(err, "allowed_manufacturers[%zu]", i);
        if (matches)
            found = &p->manufacturers[i];
    }
    if (found == NULL)
        *why = in->text[TOP_MANUFACTURER].n > 0 ? STUDY_WHY_MANUFACTURER : STUDY_WHY_NO_MANUFACTURER;
    else if (!filter_description(in, why, err))
        return false;
    else if (*why == STUDY_WHY_NONE && is_number_excluded(in->text[TOP_NUMBER], found))
        *why = STUDY_WHY_SERIES_NUMBER;
    if (*why != STUDY_WHY_NONE)
        return true;
    *why = STUDY_WHY_MODALITY;
    for (size_t i = 0; i < p->n_modalities; i++)
        if (str_eq(in->text[TOP_MODALITY], str_of(p->modalities[i])))
            *why = STUDY_WHY_NONE;
    const struct str burned_in = burned_in_of(in); /* YES or NO; in doubt YES */
    if (*why == STUDY_WHY_NONE && !p->passes_burned_in && !in->study->policy->cleans_pixels && burned_in.n > 0 &&
        !str_eq_nocase(burned_in, STR("NO")))
        *why = STUDY_WHY_BURNED_IN;
    return true;
}

/* The element by which a filter has judged. */
static void filtered(enum study_reason why, struct deid_result *res)
{
    static const uint8_t by[STUDY_REASON_COUNT] = {
        [STUDY_WHY_MANUFACTURER] = TOP_MANUFACTURER,
        [STUDY_WHY_NO_MANUFACTURER] = TOP_MANUFACTURER,
        [STUDY_WHY_SERIES_DESCRIPTION] = TOP_DESCRIPTION,
        [STUDY_WHY_SERIES_NUMBER] = TOP_NUMBER,
        [STUDY_WHY_MODALITY] = TOP_MODALITY,
        [STUDY_WHY_BURNED_IN] = TOP_BURNED_IN,
    };
    res->verdict = DEID_FILTERED;
    if (by[why] != 0)
        put_tag(top_tags[by[why]], res);
}

/* --- the scheme for a manufacturer --- */

static bool build_scheme(struct deid_study *s, struct str manufacturer, struct scheme **out, struct pixl_error *err)
{
    const struct project *p = s->policy->project;
    bool *applies = calloc(p->n_overrides, sizeof *applies);
    if (applies == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "overrides");
    bool any = false, ok = true;
    for (size_t i = 0; ok && i < p->n_overrides; i++) {
        ok = pattern_search(p->overrides[i].manufacturer, manufacturer, &applies[i], err);
        any = any || (ok && applies[i]);
    }
    struct scheme *own = NULL;
    ok = ok && (!any || scheme_new(p, applies, &own, err));
    free(applies);
    if (ok)
        *out = own;
    return ok;
}

static bool choose_scheme(struct instance *in, struct pixl_error *err)
{
    struct deid_study *s = in->study;
    struct str manufacturer = in->text[TOP_MANUFACTURER];
    in->scheme = s->policy->base;
    if (s->policy->project->n_overrides == 0 || manufacturer.n == 0)
        return true;
    for (size_t i = 0; i < DEID_SCHEMES; i++)
        if (s->schemes[i].is_used && str_eq(s->schemes[i].manufacturer, manufacturer)) {
            in->scheme = s->schemes[i].own ? s->schemes[i].own : s->policy->base;
            return true;
        }
    struct scheme *own = NULL;
    struct str name;
    if (!keep_text(s, manufacturer, &name, err) || !build_scheme(s, manufacturer, &own, err))
        return false;
    struct deid_scheme_slot *slot = &s->schemes[s->next_scheme];
    s->next_scheme = (s->next_scheme + 1) % DEID_SCHEMES;
    scheme_free(slot->own);
    *slot = (struct deid_scheme_slot){ name, own, true };
    in->scheme = own ? own : s->policy->base;
    return true;
}

/* --- all of it --- */

/* Without a study given, each instance brings its own; when it changes, another person's study begins, whose texts have
 * nothing to do with the names before.  One study under several patient ids is still one: a name that an instance
 * brings is looked for in all of it. */
static bool open_study(struct instance *in, struct pixl_error *err)
{
    struct deid_study *s = in->study;
    const struct dicom_charset none = { .is_known = true };
    if (s->study_uid.n == 0) {
        uint64_t study = study_value_key(s, 2, &none, in->text[TOP_STUDY]);
        if (study != s->open_study) {
            s->open_study = 0;
            if (!residue_reset(s->residue, err) || !add_given_needles(s, err))
                return false;
            s->open_study = study;
        }
    }
    if (s->mrn.n > 0)
        return true;
    uint64_t patient = study_value_key(s, 1, &none, in->text[TOP_PATIENT]);
    if (patient == s->open_patient)
        return true;
    s->open_patient = 0;
    if (!set_patient(s, in->text[TOP_PATIENT], err))
        return false;
    s->open_patient = patient;
    return true;
}

static bool map_identity(struct instance *in, struct pixl_error *err)
{
    struct deid_study *s = in->study;
    in->patient = s->patient;
    return study_map_uid(s, in->text[TOP_STUDY], in->study_uid, err) &&
           study_map_uid(s, in->text[TOP_SERIES], in->series_uid, err) &&
           study_map_uid(s, in->text[TOP_SOP], in->sop_uid, err);
}

static void refused(const struct instance *in, struct deid_result *res)
{
    res->verdict = DEID_REFUSED;
    res->why = in->why;
    if (in->at != DICOM_NO_PARENT)
        instance_place(in->f, in->at, NULL, res->where);
}

/* A plan or a refusal, or an error; whether anything was found is asked by deid_instance(). */
static bool decide_and_emit(struct instance *in, struct deid_result *res, struct pixl_error *err)
{
    in->decisions = arena_calloc(in->arena, in->f->n_elements, sizeof *in->decisions);
    if (in->decisions == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "decisions for %u elements", (unsigned)in->f->n_elements);
    if (!deid_decide(in, err) || !deid_regions(in, err) || !deid_check(in, err)) {
        if (!in->is_refused)
            return false;
        refused(in, res);
        return true;
    }
    if (residue_hit(in->study->residue) != NULL)
        return true;                         /* what was found must not be planned */
    if (!deid_emit(in, &res->plan, err) || (in->study->report != NULL && !deid_count(in, &res->actions, err)))
        return false;
    res->verdict = DEID_EMIT;
    res->pixels_compressed =
        in->f->syntax->is_deflated || (in->f->syntax->is_encapsulated && in->top[TOP_PIXELS] >= 0 &&
                                       in->decisions[in->top[TOP_PIXELS]].what == DECISION_KEEP);
    memcpy(res->series_uid, in->series_uid, sizeof res->series_uid);
    memcpy(res->sop_uid, in->sop_uid, sizeof res->sop_uid);
    return true;
}

/* What names this instance brings counts for all of the study, also when the instance is left out: an SR that the
 * project does not want tells who the patient is whose images it does.  Not where it is another patient's, or nobody
 * knows whose it is. */
static bool harvest(struct instance *in, const struct deid_result *res, struct pixl_error *err)
{
    bool is_known = in->text[TOP_STUDY].n > 0 && res->verdict != DEID_MISMATCH;
    return !is_known || (open_study(in, err) && deid_harvest(in, err));
}

static bool decide_instance(struct instance *in, struct deid_result *res, struct pixl_error *err)
{
    if (in->f->limits.max_depth > DEID_DEPTH_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "sequences nested deeper than %d", DEID_DEPTH_MAX);
    if (!instance_find_top(in, err))
        return false;
    bool is_whole = check_identity(in, res);
    if (!harvest(in, res, err))
        return false;
    if (!is_whole)
        return true;
    if (in->is_refused) {
        refused(in, res);
        return true;
    }
    res->why = STUDY_WHY_NONE;
    if (!filter(in, &res->why, err))
        return false;
    if (res->why != STUDY_WHY_NONE) {
        filtered(res->why, res);
        return true;
    }
    return choose_scheme(in, err) && map_identity(in, err) && decide_and_emit(in, res, err);
}

bool deid_conclude(struct instance *in, bool ok, const struct deid_result *res, struct deid_result *out,
                   struct pixl_error *err)
{
    struct deid_study *s = in->study;
    const char *hit = residue_hit(s->residue);
    if (hit == NULL) {
        if (ok)
            *out = *res;
        return ok;
    }
    if (!ok)
        pixl_error_clear(err);
    *out = (struct deid_result){ .verdict = DEID_RESIDUE, .why = STUDY_WHY_RESIDUE };
    (void)snprintf(out->where, sizeof out->where, "%s", hit);
    residue_clear_hit(s->residue);
    s->has_residue = true;
    return true;
}

bool deid_instance(struct deid_study *s, struct dicom_file *f, struct arena *arena, struct deid_result *out,
                   struct pixl_error *err)
{
    struct instance in = { .study = s, .f = f, .arena = arena, .at = DICOM_NO_PARENT };
    struct deid_result res = { .why = STUDY_WHY_NONE };
    if (s->report != NULL)
        report_forget(s->report);
    bool ok = decide_instance(&in, &res, err);
    return deid_conclude(&in, ok, &res, out, err);
}

bool deid_study_has_residue(const struct deid_study *s)
{
    return s->has_residue || residue_hit(s->residue) != NULL;
}

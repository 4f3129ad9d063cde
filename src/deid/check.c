/* check.c - the residue check over every value that would pass as it is in the source. */
#include "deid/excess.h"
#include "deid/fragments.h"
#include "study_internal.h"

struct element_place {
    const struct dicom_file *f;
    uint32_t index;
    struct item_counts *counts;
};

static void write_place(void *ctx, char out[RESIDUE_WHERE_SIZE])
{
    const struct element_place *p = ctx;
    if (p->f == NULL)
        memcpy(out, "(0010,0020)", sizeof "(0010,0020)");
    else
        instance_place(p->f, p->index, p->counts, out);
}

static struct residue_place place_of(struct element_place *at)
{
    return (struct residue_place){ .write = write_place, .ctx = at };
}

static bool form_of_text(enum dicom_vr vr, enum residue_form *form)
{
    switch (vr) {
    case DICOM_VR_CS:
        *form = RESIDUE_CODE;
        return true;
    case DICOM_VR_IS: case DICOM_VR_DS:
        *form = RESIDUE_NUMBERS;
        return true;
    case DICOM_VR_DA: case DICOM_VR_DT: case DICOM_VR_TM:
        *form = RESIDUE_DATE;
        return true;
    case DICOM_VR_UI:
        *form = RESIDUE_UIDS;
        return true;
    case DICOM_VR_PN: *form = RESIDUE_NAME; return true;
    default:
        *form = RESIDUE_TEXT;
        return dicom_vr_is_text(vr);
    }
}

/* As what a value is searched.  The VR that is written decides only where the dictionary says the same kind: a
 * description called a date is a description.  What is no text is bytes, whatever numbers it is called: nothing says how
 * many of them there are. */
static enum residue_form form_of(const struct dicom_element *e, enum dicom_vr vr, enum dicom_vr dict_vr)
{
    enum residue_form form, other;
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET) /* one that is none may be anything */
        return RESIDUE_TEXT;
    if (!form_of_text(vr, &form))
        return RESIDUE_BINARY;
    if (dict_vr != vr && dict_vr != DICOM_VR_UN && (!form_of_text(dict_vr, &other) || other != form))
        return vr == DICOM_VR_PN || dict_vr == DICOM_VR_PN ? RESIDUE_NAME : RESIDUE_TEXT;
    if (dict_vr == DICOM_VR_UN && form == RESIDUE_CODE)
        return RESIDUE_TEXT; /* nobody says what codes there are */
    return form;
}

/* One number, or a few that are no longer than one of 64 bits: text only when each byte of it can be printed. */
static bool is_plain_number(enum dicom_vr vr, struct str s)
{
    enum { PLAIN_MAX = 8, TEXT_MIN = 3 };
    if (dicom_vr_number_bytes(vr) == 0 || s.n > PLAIN_MAX)
        return false;
    while (s.n > 0 && s.p[s.n - 1] == '\0')
        s.n--;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7F)
            return true;
    return s.n < TEXT_MIN;
}

static bool is_number(struct str s, size_t at, size_t n, uint64_t least, uint64_t most)
{
    uint64_t v;
    return str_to_u64((struct str){ s.p + at, n }, &v) && v >= least && v <= most;
}

/* YYYYMMDD; of old files also with '.' or '-' between. */
static bool is_day(struct str s)
{
    const size_t gap = s.n == 10 && (s.p[4] == '.' || s.p[4] == '-') && s.p[7] == s.p[4];
    return s.n == 8 + 2 * gap && is_number(s, 0, 4, 0, 2199) && is_number(s, 4 + gap, 2, 0, 12) &&
           is_number(s, 6 + 2 * gap, 2, 0, 31);
}

/* HH, HHMM, HHMMSS or HHMMSS.F, of old files also with ':' between. */
static bool is_time(struct str s)
{
    enum { FRACTION_MAX = 6 };
    static const uint64_t most[] = { 24, 59, 60 };
    const char *dot = s.n > 0 ? memchr(s.p, '.', s.n) : NULL;
    const size_t n = dot != NULL ? (size_t)(dot - s.p) : s.n, gap = s.n > 2 && s.p[2] == ':';
    if ((n + gap) % (2 + gap) != 0 || n == 0 || n > 6 + 2 * gap || (dot != NULL && n < 6))
        return false;
    for (size_t at = 0, i = 0; at < n; at += 2 + gap, i++)
        if (!is_number(s, at, 2, 0, most[i]) || (at > 0 && gap && s.p[at - 1] != ':'))
            return false;
    return dot == NULL || s.n == n + 1 ||
           (s.n - n - 1 <= FRACTION_MAX && is_number(s, n + 1, s.n - n - 1, 0, UINT64_MAX));
}

/* YYYY, YYYYMM, or a day with or without a time; then the offset of the zone. */
static bool is_moment(struct str s)
{
    enum { ZONE_BYTES = 5, DAY_BYTES = 8 };
    const char sign = s.n > ZONE_BYTES ? s.p[s.n - ZONE_BYTES] : '\0';
    if ((sign == '+' || sign == '-') && is_number(s, s.n - ZONE_BYTES + 1, 4, 0, 1400))
        s.n -= ZONE_BYTES;
    if (s.n < DAY_BYTES)
        return (s.n == 4 || s.n == 6) && is_number(s, 0, 4, 0, 2199) && (s.n == 4 || is_number(s, 4, 2, 0, 12));
    return is_day((struct str){ s.p, DAY_BYTES }) &&
           (s.n == DAY_BYTES || is_time((struct str){ s.p + DAY_BYTES, s.n - DAY_BYTES }));
}

static size_t skip_sign(struct str s, size_t i)
{
    return i + (i < s.n && (s.p[i] == '+' || s.p[i] == '-'));
}

static size_t skip_digits(struct str s, size_t i)
{
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i;
}

/* A decimal number, with or without exponent. */
static bool is_decimal(struct str s)
{
    size_t from = skip_sign(s, 0), i = skip_digits(s, from), n_digits = i - from;
    if (i < s.n && s.p[i] == '.') {
        from = i + 1;
        i = skip_digits(s, from);
        n_digits += i - from;
    }
    if (n_digits > 0 && i < s.n && (s.p[i] | 0x20) == 'e') {
        from = skip_sign(s, i + 1);
        i = skip_digits(s, from);
        n_digits = i - from;
    }
    return i == s.n && n_digits > 0;
}

static bool is_code(struct str s)
{
    enum { CODE_MAX = 16 };
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\0' || strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. ", s.p[i]) == NULL)
            return false;
    return s.n <= CODE_MAX;
}

static bool is_regular_value(enum residue_form form, enum dicom_vr vr, struct str s)
{
    switch (form) {
    case RESIDUE_UIDS: return dicom_uid_is_plausible(s) && s.n > 2 && s.p[0] <= '2' && s.p[1] == '.';
    case RESIDUE_NUMBERS: return is_decimal(s);
    case RESIDUE_CODE: return is_code(s);
    case RESIDUE_DATE: return vr == DICOM_VR_DA ? is_day(s) : vr == DICOM_VR_TM ? is_time(s) : is_moment(s);
    default: return true;
    }
}

/* Is each value what its VR has?  What is none, a range of days or a number with dashes, may be anything. */
static bool is_regular(enum residue_form form, enum dicom_vr vr, struct str s)
{
    struct str one;
    if (form == RESIDUE_TEXT || form == RESIDUE_NAME || form == RESIDUE_BINARY)
        return true;
    s = dicom_uid_trim(s);
    for (bool more = true; more;) {
        more = str_split(s, '\\', &one, &s);
        one = str_trim(one);
        if (one.n > 0 && !is_regular_value(form, vr, one))
            return false;
    }
    return true;
}

/* Bytes of unknown VR that are a text beyond ASCII, as private text in files of implicit VR is: no control characters
 * but those that text has, and enough ASCII, or valid UTF-8, or short.  A long one that is neither may be an image. */
static bool looks_like_text(struct str s)
{
    enum { SHORT_TEXT = 1024 };
    size_t n_ascii = 0;
    bool is_beyond = false;
    while (s.n > 0 && s.p[s.n - 1] == '\0')
        s.n--;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == 0x7F || (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r' && c != 0x1B))
            return false;
        n_ascii += c >= 0x20 && c < 0x7F;
        is_beyond = is_beyond || c >= 0x80 || c == 0x1B;
    }
    return is_beyond && (s.n <= SHORT_TEXT || n_ascii >= s.n / 2 || str_is_utf8(s));
}

/* A value that starts with an item, of either byte order, is a sequence whose length hides it from the allow-list: it
 * cannot be judged. */
static bool is_hidden_sequence(struct str raw)
{
    return raw.n >= 8 && (memcmp(raw.p, "\xFE\xFF\x00\xE0", 4) == 0 || memcmp(raw.p, "\xFF\xFE\xE0\x00", 4) == 0);
}

/* A long value of unknown meaning, piece by piece, each remembered by itself: from slice to slice a vendor's header
 * changes in a few fields.  Pieces end where something that is not printable stands, so that no word is cut. */
static bool is_within_word(struct str t, size_t i)
{
    unsigned char c = (unsigned char)t.p[i];
    if (c != 0)
        return c >= 0x20 && c != 0x7F;
    bool is_wide = i > 0 && i + 1 < t.n && t.p[i - 1] >= 0x20 && t.p[i + 1] >= 0x20;       /* UTF-16 */
    return is_wide && ((i > 1 && t.p[i - 2] == 0) || (i + 2 < t.n && t.p[i + 2] == 0));
}

/* The first byte beyond ASCII from i on, or s.n. */
static size_t find_high(struct str s, size_t i)
{
    uint64_t eight;
    for (; s.n - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, s.p + i, sizeof eight);
        if (eight & 0x8080808080808080u)
            break;
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80)
        i++;
    return i;
}

static bool is_char_at(struct str s, size_t i)
{
    return i < s.n && (unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7F;
}

/* Three characters in a row, not all of ASCII; or what calls for another set (PS3.5 section 6.1.2.5.2). */
static bool may_have_letters(struct str s)
{
    for (size_t i = find_high(s, 0); i < s.n; i = find_high(s, i + 1)) {
        bool before = is_char_at(s, i - 1), behind = is_char_at(s, i + 1);
        if ((before && behind) || (before && is_char_at(s, i - 2)) || (behind && is_char_at(s, i + 2)))
            return true;
    }
    const char *escape = memchr(s.p, 0x1B, s.n);
    for (size_t left; escape != NULL; escape = memchr(escape + 1, 0x1B, left - 1)) {
        left = s.n - (size_t)(escape - s.p);
        if (left > 1 && (escape[1] == '$' || escape[1] == '(' || escape[1] == ')' || escape[1] == '-'))
            return true;
    }
    return false;
}

/* Bytes of unknown meaning as they are, and what the character set of their data set makes of those beyond ASCII. */
static bool check_piece(struct instance *in, const struct residue_text *t, const struct dicom_charset *set,
                        struct residue_place *place, struct pixl_error *err)
{
    struct deid_study *s = in->study;
    if (!residue_check(s->residue, t, place, err))
        return false;
    if (dicom_charset_is_ascii_or_utf8(set) || !may_have_letters(t->text))
        return true;
    struct residue_text decoded = *t;
    bool is_clean;
    decoded.form = RESIDUE_DECODED;
    arena_reset(&s->scratch);
    return dicom_charset_decode(set, DICOM_VR_UN, &s->scratch, t->text, &decoded.text, &is_clean, err) &&
           residue_check(s->residue, &decoded, place, err);
}

static bool check_pieces(struct instance *in, const struct residue_text *t, uint64_t salt,
                         const struct dicom_charset *set, struct residue_place *place, struct pixl_error *err)
{
    enum { PIECE_BYTES = 128 };
    struct deid_study *s = in->study;
    for (size_t from = 0, to; from < t->text.n; from = to) {
        to = t->text.n - from > PIECE_BYTES ? from + PIECE_BYTES : t->text.n;
        while (to < t->text.n && is_within_word(t->text, to))
            to++;
        struct residue_text piece = *t;
        piece.text = (struct str){ t->text.p + from, to - from };
        uint64_t key = study_value_key(s, ~salt, set, piece.text);
        if (study_has_seen(s, key))
            continue;
        if (!check_piece(in, &piece, set, place, err))
            return false;
        if (residue_hit(s->residue) == NULL)
            study_remember(s, key);
    }
    return true;
}

/* As its character set says; and as it is where that leaves doubts, or where it is UTF-8 too: what is written is not
 * always what is said. */
static bool check_text(struct instance *in, uint32_t i, struct residue_text *t, const struct dicom_charset *set,
                       struct residue_place *place, struct pixl_error *err)
{
    const struct str raw = t->text;
    bool is_clean;
    if (!instance_decode(in, i, set, &t->text, &is_clean, err))
        return false;
    bool is_raw_too = instance_is_raw_too(raw, t->text, is_clean);
    if (!residue_check(in->study->residue, t, place, err))
        return false;
    if (!is_raw_too)
        return true;
    t->text = raw;
    t->is_unclean = !is_clean;
    return residue_check(in->study->residue, t, place, err);
}

/* What follows samples is of unknown meaning too. */
static bool check_excess(struct instance *in, uint32_t i, const struct dicom_charset *set, struct item_counts *counts,
                         struct pixl_error *err)
{
    struct residue_text t = { .form = RESIDUE_BINARY };
    struct element_place at = { in->f, i, counts };
    struct residue_place place = place_of(&at);
    return excess_of(in, i, &t.text, err) && check_pieces(in, &t, in->f->elements[i].tag, set, &place, err);
}

struct fragment_text {
    struct instance *in;
    const struct dicom_charset *set;
    struct residue_place *place;
};

static bool see_fragment_text(void *ctx, struct str bytes, struct pixl_error *err)
{
    struct fragment_text *x = ctx;
    const struct residue_text t = { .text = bytes, .form = RESIDUE_BINARY };
    return check_pieces(x->in, &t, DICOM_PIXEL_DATA, x->set, x->place, err);
}

static bool check_fragments(struct instance *in, uint32_t i, const struct dicom_charset *set,
                            struct item_counts *counts, struct pixl_error *err)
{
    struct element_place at = { in->f, i, counts };
    struct residue_place place = place_of(&at);
    struct fragment_text x = { in, set, &place };
    return fragments_check(in, i, see_fragment_text, &x, err);
}

static bool check_element(struct instance *in, uint32_t i, const struct dicom_charset *set, struct item_counts *counts,
                          struct pixl_error *err)
{
    struct deid_study *s = in->study;
    const struct dicom_element *e = &in->f->elements[i];
    const struct decision *d = &in->decisions[i];
    const enum dicom_vr vr = (enum dicom_vr)d->vr;
    if (e->value_bytes == 0)
        return true;
    if (fragments_is_one(e))
        return check_fragments(in, i, set, counts, err);
    enum residue_form form = form_of(e, vr, (enum dicom_vr)d->dict_vr);
    if (form == RESIDUE_BINARY && e->value_bytes == 2 && dicom_vr_number_bytes(vr) == 2)
        return true;
    if (form == RESIDUE_BINARY && excess_is_samples(e->tag))
        return check_excess(in, i, set, counts, err);
    struct residue_text t = { .form = form, .is_multi = dicom_vr_is_multi(vr), .exempt = d->exempt };
    if (!dicom_value(in->f, i, &t.text, err))
        return false;
    if (form == RESIDUE_BINARY && is_plain_number(vr, t.text))
        return true;
    if (is_hidden_sequence(t.text))
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    const uint64_t salt = (uint64_t)e->tag << 32 | (uint32_t)d->exempt << 16 | (uint32_t)d->vr << 8 | d->dict_vr;
    uint64_t key = study_value_key(s, salt, set, t.text);
    if (study_has_seen(s, key))
        return true;
    if (!is_regular(form, vr, t.text)) {
        t.form = form = RESIDUE_TEXT;
        t.exempt &= e->tag == DICOM_PATIENT_BIRTH_DATE ? IDENTITY_ALL : ~(unsigned)IDENTITY_DATE;
    }
    if (form == RESIDUE_BINARY && looks_like_text(t.text)) {
        t.form = form = RESIDUE_TEXT;
        t.is_multi = true;
    }
    struct element_place at = { in->f, i, counts };
    struct residue_place place = place_of(&at);
    bool ok = form == RESIDUE_TEXT || form == RESIDUE_NAME ? check_text(in, i, &t, set, &place, err)
              : form == RESIDUE_BINARY                     ? check_pieces(in, &t, salt, set, &place, err)
                                                           : residue_check(s->residue, &t, &place, err);
    if (!ok)
        return false;
    if (residue_hit(s->residue) == NULL)
        study_remember(s, key);
    return true;
}

/* Values that are written without standing in the data set: the SOP class goes into the file meta, and a pseudonym
 * from the cohort may be no pseudonym at all. */
static bool check_others(struct instance *in, struct pixl_error *err)
{
    struct residue_text class = { .text = in->text[TOP_SOP_CLASS], .form = RESIDUE_UIDS };
    struct element_place at = { in->f, (uint32_t)in->top[TOP_SOP_CLASS], NULL };
    struct residue_place place = place_of(&at);
    if (in->decisions[in->top[TOP_SOP_CLASS]].what != DECISION_VALUE &&
        !residue_check(in->study->residue, &class, &place, err))
        return false;
    struct residue_text patient = { .text = in->study->participant, .form = RESIDUE_TEXT };
    struct element_place nowhere = { NULL, 0, NULL };
    struct residue_place no_place = place_of(&nowhere);
    return patient.text.n == 0 || residue_check(in->study->residue, &patient, &no_place, err);
}

bool deid_check(struct instance *in, struct pixl_error *err)
{
    const struct dicom_file *f = in->f;
    struct charset_stack sets;
    struct item_counts counts = { 0 };
    charset_stack_init(&sets);
    if (!check_others(in, err))
        return false;
    for (uint32_t i = f->meta_end; i < f->n_elements;) {
        const struct dicom_element *e = &f->elements[i];
        const struct decision *d = &in->decisions[i];
        if (!charset_stack_see(&sets, in, i, err))
            return false;
        if (d->what == DECISION_DROP || d->what == DECISION_VALUE) {
            i = e->end;
            continue;
        }
        bool is_leaf = (e->flags & (DICOM_IS_ITEM | DICOM_IS_SEQUENCE)) == 0;
        if (is_leaf && !check_element(in, i, charset_stack_top(&sets, e), &counts, err))
            return false;
        i++;
    }
    return true;
}

#include "residue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "deid/token.h"
#include "dicom/uid.h"

/* One hash that stood in a needle, in a text, or in both; the two sides meet when their kinds do. */
struct cell {
    uint64_t hash;               /* 0: empty */
    const char *place;           /* of the text that brought seen */
    uint16_t needle, seen;       /* enum identity; needle also IS_STOPPED */
};
enum { IS_STOPPED = 1u << 8, IS_STOPPED_PERSON = 1u << 9, PLACES_MAX_BYTES = 32 << 20, NEEDLES_MAX = 1000000 };

struct residue {
    uint64_t seed;
    struct cell *cells;
    size_t n_cells, mask, n_seen, n_needles;
    struct arena places;
    char hit[RESIDUE_WHERE_SIZE];
    bool has_hit;
    unsigned generation;
};

/* Words of pages, planes and anatomy that are also people's names: alone they tell nothing. */
static const char *const stop_words[] = {
    "head", "neck", "hand", "foot", "feet", "chest", "spine", "brain", "knee", "heart", "lung", "arm", "leg", "hip",
    "back", "bone", "skull", "abdomen", "pelvis", "thorax", "left", "right", "page", "body", "long", "short", "axial",
    "sagittal", "coronal", "oblique", "lateral", "phantom", "patient", "name", "test", "unknown", "none", "anonymous",
    "anonymized", "anonymised", "anonymize", "anon", "null", "mrs", "miss", "sir", "prof", "phd", "the", "and", "for",
    "with", "without", "image", "images", "study", "series", "scan", "mri", "mra", "pet", "xray", "ct", "mr", "dicom",
    "sample", "samples", "example", "demo", "case", "male", "female", "adult", "child", "baby", "not", "yes",
    "small", "large", "field", "dose", "upper", "lower", "angio", "contrast", "white", "gray", "grey", "matter",
    "protocol", "routine", "spiral", "thin", "thick", "soft", "tissue", "cardiac", "liver",
};
/* And words that stand where a physician's or operator's name should. */
static const char *const stop_words_person[] = {
    "tech", "technician", "technologist", "user", "admin", "administrator", "service", "doctor", "physician",
    "radiology", "radiologist", "operator", "hospital", "clinic", "department", "dept", "staff", "nurse", "group",
    "team", "system", "manufacturer", "medical", "imaging", "center", "centre", "university", "research", "default",
    "other", "self", "siemens", "philips", "toshiba", "canon", "hitachi", "general", "electric",
};

static bool grow(struct residue *r, struct pixl_error *err)
{
    size_t n = r->cells == NULL ? 1024 : 2 * (r->mask + 1);
    struct cell *cells = calloc(n, sizeof *cells);
    if (cells == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "residue check of %zu tokens", n);
    for (size_t i = 0; r->cells != NULL && i <= r->mask; i++) {
        if (r->cells[i].hash == 0)
            continue;
        size_t at = r->cells[i].hash & (n - 1);
        while (cells[at].hash != 0)
            at = (at + 1) & (n - 1);
        cells[at] = r->cells[i];
    }
    free(r->cells);
    r->cells = cells;
    r->mask = n - 1;
    return true;
}

/* The cell of a hash; NULL when there is none. */
static struct cell *find(const struct residue *r, uint64_t hash)
{
    size_t at = hash & r->mask;
    while (r->cells[at].hash != 0 && r->cells[at].hash != hash)
        at = (at + 1) & r->mask;
    return r->cells[at].hash == hash ? &r->cells[at] : NULL;
}

static bool find_or_add(struct residue *r, uint64_t hash, struct cell **out, struct pixl_error *err)
{
    hash |= hash == 0;
    struct cell *c = find(r, hash);
    if (c == NULL) {
        if (2 * (r->n_cells + 1) > r->mask + 1 && !grow(r, err))
            return false;
        size_t at = hash & r->mask;
        while (r->cells[at].hash != 0)
            at = (at + 1) & r->mask;
        c = &r->cells[at];
        c->hash = hash;
        r->n_cells++;
    }
    *out = c;
    return true;
}

static void note_hit(struct residue *r, const char *place)
{
    r->generation++;
    if (r->has_hit)
        return;
    r->has_hit = true;
    size_t n = strnlen(place, sizeof r->hit - 1);
    memcpy(r->hit, place, n);
    r->hit[n] = '\0';
}

static bool add_stop_words(struct residue *r, const char *const *words, size_t n, uint16_t bits, struct pixl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct cell *c;
        if (!find_or_add(r, token_hash_run(r->seed, words[i]), &c, err))
            return false;
        c->needle = (uint16_t)(c->needle | bits);
    }
    return true;
}

bool residue_reset(struct residue *r, struct pixl_error *err)
{
    if (r->cells != NULL)
        memset(r->cells, 0, (r->mask + 1) * sizeof *r->cells);
    else if (!grow(r, err))
        return false;
    r->n_cells = r->n_seen = r->n_needles = 0;
    arena_reset(&r->places);
    residue_clear_hit(r);
    r->generation++;
    return add_stop_words(r, stop_words, ARRAY_LEN(stop_words), IS_STOPPED | IS_STOPPED_PERSON, err) &&
           add_stop_words(r, stop_words_person, ARRAY_LEN(stop_words_person), IS_STOPPED_PERSON, err);
}

bool residue_new(struct residue **out, struct pixl_error *err)
{
    PIXL_CLEANUP(residue_freep) struct residue *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "residue check");
    arena_init(&r->places, PLACES_MAX_BYTES);
    if (!hash_random(&r->seed, sizeof r->seed, err) || !residue_reset(r, err))
        return false;
    *out = PIXL_STEAL(&r);
    return true;
}

void residue_free(struct residue *r)
{
    if (r == NULL)
        return;
    free(r->cells);
    arena_done(&r->places);
    free(r);
}

const char *residue_hit(const struct residue *r)
{
    return r->has_hit ? r->hit : NULL;
}

void residue_clear_hit(struct residue *r)
{
    r->has_hit = false;
    r->hit[0] = '\0';
}

unsigned residue_generation(const struct residue *r)
{
    return r->generation;
}

/* --- needles --- */

static bool add_needle(struct residue *r, uint64_t hash, enum identity kind, struct pixl_error *err)
{
    struct cell *c;
    if (!find_or_add(r, hash, &c, err))
        return false;
    if (c->needle & kind)
        return true;
    if (r->n_needles >= NEEDLES_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "more than %d identifiers in one study", NEEDLES_MAX);
    r->n_needles++;
    c->needle = (uint16_t)(c->needle | (unsigned)kind);
    if (c->seen & kind)
        note_hit(r, c->place);
    return true;
}

static bool is_stopped(const struct residue *r, uint64_t hash, unsigned bits)
{
    const struct cell *c = find(r, hash | (hash == 0));
    return c != NULL && (c->needle & bits);
}

/* The tokens of a needle that matter: the last of each kind, so that a needle of one value gives its own. */
struct needle_tokens { struct token joined, gram; };

static bool keep_needle_token(void *ctx, const struct token *t)
{
    struct needle_tokens *k = ctx;
    if (t->kind == TOKEN_JOINED)
        k->joined = *t;
    else if (t->kind == TOKEN_GRAM2 || t->kind == TOKEN_GRAM3)
        k->gram = *t;
    return true;
}

enum { ID_MIN = 4, NAME_MIN = 3, PERSON_NAME_MIN = 4 };

/* "0", "0000", "00-00": what systems write when there is no id. */
static bool is_placeholder(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] != '0' && id.p[i] != ' ' && id.p[i] != '-' && id.p[i] != '.')
            return false;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool add_digits(struct residue *r, struct str digits, enum identity kind, struct pixl_error *err)
{
    struct needle_tokens k = { 0 };
    return !token_each(digits, r->seed, 0, keep_needle_token, &k) || add_needle(r, k.joined.hash, kind, err);
}

/* An id as others write it: without leading zeros, and without the letters before its number ("ACC0099887"), unless
 * that number looks like a date. */
static bool add_number_of_id(struct residue *r, struct str id, enum identity kind, struct pixl_error *err)
{
    enum { NUMBER_MIN = 6, BARE_MIN = 5 };
    size_t n_letters = 0;
    id = str_trim(id);
    while (n_letters < id.n && ((id.p[n_letters] | 0x20) >= 'a' && (id.p[n_letters] | 0x20) <= 'z'))
        n_letters++;
    id = (struct str){ id.p + n_letters, id.n - n_letters };
    for (size_t i = 0; i < id.n; i++)
        if (!is_digit(id.p[i]) && id.p[i] != ' ' && id.p[i] != '-')
            return true;
    while (id.n > 0 && !is_digit(id.p[0]))
        id = (struct str){ id.p + 1, id.n - 1 };
    bool is_date = id.n == 8 && (str_is_prefix(id, STR("19")) || str_is_prefix(id, STR("20")));
    if (n_letters > 0 && id.n >= NUMBER_MIN && !is_date && !add_digits(r, id, kind, err))
        return false;
    size_t zeros = 0;
    while (zeros < id.n && !(is_digit(id.p[zeros]) && id.p[zeros] != '0'))
        zeros++;
    id = (struct str){ id.p + zeros, id.n - zeros };
    return zeros == 0 || id.n < BARE_MIN || add_digits(r, id, kind, err);
}

bool residue_add_id(struct residue *r, struct str id, enum identity kind, struct pixl_error *err)
{
    struct needle_tokens k = { 0 };
    if (!token_each(id, r->seed, TOKEN_WITH_GRAMS, keep_needle_token, &k) || is_placeholder(id))
        return true;
    const struct token *j = &k.joined;
    if (j->n == 0 || (!j->has_digit && is_stopped(r, j->hash, IS_STOPPED)))
        return true;
    if (j->n < ID_MIN)
        return kind == IDENTITY_STUDY_ID || add_needle(r, token_hash_short(j->hash), kind, err);
    return add_needle(r, j->hash, kind, err) && add_number_of_id(r, id, kind, err) &&
           ((j->runs != 2 && j->runs != 3) || add_needle(r, k.gram.hash, kind, err));
}

bool residue_add_uid(struct residue *r, struct str uid, struct pixl_error *err)
{
    uid = dicom_uid_trim(uid);
    if (uid.n == 0 || dicom_uid_is_standard(uid))
        return true;
    return add_needle(r, token_hash_uid(r->seed, uid), IDENTITY_UID, err);
}

struct name_needles {
    struct residue *r;
    enum identity who;
    struct pixl_error *err;
    uint64_t words[2];           /* the first two words of the name */
    unsigned n_words, n_chars;
    bool all_stopped;
};

static bool keep_name_token(void *ctx, const struct token *t)
{
    struct name_needles *k = ctx;
    bool is_person = k->who == IDENTITY_PERSON;
    bool stopped = is_stopped(k->r, t->hash, is_person ? IS_STOPPED_PERSON : IS_STOPPED);
    if (t->kind == TOKEN_RUN && t->has_letter && t->n > 1 && k->n_words < 2) {
        k->words[k->n_words++] = t->hash;
        k->n_chars += t->n;
        k->all_stopped = k->all_stopped && stopped;
    }
    if (t->kind == TOKEN_RUN && !t->has_letter && !is_person && t->n >= ID_MIN)
        return add_needle(k->r, t->hash, IDENTITY_ID, k->err);          /* a number where a name should be */
    if (!t->has_letter || stopped)
        return true;
    uint32_t least = is_person ? PERSON_NAME_MIN : NAME_MIN;
    if ((t->kind == TOKEN_RUN || t->kind == TOKEN_COMPOUND || (t->kind == TOKEN_LETTERS && !is_person)) &&
        t->n >= least)
        return add_needle(k->r, t->hash, k->who, k->err);
    if (t->kind == TOKEN_RUN && t->n == 2 && !is_person)
        return add_needle(k->r, token_hash_short(t->hash), k->who, k->err);
    return true;
}

/* The parts of a double name by themselves: "O'Brien-Smith" is also "OBrien". */
static bool add_hyphenated(struct name_needles *k, struct str name)
{
    struct str one;
    k->n_words = 2;                  /* these have been noted */
    while (str_split(name, '-', &one, &name) || one.n > 0)
        if (!token_each(one, k->r->seed, 0, keep_name_token, k))
            return false;
    return true;
}

static bool add_glued(struct name_needles *k, struct str a, struct str b)
{
    enum { GLUED_MIN = 6, GLUED_IDEOGRAPHS_MIN = 4 };
    char text[256];
    struct needle_tokens tokens = { 0 };
    if (a.n == 0 || b.n == 0 || a.n + b.n > sizeof text)
        return true;
    memcpy(text, a.p, a.n);
    memcpy(text + a.n, b.p, b.n);
    if (!token_each((struct str){ text, a.n + b.n }, k->r->seed, 0, keep_needle_token, &tokens))
        return true;
    const struct token *t = &tokens.joined;
    bool is_ideographs = (unsigned char)a.p[0] >= 0xE3;
    if (t->n < (is_ideographs ? GLUED_IDEOGRAPHS_MIN : GLUED_MIN) || !t->has_letter ||
        is_stopped(k->r, t->hash, IS_STOPPED))
        return true;
    return add_needle(k->r, t->hash, k->who, k->err);
}

/* Family and given name without a gap, either way round, and the family name with an initial: "jdoherty". */
static bool add_joined_names(struct name_needles *k, struct str name)
{
    enum { WITH_INITIAL_MIN = 5 };
    struct str family, given, rest;
    if (!str_split(name, '^', &family, &rest) && !str_split(name, ' ', &family, &rest))
        return true;
    (void)str_split(rest, '^', &given, &rest);
    family = str_trim(family);
    given = str_trim(given);
    if (!add_glued(k, family, given) || !add_glued(k, given, family))
        return false;
    const struct str initial = { given.p, given.n > 0 && (unsigned char)given.p[0] < 0x80 };
    return k->who != IDENTITY_PATIENT || family.n < WITH_INITIAL_MIN ||
           (add_glued(k, family, initial) && add_glued(k, initial, family));
}

bool residue_add_name(struct residue *r, struct str name, enum identity who, struct pixl_error *err)
{
    assert(who == IDENTITY_PATIENT || who == IDENTITY_PERSON);
    /* Several names and the groups of one (alphabetic, ideographic, phonetic) stand for themselves. */
    while (name.n > 0) {
        size_t n = 0;
        while (n < name.n && name.p[n] != '=' && name.p[n] != '\\')
            n++;
        struct name_needles k = { .r = r, .who = who, .err = err, .all_stopped = true };
        if (!token_each((struct str){ name.p, n }, r->seed, 0, keep_name_token, &k))
            return false;
        if (k.n_words == 2 && k.n_chars >= ID_MIN && !k.all_stopped &&
            (!add_needle(r, token_hash_gram2(k.words[0], k.words[1]), who, err) ||
             !add_needle(r, token_hash_gram2(k.words[1], k.words[0]), who, err)))
            return false;
        if (!add_hyphenated(&k, (struct str){ name.p, n }) || !add_joined_names(&k, (struct str){ name.p, n }))
            return false;
        n += n < name.n;
        name = (struct str){ name.p + n, name.n - n };
    }
    return true;
}

/* Adds one written form: up to three words in a row, and joined when they are of fixed width. */
static bool add_date_form(struct residue *r, const char *a, const char *b, const char *c, struct pixl_error *err)
{
    char joined[32];
    (void)snprintf(joined, sizeof joined, "%s%s%s", a, b, c);
    uint64_t ha = token_hash_run(r->seed, a), hb = token_hash_run(r->seed, b), hc = token_hash_run(r->seed, c);
    return add_needle(r, token_hash_gram3(ha, hb, hc), IDENTITY_DATE, err) &&
           (strlen(joined) < 7 || add_needle(r, token_hash_run(r->seed, joined), IDENTITY_DATE, err));
}

static bool add_short_date(struct residue *r, const char *a, const char *b, const char *c, struct pixl_error *err)
{
    char joined[16];
    (void)snprintf(joined, sizeof joined, "%s%s%s", a, b, c);
    return add_needle(r, token_hash_run(r->seed, joined), IDENTITY_DATE, err);
}

/* The three orders that people write: day month year, month day year, year month day. */
static bool add_date_orders(struct residue *r, const char *y, const char *m, const char *d, struct pixl_error *err)
{
    return add_date_form(r, d, m, y, err) && add_date_form(r, m, d, y, err) && add_date_form(r, y, m, d, err);
}

bool residue_add_birth_date(struct residue *r, struct str da, struct pixl_error *err)
{
    static const char *const months[] = { "january", "february", "march",     "april",   "may",      "june",
                                          "july",    "august",   "september", "october", "november", "december" };
    char digits[9] = "";
    size_t n = 0;
    for (size_t i = 0; i < da.n && n < 8; i++)          /* 1970.01.31 of old files too */
        if (da.p[i] >= '0' && da.p[i] <= '9')
            digits[n++] = da.p[i];
    uint64_t month, day, year;
    if (n != 8 || !str_to_u64((struct str){ digits, 4 }, &year) || !str_to_u64((struct str){ digits + 4, 2 }, &month) ||
        !str_to_u64((struct str){ digits + 6, 2 }, &day) || year < 2 || month < 1 || month > 12 || day < 1 || day > 31)
        return true;                                    /* no date: nothing to look for */
    char y[8], y2[4], m2[4], d2[4], m1[4], d1[4], abbreviated[4];
    (void)snprintf(y, sizeof y, "%04u", (unsigned)year);
    (void)snprintf(y2, sizeof y2, "%02u", (unsigned)(year % 100));
    (void)snprintf(m2, sizeof m2, "%02u", (unsigned)month);
    (void)snprintf(d2, sizeof d2, "%02u", (unsigned)day);
    (void)snprintf(m1, sizeof m1, "%u", (unsigned)month);
    (void)snprintf(d1, sizeof d1, "%u", (unsigned)day);
    (void)snprintf(abbreviated, sizeof abbreviated, "%.3s", months[month - 1]);
    const char *const name = months[month - 1];
    return add_short_date(r, d2, m2, y2, err) && add_short_date(r, m2, d2, y2, err) &&
           add_short_date(r, y2, m2, d2, err) && add_date_orders(r, y, m2, d2, err) && add_date_orders(r, y, m1, d1, err) &&
           add_date_orders(r, y, m1, d2, err) && add_date_orders(r, y, m2, d1, err) &&
           add_date_orders(r, y, name, d2, err) && add_date_orders(r, y, name, d1, err) &&
           add_date_orders(r, y, abbreviated, d2, err) && add_date_orders(r, y, abbreviated, d1, err);
}

/* --- texts --- */

struct text_check {
    struct residue *r;
    const struct residue_text *t;
    unsigned allowed;            /* enum identity that this text is searched for */
    bool is_remembered;          /* for needles that come later */
    void (*where)(void *ctx, char out[RESIDUE_WHERE_SIZE]);
    void *ctx;
    const char *place;           /* written once, kept in the arena */
    uint32_t least;              /* of binary texts: characters that a word must have here */
    struct pixl_error *err;
};

static bool know_place(struct text_check *k)
{
    if (k->place != NULL)
        return true;
    char place[RESIDUE_WHERE_SIZE] = "";
    k->where(k->ctx, place);
    k->place = arena_cstr(&k->r->places, place);
    return k->place != NULL || pixl_fail(k->err, PIXL_E_LIMIT, 0, "too many different values in one study");
}

static bool see(struct text_check *k, uint64_t hash, unsigned kinds)
{
    struct residue *r = k->r;
    kinds &= k->allowed;
    if (kinds == 0)
        return true;
    struct cell *c = find(r, hash | (hash == 0));
    if (c != NULL && (c->needle & kinds)) {
        if (!know_place(k))
            return false;
        note_hit(r, k->place);
    }
    if (!k->is_remembered || (c != NULL && (c->seen & kinds) == kinds))
        return true;
    if (!know_place(k) || !find_or_add(r, hash, &c, k->err))
        return false;
    if (c->seen == 0 && ++r->n_seen > RESIDUE_MAX_TOKENS)
        return pixl_fail(k->err, PIXL_E_LIMIT, 0, "more than %d different words in one study", RESIDUE_MAX_TOKENS);
    c->seen = (uint16_t)(c->seen | kinds);
    c->place = k->place;
    return true;
}

enum { NAMES = IDENTITY_PATIENT | IDENTITY_PERSON, DATE_RUN_MIN = 7, NUMBER_ID_MIN = 6, JOINED_MAX = 64 };

/* 04/07/61: as a number in one piece it would be anything. */
static bool is_short_date(const struct token *t)
{
    return t->n == 6 && t->runs == 3 && !t->has_letter;
}

static bool see_token(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    switch (t->kind) {
    case TOKEN_RUN:
        return t->n < 2 || see(k, t->hash,
                               (t->n >= ID_MIN ? IDENTITY_IDS : 0) | (t->n >= NAME_MIN && t->has_letter ? NAMES : 0) |
                                   (t->n >= DATE_RUN_MIN ? IDENTITY_DATE : 0));
    case TOKEN_LETTERS:
        return see(k, t->hash, NAMES);
    case TOKEN_DIGITS:
        return see(k, t->hash, IDENTITY_IDS | (t->n >= DATE_RUN_MIN ? IDENTITY_DATE : 0));
    case TOKEN_COMPOUND:
        return t->n < ID_MIN || t->n > JOINED_MAX ||
               see(k, t->hash, IDENTITY_IDS | (t->has_letter ? NAMES : 0) |
                                   (t->n >= DATE_RUN_MIN || is_short_date(t) ? IDENTITY_DATE : 0));
    case TOKEN_GRAM2:
        return see(k, t->hash, IDENTITY_IDS | NAMES);
    case TOKEN_GRAM3:
        return see(k, t->hash, IDENTITY_IDS | IDENTITY_DATE);
    case TOKEN_JOINED:
        if (t->n < ID_MIN)           /* codes are short words by nature: "M", "AX" */
            return k->t->form == RESIDUE_CODE || see(k, token_hash_short(t->hash), IDENTITY_IDS | NAMES);
        return t->runs < 2 || t->n > JOINED_MAX || see(k, t->hash, IDENTITY_IDS);
    case TOKEN_UID:
        return see(k, t->hash, IDENTITY_UID);
    }
    return true;
}

/* Values of IS and DS: whole numbers only, so that "0.30761719" is no id, and only such as are hardly measured. */
static bool see_number(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    return t->kind != TOKEN_JOINED || t->runs != 1 || t->n < NUMBER_ID_MIN || t->has_letter ||
           see(k, t->hash, IDENTITY_IDS | (t->n == 8 ? IDENTITY_DATE : 0));
}

static bool see_uid(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    if (t->kind == TOKEN_RUN)
        return t->n < ID_MIN || see(k, t->hash, IDENTITY_IDS);
    return t->kind != TOKEN_UID || see(k, t->hash, IDENTITY_UID);
}

static bool check_uids(struct text_check *k)
{
    struct str rest = k->t->text, one;
    bool more = true;
    while (more) {
        more = str_split(rest, '\\', &one, &rest);
        one = dicom_uid_trim(one);
        if (!dicom_uid_is_standard(one) && !token_each(one, k->r->seed, TOKEN_WITH_UIDS, see_uid, k))
            return false;
    }
    return true;
}

static bool is_printable(char c)
{
    return c >= 0x20 && c < 0x7F;
}

/* DA and DT: the first eight characters of each value. */
static bool check_dates(struct text_check *k)
{
    struct str rest = k->t->text, one;
    bool more = true;
    while (more) {
        more = str_split(rest, '\\', &one, &rest);
        one = str_trim(one);
        if (one.n > 8 && one.p[4] >= '0' && one.p[4] <= '9')
            one.n = 8;
        if (!token_each(one, k->r->seed, TOKEN_WITH_GRAMS, see_token, k))
            return false;
    }
    return true;
}

/* Random bytes hold short words by chance, so these count only where they look like text: alone between NULs, or with
 * more printable characters around them. */
static bool see_binary(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    return t->kind == TOKEN_JOINED || t->n < k->least || see_token(k, t);
}

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static bool check_stretch(struct text_check *k, struct str stretch, bool is_text)
{
    enum { LONG_STRETCH = 8 };
    k->least = is_text ? NAME_MIN : stretch.n >= LONG_STRETCH ? ID_MIN : ID_MIN + 1;
    /* Short words of a study's noise must not use up the room for those that mean something. */
    k->is_remembered = is_text || stretch.n >= LONG_STRETCH || k->r->n_seen < RESIDUE_MAX_TOKENS / 2;
    return token_each(stretch, k->r->seed, TOKEN_WITH_UIDS | (is_text ? TOKEN_WITH_GRAMS : 0), see_binary, k);
}

/* A field between NULs that is text but for letters beyond ASCII: UTF-8, or mostly ASCII letters. */
static bool is_field_of_letters(struct str field)
{
    size_t n_high = 0, n_letters = 0;
    for (size_t i = 0; i < field.n; i++) {
        n_high += is_high(field.p[i]);
        n_letters += (field.p[i] | 0x20) >= 'a' && (field.p[i] | 0x20) <= 'z';
        if (!is_printable(field.p[i]) && !is_high(field.p[i]))
            return false;
    }
    return n_high > 0 && (n_letters >= n_high || str_is_utf8(field));
}

/* ASCII in UTF-16 of either byte order, from i on: every second byte is NUL.  *end: behind it.  True: there is some. */
static bool find_wide(struct str t, size_t i, char out[], size_t room, size_t *n, size_t *end)
{
    *n = 0;
    for (*end = i; *n < room && *end < t.n && is_printable(t.p[*end]); *end += 2) {
        out[(*n)++] = t.p[*end];
        if (*end + 1 >= t.n || t.p[*end + 1] != '\0')
            break;
    }
    return *n >= NAME_MIN;
}

static bool check_binary(struct text_check *k)
{
    enum { STRETCH_MIN = 3, TEXT_MIN = 16, WIDE_MAX = 256 };
    const struct str t = k->t->text;
    for (size_t i = 0; i < t.n;) {
        size_t from = i, n, end;
        bool starts_field = from == 0 || t.p[from - 1] == '\0';
        while (i < t.n && is_printable(t.p[i]))
            i++;
        if (starts_field && i < t.n && is_high(t.p[i])) {
            const char *nul = memchr(t.p + i, '\0', t.n - i);
            const struct str field = { t.p + from, nul ? (size_t)(nul - t.p) - from : t.n - from };
            if (field.n >= STRETCH_MIN && is_field_of_letters(field)) {
                i = from + field.n;
                if (!check_stretch(k, field, true))
                    return false;
                continue;
            }
        }
        const struct str stretch = { t.p + from, i - from };
        bool is_field = starts_field && (i == t.n || t.p[i] == '\0');
        if (stretch.n > 0 && i + 1 < t.n && t.p[i] == '\0' && is_printable(t.p[i + 1])) {
            char wide[WIDE_MAX];
            if (find_wide(t, i - 1, wide, sizeof wide, &n, &end) && !check_stretch(k, (struct str){ wide, n }, true))
                return false;
            i = n >= WIDE_MAX ? i - 1 + WIDE_MAX : end > i ? end - 1 : i;        /* of long ones the halves overlap */
        }
        i += i == from;
        if (stretch.n >= STRETCH_MIN && !check_stretch(k, stretch, is_field || stretch.n >= TEXT_MIN))
            return false;
    }
    return true;
}

/* All of it text, but for padding? */
static bool is_all_printable(struct str t)
{
    while (t.n > 0 && t.p[t.n - 1] == '\0')
        t.n--;
    for (size_t i = 0; i < t.n; i++)
        if (!is_printable(t.p[i]) && t.p[i] != '\r' && t.p[i] != '\n' && t.p[i] != '\t')
            return false;
    return true;
}

bool residue_check(struct residue *r, const struct residue_text *t,
                   void (*where)(void *ctx, char out[RESIDUE_WHERE_SIZE]), void *ctx, struct pixl_error *err)
{
    struct text_check k = { .r = r, .t = t, .allowed = IDENTITY_ALL & ~t->exempt, .is_remembered = true, .where = where,
                            .ctx = ctx, .err = err };
    unsigned options = TOKEN_WITH_UIDS | TOKEN_WITH_GRAMS | (t->is_multi ? TOKEN_MULTI : 0);
    switch (t->form) {
    case RESIDUE_CODE:
        k.allowed &= ~(unsigned)NAMES;
        return token_each(t->text, r->seed, options, see_token, &k);
    case RESIDUE_TEXT:
        return token_each(t->text, r->seed, options, see_token, &k) &&
               (!t->is_unclean || token_each(t->text, r->seed, options | TOKEN_ASCII, see_token, &k));
    case RESIDUE_NUMBERS:
        return token_each(t->text, r->seed, TOKEN_MULTI, see_number, &k);
    case RESIDUE_DATE:
        k.allowed &= IDENTITY_DATE;
        return check_dates(&k);
    case RESIDUE_UIDS:
        return check_uids(&k);
    case RESIDUE_BINARY:
        return is_all_printable(t->text) ? token_each(t->text, r->seed, options, see_token, &k) : check_binary(&k);
    }
    return true;
}

/* needle.c - the forms in which an identity may be written, as needles of the residue check. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "deid/residue_internal.h"
#include "deid/token.h"
#include "deid/words.h"
#include "dicom/uid.h"
#include "study/iso_time.h"

enum { NEEDLES_MAX = 1000000 };

static bool add_needle(struct residue *r, uint64_t hash, enum identity kind, struct pixl_error *err)
{
    struct cell *c;
    if (!residue_find_or_add(r, hash, &c, err))
        return false;
    if (c->needle & kind)
        return true;
    if (r->n_needles >= NEEDLES_MAX)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "more than %d identifiers in one study", NEEDLES_MAX);
    r->n_needles++;
    c->needle = (uint8_t)(c->needle | kind);
    if (c->seen & kind)
        residue_note_hit(r, residue_place_of(r, c->place));
    return true;
}

/* enum cell_flags of a word. */
static unsigned flags_of(const struct residue *r, uint64_t hash)
{
    const struct cell *c = residue_find(r, hash);
    return c != NULL ? c->flags : 0;
}

/* The tokens of a needle that matter: the last of each kind, so that a needle of one value gives its own. */
struct needle_tokens {
    struct token joined, gram;
};

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

/* --- ids --- */

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

/* A day of our time, as YYYYMMDD. */
static bool is_date(struct str s)
{
    uint64_t year, month, day;
    return s.n == 8 && str_to_u64((struct str){ s.p, 4 }, &year) && str_to_u64((struct str){ s.p + 4, 2 }, &month) &&
           str_to_u64((struct str){ s.p + 6, 2 }, &day) && year >= 1900 && year <= 2099 &&
           iso_time_is_day((int)year, (int)month, (int)day);
}

/* An id as others write it: without leading zeros, and without the letters before its number ("ACC0099887"), unless
 * that number is a date. */
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
    if (n_letters > 0 && id.n >= NUMBER_MIN && !is_date(id) && !add_digits(r, id, kind, err))
        return false;
    size_t zeros = 0;
    while (zeros < id.n && !(is_digit(id.p[zeros]) && id.p[zeros] != '0'))
        zeros++;
    id = (struct str){ id.p + zeros, id.n - zeros };
    return zeros == 0 || id.n < BARE_MIN || add_digits(r, id, kind, err);
}

/* "K 12345" for "K12345"; and the number in the midst of "HOSP/12345678/A", unless it begins with a date.  Where there
 * are dots it may be a maker's, as in a UID. */
static bool add_parts_of_id(struct residue *r, struct str id, enum identity kind, struct pixl_error *err)
{
    enum { MIDDLE_MIN = 7, SPACED_MIN = 5, DIGITS_MAX = 20 };
    id = str_trim(id);
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] == '.')
            return true;
    for (size_t i = 0, from; i < id.n; i++) {
        for (from = i; i < id.n && is_digit(id.p[i]); i++)
            ;
        const struct str digits = { id.p + from, i - from };
        const bool is_part = digits.n < id.n && digits.n >= MIDDLE_MIN && digits.n <= DIGITS_MAX;
        if (is_part && !is_date((struct str){ digits.p, 8 < digits.n ? 8 : digits.n }) &&
            !add_digits(r, digits, kind, err))
            return false;
    }
    size_t n = 0;
    while (n < id.n && (id.p[n] | 0x20) >= 'a' && (id.p[n] | 0x20) <= 'z')
        n++;
    const struct str number = { id.p + n, id.n - n };
    for (size_t i = 0; i < number.n; i++)
        if (!is_digit(number.p[i]))
            return true;
    struct needle_tokens letters = { 0 };
    if (n == 0 || number.n < SPACED_MIN ||
        !token_each((struct str){ id.p, n }, r->seed, 0, keep_needle_token, &letters))
        return true;
    return add_needle(r, token_hash_gram2(letters.joined.hash, token_hash_run(r->seed, number)), kind, err);
}

bool residue_add_id(struct residue *r, struct str id, enum identity kind, struct pixl_error *err)
{
    struct needle_tokens k = { 0 };
    if (!token_each(id, r->seed, TOKEN_WITH_GRAMS, keep_needle_token, &k) || is_placeholder(id))
        return true;
    const struct token *j = &k.joined;
    if (j->n == 0 || (!j->has_digit && (flags_of(r, j->hash) & (CELL_STOP | CELL_LISTED))))
        return true;
    if (j->n < ID_MIN)
        return kind == IDENTITY_STUDY_ID || add_needle(r, token_hash_as(j->hash, TOKEN_AS_VALUE), kind, err);
    return add_needle(r, j->hash, kind, err) && add_number_of_id(r, id, kind, err) &&
           add_parts_of_id(r, id, kind, err) &&
           ((j->runs != 2 && j->runs != 3) || add_needle(r, k.gram.hash, kind, err));
}

bool residue_add_uid(struct residue *r, struct str uid, struct pixl_error *err)
{
    uid = dicom_uid_trim(uid);
    if (uid.n == 0 || dicom_uid_is_standard(uid))
        return true;
    return add_needle(r, token_hash_uid(r->seed, uid), IDENTITY_UID, err);
}

/* --- names --- */

enum { WORDS_MAX = 6, CODE_MIN = 4, CONTRACTED_MIN = 4, TEXT_MAX = 256 };

struct name_needles {
    struct residue *r;
    enum identity who;
    struct pixl_error *err;
    unsigned options;          /* of the cutter */
    bool is_contracted;        /* "ue" was made "u" */
    bool is_again;             /* parts of what was gone through before */
    uint64_t words[WORDS_MAX]; /* of two letters or more */
    unsigned n_words;
    uint64_t listed[WORDS_MAX];  /* CELL_LISTED */
    uint16_t numbers[WORDS_MAX]; /* their cell.word */
    unsigned n_listed;
};

static bool is_patient(const struct name_needles *k)
{
    return k->who == IDENTITY_PATIENT;
}

/* Wherever it stands as a word, and where a CS holds it alone. */
static bool add_word(struct name_needles *k, const struct token *t, unsigned flags)
{
    if (!add_needle(k->r, t->hash, k->who, k->err))
        return false;
    bool is_code = !is_patient(k) || t->n < CODE_MIN || t->has_digit || (flags & CELL_CODE);
    return is_code || add_needle(k->r, token_hash_as(t->hash, TOKEN_AS_CODE), k->who, k->err);
}

static uint64_t hash_of(const struct residue *r, struct str folded)
{
    return token_hash_run(r->seed, folded);
}

/* Behind the title of a person. */
static bool add_titled(struct name_needles *k, uint64_t hash)
{
    struct str titles = str_of(words_titles), title;
    for (bool more = true; more;) {
        more = str_split(titles, ' ', &title, &titles);
        if (!add_needle(k->r, token_hash_gram2(hash_of(k->r, title), hash), k->who, k->err))
            return false;
    }
    return true;
}

/* "Green (Mrs)", "Dr. med. Green", "Green's". */
static bool add_addressed(struct name_needles *k, uint64_t hash, unsigned flags)
{
    struct str titles = str_of(words_titles_behind), title;
    for (bool more = true; more;) {
        more = str_split(titles, ' ', &title, &titles);
        if (!add_needle(k->r, token_hash_gram2(hash, hash_of(k->r, title)), k->who, k->err))
            return false;
    }
    const uint64_t dr_med = token_hash_gram3(hash_of(k->r, STR("dr")), hash_of(k->r, STR("med")), hash);
    if (!add_needle(k->r, dr_med, k->who, k->err))
        return false;
    const bool is_own = is_patient(k) && (flags & CELL_ORDINARY);
    return !is_own || add_needle(k->r, token_hash_gram2(hash, hash_of(k->r, STR("s"))), k->who, k->err);
}

/* A word that is also another: where it is meant as a name (words.h). */
static bool add_listed_word(struct name_needles *k, const struct token *t, unsigned flags)
{
    if (k->is_contracted)
        return true;
    if (k->n_listed < WORDS_MAX && !k->is_again) {
        k->listed[k->n_listed] = t->hash;
        k->numbers[k->n_listed++] = (uint16_t)residue_find(k->r, t->hash)->word;
    }
    return add_titled(k, t->hash) && add_addressed(k, t->hash, flags) &&
           add_needle(k->r, token_hash_as(t->hash, TOKEN_AS_PERSON), k->who, k->err) &&
           (!(flags & CELL_ORDINARY) || add_needle(k->r, token_hash_as(t->hash, TOKEN_AS_VALUE), k->who, k->err));
}

static bool is_particle(const struct residue *r, uint64_t hash)
{
    struct str rest = str_of(words_particles), one;
    for (bool more = true; more;) {
        more = str_split(rest, ' ', &one, &rest);
        if (hash_of(r, one) == hash)
            return true;
    }
    return false;
}

/* A patient's name that is too short to count by itself, or that is none elsewhere, behind a title: "Mr Li", "Mr Page". */
static bool add_short_titled(struct name_needles *k, const struct token *t, unsigned flags)
{
    if (t->kind != TOKEN_RUN || !is_patient(k) || k->is_contracted || !t->has_letter || t->has_digit)
        return true;
    const bool is_short =
        t->n >= 2 && t->n < CODE_MIN && !(flags & (CELL_STOP | CELL_LISTED)) && !is_particle(k->r, t->hash);
    return !(is_short || (flags & CELL_TITLED)) || add_titled(k, t->hash);
}

static bool keep_name_token(void *ctx, const struct token *t)
{
    struct name_needles *k = ctx;
    if (t->kind == TOKEN_RUN && !t->has_letter && is_patient(k) && t->n >= ID_MIN)
        return add_needle(k->r, t->hash, IDENTITY_ID, k->err); /* a number where a name should be */
    unsigned flags = flags_of(k->r, t->hash), stops = CELL_STOP | (is_patient(k) ? 0 : CELL_STOP_PERSON);
    if (!add_short_titled(k, t, flags))
        return false;
    if (!t->has_letter || (flags & stops))
        return true;
    if (t->kind == TOKEN_RUN && t->n > 1 && k->n_words < WORDS_MAX && !k->is_again)
        k->words[k->n_words++] = t->hash;
    if (flags & CELL_LISTED)
        return t->kind != TOKEN_RUN || add_listed_word(k, t, flags);
    uint32_t least = k->is_contracted ? CONTRACTED_MIN : is_patient(k) ? NAME_MIN : PERSON_NAME_MIN;
    if ((t->kind == TOKEN_RUN || t->kind == TOKEN_COMPOUND || (t->kind == TOKEN_LETTERS && is_patient(k))) &&
        t->n >= least)
        return add_word(k, t, flags);
    if (t->kind == TOKEN_RUN && t->n == 2 && is_patient(k))
        return add_needle(k->r, token_hash_as(t->hash, TOKEN_AS_VALUE), k->who, k->err);
    return true;
}

/* Any two words in a row, either way round; any two that are listed, in one value. */
static bool add_pairs(struct name_needles *k)
{
    for (unsigned i = 0; i < k->n_words; i++)
        for (unsigned j = 0; j < k->n_words; j++)
            if (i != j && !add_needle(k->r, token_hash_gram2(k->words[i], k->words[j]), k->who, k->err))
                return false;
    for (unsigned i = 0; i < k->n_listed; i++)
        for (unsigned j = 0; j < k->n_listed; j++)
            if (k->numbers[i] < k->numbers[j] &&
                !add_needle(k->r, token_hash_pair(k->r->seed, k->numbers[i], k->numbers[j]), k->who, k->err))
                return false;
    return true;
}

/* Behind a name "a" and "I" are initials; before it they are words, but for "Mr A. Young". */
static bool add_initial(struct name_needles *k, uint64_t initial, uint64_t listed, bool is_word)
{
    if (!add_needle(k->r, token_hash_gram2(listed, initial), k->who, k->err))
        return false;
    if (!is_word)
        return add_needle(k->r, token_hash_gram2(initial, listed), k->who, k->err);
    struct str titles = str_of(words_titles), title;
    for (bool more = true; more;) {
        more = str_split(titles, ' ', &title, &titles);
        if (!add_needle(k->r, token_hash_gram3(hash_of(k->r, title), initial, listed), k->who, k->err))
            return false;
    }
    return true;
}

/* "Young J", "J. Young", where Young alone does not count. */
static bool add_initials(struct name_needles *k, struct str name)
{
    for (size_t i = 0; i < name.n && k->n_listed > 0; i++) {
        const char c = (char)(name.p[i] | 0x20);
        bool is_first = i == 0 || name.p[i - 1] == '^' || name.p[i - 1] == ' ' || name.p[i - 1] == '-';
        if (!is_first || c < 'a' || c > 'z')
            continue;
        const uint64_t initial = hash_of(k->r, (struct str){ &c, 1 });
        for (unsigned j = 0; j < k->n_listed; j++)
            if (!add_initial(k, initial, k->listed[j], c == 'a' || c == 'i'))
                return false;
    }
    return true;
}

/* The parts of a double name by themselves: "O'Brien-Smith" is also "OBrien". */
static bool add_hyphenated(struct name_needles *k, struct str name)
{
    struct str one;
    k->is_again = true;
    while (str_split(name, '-', &one, &name) || one.n > 0)
        if (!token_each(one, k->r->seed, k->options, keep_name_token, k))
            return false;
    return true;
}

/* All of a text in one piece; false: it has no letters. */
static bool joined_of(const struct name_needles *k, struct str text, struct token *out)
{
    struct needle_tokens tokens = { 0 };
    if (!token_each(text, k->r->seed, k->options, keep_needle_token, &tokens) || !tokens.joined.has_letter)
        return false;
    *out = tokens.joined;
    return true;
}

static bool add_glued(struct name_needles *k, struct str a, struct str b)
{
    enum { GLUED_MIN = 6, GLUED_IDEOGRAPHS_MIN = 4 };
    char text[TEXT_MAX];
    struct token t;
    if (a.n == 0 || b.n == 0 || a.n + b.n > sizeof text)
        return true;
    memcpy(text, a.p, a.n);
    memcpy(text + a.n, b.p, b.n);
    bool is_ideographs = (unsigned char)a.p[0] >= 0xE3;
    if (!joined_of(k, (struct str){ text, a.n + b.n }, &t) || t.n < (is_ideographs ? GLUED_IDEOGRAPHS_MIN : GLUED_MIN))
        return true;
    unsigned flags = flags_of(k->r, t.hash);
    return (flags & (CELL_STOP | CELL_LISTED)) || add_word(k, &t, flags);
}

/* A family or given name of several words, written as one: "DeSouza", "Maryjane". */
static bool add_component(struct name_needles *k, struct str text)
{
    enum { COMPONENT_MIN = 5 };
    struct token t;
    if (!joined_of(k, text, &t) || t.runs < 2 || t.n < COMPONENT_MIN)
        return true;
    unsigned flags = flags_of(k->r, t.hash);
    return (flags & (CELL_STOP | CELL_LISTED | CELL_CODE)) || add_word(k, &t, flags);
}

/* A name that does not tell where the family name ends: all but its last word, "De Souza Ana". */
static bool add_family_of(struct name_needles *k, struct str name)
{
    name = str_trim(name);
    size_t n = name.n;
    while (n > 0 && name.p[n - 1] != ' ')
        n--;
    return memchr(name.p, '^', name.n) != NULL || add_component(k, str_trim((struct str){ name.p, n }));
}

/* What counts in the midst of a text without gaps; least: characters, twice. */
static bool add_part(struct name_needles *k, struct str text, uint32_t least)
{
    struct token t;
    uint64_t hash;
    if (!token_hash_part(k->r->seed, text, &hash) || !joined_of(k, text, &t) || t.n < least ||
        (flags_of(k->r, t.hash) & (CELL_STOP | CELL_LISTED)))
        return true;
    return add_needle(k->r, hash, k->who, k->err);
}

static bool begins_in_hangul(struct str s)
{
    return (unsigned char)s.p[0] >= 0xEA && (unsigned char)s.p[0] <= 0xED;
}

/* "MrsGreen", where Green alone does not count. */
static bool add_glued_titles(struct name_needles *k, struct str name)
{
    for (size_t i = 0, from; i < name.n && k->n_listed > 0; i++) {
        for (from = i; i < name.n && name.p[i] != '^' && name.p[i] != ' ' && name.p[i] != '-'; i++)
            ;
        const struct str word = { name.p + from, i - from };
        struct token t;
        if (!joined_of(k, word, &t) || !(flags_of(k->r, t.hash) & CELL_LISTED))
            continue;
        struct str titles = str_of(words_titles), title;
        for (bool more = true; more;) {
            more = str_split(titles, ' ', &title, &titles);
            if (!add_glued(k, title, word))
                return false;
        }
    }
    return true;
}

/* Chinese, Japanese and Korean: the family name and all of the name, the given name from three characters.  Of two
 * syllables of Hangul there are too few to say a whole name, but where a given name follows these are a family's. */
static bool add_unspaced(struct name_needles *k, struct str family, struct str given)
{
    enum { GIVEN_MIN = 6, HANGUL_MIN = 6 };
    char text[TEXT_MAX];
    if (family.n == 0 || (unsigned char)family.p[0] < 0xE1 || family.n + given.n > sizeof text)
        return true;
    memcpy(text, family.p, family.n);
    if (given.n > 0)
        memcpy(text + family.n, given.p, given.n);
    const uint32_t least = begins_in_hangul(family) ? HANGUL_MIN : 0;
    return add_part(k, family, given.n > 0 ? 0 : least) && add_part(k, given, GIVEN_MIN) &&
           add_part(k, (struct str){ text, family.n + given.n }, least);
}

/* At the first '^', or where there is none at the first blank, of which there is a wide one too. */
static bool split_name(struct str name, struct str *family, struct str *rest)
{
    if (str_split(name, '^', family, rest) || str_split(name, ' ', family, rest))
        return true;
    for (size_t i = 0; i + 3 <= name.n; i++)
        if (memcmp(name.p + i, "\u3000", 3) == 0) {
            *family = (struct str){ name.p, i };
            *rest = (struct str){ name.p + i + 3, name.n - i - 3 };
            return true;
        }
    return false;
}

/* Family and given name without a gap, either way round, and the family name with an initial: "jdoherty". */
static bool add_joined_names(struct name_needles *k, struct str name)
{
    enum { WITH_INITIAL_MIN = 5 };
    struct str family, given, rest;
    if (!split_name(name, &family, &rest))
        return add_unspaced(k, str_trim(name), (struct str){ 0 });
    if (!add_family_of(k, name))
        return false;
    (void)str_split(rest, '^', &given, &rest);
    family = str_trim(family);
    given = str_trim(given);
    if (!add_component(k, family) || !add_component(k, given) || !add_glued(k, family, given) ||
        !add_glued(k, given, family) || !add_unspaced(k, family, given))
        return false;
    const struct str initial = { given.p, given.n > 0 && (unsigned char)given.p[0] < 0x80 };
    return !is_patient(k) || family.n < WITH_INITIAL_MIN ||
           (add_glued(k, family, initial) && add_glued(k, initial, family));
}

/* One name in one spelling. */
static bool add_spelling(struct name_needles k, struct str name)
{
    return token_each(name, k.r->seed, k.options, keep_name_token, &k) && add_pairs(&k) && add_initials(&k, name) &&
           add_glued_titles(&k, name) && add_hyphenated(&k, name) && add_joined_names(&k, name);
}

static bool is_one_of(char c, const char *letters)
{
    return c != '\0' && strchr(letters, c | 0x20) != NULL;
}

/* "Mueller" as "Muller", which is how Müller is compared; not behind a vowel or q, where "ue" is no umlaut. */
static size_t contract(struct str name, char out[TEXT_MAX])
{
    size_t n = 0;
    if (name.n > TEXT_MAX)
        return 0;
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i], next = i + 1 < name.n ? name.p[i + 1] : '\0';
        bool is_umlaut = (is_one_of(c, "aou") && is_one_of(next, "e")) || (is_one_of(c, "a") && is_one_of(next, "a"));
        out[n++] = c;
        i += is_umlaut && (i == 0 || !is_one_of(name.p[i - 1], "aeiouyq"));
    }
    return n == name.n ? 0 : n;
}

static bool has_high(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

bool residue_add_name(struct residue *r, struct str name, enum identity who, struct pixl_error *err)
{
    assert(who == IDENTITY_PATIENT || who == IDENTITY_PERSON);
    /* Several names and the groups of one (alphabetic, ideographic, phonetic) stand for themselves. */
    while (name.n > 0) {
        size_t n = 0;
        while (n < name.n && name.p[n] != '=' && name.p[n] != '\\')
            n++;
        const struct str one = { name.p, n };
        char contracted[TEXT_MAX];
        const size_t n_contracted = contract(one, contracted);
        struct name_needles k = { .r = r, .who = who, .err = err };
        if (!add_spelling(k, one))
            return false;
        k.options = TOKEN_SPELT;
        if (has_high(one) && !add_spelling(k, one))
            return false;
        k.options = 0;
        k.is_contracted = true;
        if (n_contracted > 0 && !add_spelling(k, (struct str){ contracted, n_contracted }))
            return false;
        n += n < name.n;
        name = (struct str){ name.p + n, name.n - n };
    }
    return true;
}

/* --- the birth date --- */

enum { FIELD_MAX = 16 };
/* One field of a date as written, with its hash. */
struct date_field {
    struct str text;
    uint64_t hash;
    char room[FIELD_MAX];
};

struct date_needles {
    struct residue *r;
    struct pixl_error *err;
    unsigned year;
    struct date_field y, y2, thai; /* 1961, 61, 2504 */
    struct date_field m[2], d[3];  /* 7, 07; 4, 04, and 4th, or 1er on the first */
    int n_days;
};

static void set_field(const struct date_needles *k, struct date_field *f, struct str text)
{
    f->text = text;
    f->hash = hash_of(k->r, text);
}

PIXL_PRINTF(3, 4)
static void print_field(const struct date_needles *k, struct date_field *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(f->room, sizeof f->room, fmt, args);
    va_end(args);
    set_field(k, f, str_of(f->room));
}

enum date_as { AS_WORDS = 1, AS_ONE = 2 }; /* "4 Jul 1961"; "04JUL1961", from 7 characters, with letters 6 */

static bool add_one_piece(const struct date_needles *k, struct str a, struct str b, struct str c)
{
    enum { ONE_MIN = 7 };
    char one[64];
    const size_t n = a.n + b.n + c.n;
    if (n > sizeof one)
        return true;
    memcpy(one, a.p, a.n);
    memcpy(one + a.n, b.p, b.n);
    memcpy(one + a.n + b.n, c.p, c.n);
    bool has_letter = !is_digit(a.p[0]) || !is_digit(b.p[0]);
    return n + has_letter < ONE_MIN || add_needle(k->r, hash_of(k->r, (struct str){ one, n }), IDENTITY_DATE, k->err);
}

static bool add_date(const struct date_needles *k, unsigned as, const struct date_field *a, const struct date_field *b,
                     const struct date_field *c)
{
    return (!(as & AS_WORDS) || add_needle(k->r, token_hash_gram3(a->hash, b->hash, c->hash), IDENTITY_DATE, k->err)) &&
           (!(as & AS_ONE) || add_one_piece(k, a->text, b->text, c->text));
}

/* The three orders that people write: day month year, month day year, year month day. */
static bool add_orders(const struct date_needles *k, unsigned as, const struct date_field *y,
                       const struct date_field *m, const struct date_field *d)
{
    return add_date(k, as, d, m, y) && add_date(k, as, m, d, y) && add_date(k, as, y, m, d);
}

static bool add_short_date(const struct date_needles *k, const struct date_field *a, const struct date_field *b,
                           const struct date_field *c)
{
    uint64_t gram = token_hash_gram3(a->hash, b->hash, c->hash);
    return add_needle(k->r, token_hash_as(gram, TOKEN_AS_DATE), IDENTITY_DATE, k->err);
}

static bool add_numeric_dates(const struct date_needles *k)
{
    for (int i = 0; i < 4; i++) {
        const struct date_field *m = &k->m[i & 1], *d = &k->d[i >> 1];
        if (!add_orders(k, AS_WORDS | AS_ONE, &k->y, m, d) || !add_orders(k, AS_WORDS, &k->thai, m, d) ||
            !add_short_date(k, d, m, &k->y2) || !add_short_date(k, m, d, &k->y2) || !add_short_date(k, &k->y2, m, d))
            return false;
    }
    return true;
}

static bool add_dates_of_month(const struct date_needles *k, const char *names, bool is_english)
{
    enum { SHORT_NAME = 4 };
    struct str rest = str_of(names), name;
    for (bool more = true; more;) {
        struct date_field month;
        more = str_split(rest, ' ', &name, &rest);
        set_field(k, &month, name);
        for (int i = 0; i < k->n_days; i++) {
            unsigned as = AS_WORDS | (i < 2 && (is_english || name.n <= SHORT_NAME) ? AS_ONE : 0);
            if (!add_orders(k, as, &k->y, &month, &k->d[i]) || !add_date(k, as, &k->d[i], &month, &k->y2) ||
                (is_english && !add_date(k, AS_WORDS, &month, &k->d[i], &k->y2)))
                return false;
        }
    }
    return true;
}

/* Years of an era are followed by their month where a text has no gaps: the era, the year and the month are enough. */
static bool add_era_dates(const struct date_needles *k)
{
    for (size_t i = 0; i < words_n_eras; i++) {
        const struct words_era *era = &words_eras[i];
        if (k->year < era->from || k->year > era->to)
            continue;
        struct date_field year, name;
        print_field(k, &year, "%u", k->year - era->from + 1);
        struct str rest = str_of(era->names), one;
        for (bool more = true; more;) {
            more = str_split(rest, ' ', &one, &rest);
            set_field(k, &name, one);
            if (!add_date(k, AS_WORDS, &name, &year, &k->m[0]) || !add_date(k, AS_WORDS, &name, &year, &k->m[1]))
                return false;
        }
        print_field(k, &name, "%c%u", era->letter, k->year - era->from + 1);
        for (int j = 0; j < 4 && era->letter != '\0'; j++)
            if (!add_date(k, AS_WORDS, &name, &k->m[j & 1], &k->d[j >> 1]))
                return false;
    }
    return true;
}

static const char *ordinal_ending(unsigned day)
{
    static const char *const endings[] = { "th", "st", "nd", "rd" };
    return day / 10 != 1 && day % 10 < ARRAY_LEN(endings) ? endings[day % 10] : endings[0];
}

static bool add_day(struct residue *r, uint64_t year, uint64_t month, uint64_t day, struct pixl_error *err)
{
    struct date_needles k = { .r = r, .err = err, .year = (unsigned)year, .n_days = 3 };
    print_field(&k, &k.y, "%04u", k.year);
    print_field(&k, &k.y2, "%02u", k.year % 100);
    print_field(&k, &k.thai, "%u", k.year + 543);
    print_field(&k, &k.m[0], "%u", (unsigned)month);
    print_field(&k, &k.m[1], "%02u", (unsigned)month);
    print_field(&k, &k.d[0], "%u", (unsigned)day);
    print_field(&k, &k.d[1], "%02u", (unsigned)day);
    print_field(&k, &k.d[2], "%u%s", (unsigned)day, ordinal_ending((unsigned)day));
    if (!add_numeric_dates(&k) || !add_era_dates(&k) || !add_dates_of_month(&k, words_months_english[month - 1], true))
        return false;
    k.n_days = day == 1 ? 3 : 2;
    print_field(&k, &k.d[2], "1er");
    return add_dates_of_month(&k, words_months[month - 1], false);
}

/* The numbers of a date as its digits stand: three fields, or eight digits in a row. */
struct date_numbers {
    uint64_t of[3];
    size_t n_digits[3];
};

static struct date_numbers numbers_of(struct str da)
{
    struct date_numbers out = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < da.n && n < ARRAY_LEN(out.of); i++) {
        if (!is_digit(da.p[i])) {
            n += out.n_digits[n] > 0;
            continue;
        }
        if (out.n_digits[n] < 8) {
            out.of[n] = out.of[n] * 10 + (uint64_t)(da.p[i] - '0');
            out.n_digits[n]++;
        }
    }
    return out;
}

static bool is_month_day(uint64_t month, uint64_t day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* Day and month before the year, in either order. */
static bool add_day_before_year(struct residue *r, uint64_t a, uint64_t b, uint64_t year, struct pixl_error *err)
{
    if (year < 1800 || year > 2099)
        return true;
    return (!is_month_day(b, a) || add_day(r, year, b, a, err)) &&
           (a == b || !is_month_day(a, b) || add_day(r, year, a, b, err));
}

bool residue_add_birth_date(struct residue *r, struct str da, struct pixl_error *err)
{
    const struct date_numbers d = numbers_of(da);
    const uint64_t a = d.of[0], b = d.of[1], c = d.of[2];
    if (d.n_digits[0] == 8 && a / 10000 >= 2 && is_month_day(a / 100 % 100, a % 100))
        return add_day(r, a / 10000, a / 100 % 100, a % 100, err);
    if (d.n_digits[0] == 8)
        return add_day_before_year(r, a / 1000000, a / 10000 % 100, a % 10000, err);
    if (d.n_digits[0] == 4 && a >= 2 && is_month_day(b, c)) /* 1970.01.31 of old files */
        return add_day(r, a, b, c, err);
    return d.n_digits[2] != 4 || add_day_before_year(r, a, b, c, err);
}

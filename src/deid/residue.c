#include "residue.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "deid/residue_internal.h"
#include "deid/stretch.h"
#include "deid/token.h"
#include "deid/words.h"
#include "dicom/uid.h"

enum { PLACES_MAX_BYTES = 32 << 20, CELLS_AT_START = 4096 };

static bool grow(struct residue *r, struct pixl_error *err)
{
    size_t n = r->cells == NULL ? CELLS_AT_START : 2 * (r->mask + 1);
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

/* The cell of a hash, or the empty one where it would be. */
static struct cell *slot_of(const struct residue *r, uint64_t hash)
{
    hash |= hash == 0;
    size_t at = hash & r->mask;
    while (r->cells[at].hash != 0 && r->cells[at].hash != hash)
        at = (at + 1) & r->mask;
    return &r->cells[at];
}

struct cell *residue_find(const struct residue *r, uint64_t hash)
{
    struct cell *c = slot_of(r, hash);
    return c->hash != 0 ? c : NULL;
}

bool residue_find_or_add(struct residue *r, uint64_t hash, struct cell **out, struct pixl_error *err)
{
    struct cell *c = slot_of(r, hash);
    if (c->hash == 0) {
        if (4 * (r->n_cells + 1) > 3 * (r->mask + 1)) {
            if (!grow(r, err))
                return false;
            c = slot_of(r, hash);
        }
        c->hash = hash | (hash == 0);
        r->n_cells++;
    }
    *out = c;
    return true;
}

const char *residue_place_of(const struct residue *r, uint32_t place)
{
    return place == 0 ? "" : r->places.p + place - 1;
}

void residue_note_hit(struct residue *r, const char *place)
{
    r->generation++;
    if (r->has_hit)
        return;
    r->has_hit = true;
    size_t n = strnlen(place, sizeof r->hit - 1);
    memcpy(r->hit, place, n);
    r->hit[n] = '\0';
}

static bool add_words(struct residue *r, enum word_class class, uint16_t *number, struct pixl_error *err)
{
    static const unsigned flags[WORD_CLASSES] = {
        [WORD_STOP] = CELL_STOP,   [WORD_STOP_PERSON] = CELL_STOP_PERSON,
        [WORD_PLACE] = CELL_PLACE, [WORD_ORDINARY] = CELL_ORDINARY,
        [WORD_CODE] = CELL_CODE,   [WORD_STOP_TITLED] = CELL_STOP | CELL_TITLED,
    };
    struct str rest = str_of(words_of[class]), word;
    for (bool more = true; more;) {
        struct cell *c;
        more = str_split(rest, ' ', &word, &rest);
        if (!residue_find_or_add(r, token_hash_run(r->seed, word), &c, err))
            return false;
        c->flags = (c->flags | flags[class]) & CELL_ALL;
        if ((flags[class] & CELL_LISTED) && c->word == 0)
            c->word = ++*number & (unsigned)(WORDS_LISTED_MAX - 1);
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
    buf_clear(&r->places);
    residue_clear_hit(r);
    r->generation++;
    uint16_t number = 0;
    for (int class = 0; class < WORD_CLASSES; class ++)
        if (!add_words(r, (enum word_class) class, &number, err))
            return false;
    return true;
}

bool residue_new(struct residue **out, struct pixl_error *err)
{
    PIXL_CLEANUP(residue_freep) struct residue *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "residue check");
    buf_init(&r->places, PLACES_MAX_BYTES);
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
    buf_done(&r->places);
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

/* --- texts --- */

/* Words of a value that are listed (words.h), by their numbers. */
struct listed {
    uint64_t bits[WORDS_LISTED_MAX / 64];
    unsigned n;
};

struct text_check {
    struct residue *r;
    const struct residue_text *t;
    unsigned allowed;            /* enum identity that this text is searched for */
    bool is_remembered;          /* for needles that come later */
    struct residue_place *place;
    uint32_t least;              /* of binary texts: characters that a word must have here */
    bool is_value;               /* of binary texts: this stretch stands alone */
    unsigned word;               /* of what was seen last: its cell's */
    struct listed *listed;
    struct pixl_error *err;
};

static bool know_place(struct text_check *k)
{
    struct residue_place *p = k->place;
    if (p->known != 0)
        return true;
    struct buf *const places = &k->r->places;
    const uint32_t at = (uint32_t)places->n + 1;
    char place[RESIDUE_WHERE_SIZE] = "";
    p->write(p->ctx, place);
    if (!buf_add(places, place, strnlen(place, sizeof place - 1)) || !buf_add_char(places, '\0'))
        return pixl_fail(k->err, PIXL_E_LIMIT, 0, "too many different values in one study");
    p->known = at;
    return true;
}

/* For needles that come later. */
static bool remember(struct text_check *k, struct cell *c, uint64_t hash, unsigned kinds)
{
    struct residue *r = k->r;
    if (!know_place(k) || (c->hash == 0 && !residue_find_or_add(r, hash, &c, k->err)))
        return false;
    if (c->seen == 0 && ++r->n_seen > RESIDUE_MAX_TOKENS)
        return pixl_fail(k->err, PIXL_E_LIMIT, 0, "more than %d different words in one study", RESIDUE_MAX_TOKENS);
    c->seen = (uint8_t)(c->seen | kinds);
    c->place = k->place->known;
    return true;
}

static bool see(struct text_check *k, uint64_t hash, unsigned kinds)
{
    struct residue *r = k->r;
    k->word = 0;
    kinds &= k->allowed;
    if (kinds == 0)
        return true;
    struct cell *c = slot_of(r, hash);
    k->word = c->word;
    if (c->needle & kinds) {
        if (!know_place(k))
            return false;
        residue_note_hit(r, residue_place_of(r, k->place->known));
    }
    return !k->is_remembered || (c->seen & kinds) == kinds || remember(k, c, hash, kinds);
}

enum {
    ID_MIN = 4,
    NAME_MIN = 3,
    NAMES = IDENTITY_PATIENT | IDENTITY_PERSON,
    DATE_RUN_MIN = 7,
    NUMBER_ID_MIN = 6,
    JOINED_MAX = 64
};

/* A word that is listed waits for the end of its value, where it is known what stands with it. */
static bool see_listed(struct text_check *k, const struct token *t)
{
    uint64_t *const bits = &k->listed->bits[k->word / 64], bit = (uint64_t)1 << k->word % 64;
    k->listed->n += (*bits & bit) == 0;
    *bits |= bit;
    return k->t->form != RESIDUE_NAME || see(k, token_hash_as(t->hash, TOKEN_AS_PERSON), NAMES);
}

static void forget_listed(struct listed *l)
{
    if (l->n > 0)
        *l = (struct listed){ .n = 0 };
}

static unsigned next_listed(const struct listed *l, unsigned after)
{
    for (unsigned i = after + 1; i < WORDS_LISTED_MAX; i++)
        if (l->bits[i / 64] >> i % 64 & 1)
            return i;
    return WORDS_LISTED_MAX;
}

/* The end of a value that holds listed words: one of them alone, or several together. */
static bool see_listed_end(struct text_check *k, const struct token *joined)
{
    struct listed *l = k->listed;
    bool ok = joined->runs > 1 || joined->n < ID_MIN || see(k, token_hash_as(joined->hash, TOKEN_AS_VALUE), NAMES);
    for (unsigned i = next_listed(l, 0); ok && l->n > 1 && i < WORDS_LISTED_MAX; i = next_listed(l, i))
        for (unsigned j = next_listed(l, i); ok && j < WORDS_LISTED_MAX; j = next_listed(l, j))
            ok = see(k, token_hash_pair(k->r->seed, i, j), NAMES);
    forget_listed(l);
    return ok;
}

static bool see_run(struct text_check *k, const struct token *t)
{
    if (t->n < 2)
        return true;
    bool is_name = t->n >= NAME_MIN && t->has_letter;
    bool is_date = t->n >= DATE_RUN_MIN || (t->n == DATE_RUN_MIN - 1 && t->has_letter && t->has_digit);
    unsigned kinds = (t->n >= ID_MIN ? IDENTITY_IDS : 0) | (is_name ? NAMES : 0) | (is_date ? IDENTITY_DATE : 0);
    return see(k, t->hash, kinds) && (k->word == 0 || (k->allowed & NAMES) == 0 || see_listed(k, t));
}

static bool see_joined(struct text_check *k, const struct token *t)
{
    if (k->listed->n > 0 && !see_listed_end(k, t))
        return false;
    if (t->n < ID_MIN)
        return see(k, token_hash_as(t->hash, TOKEN_AS_VALUE), IDENTITY_IDS | NAMES);
    return t->runs < 2 || t->n > JOINED_MAX || see(k, t->hash, IDENTITY_IDS);
}

static bool see_token(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    switch (t->kind) {
    case TOKEN_RUN: return see_run(k, t);
    case TOKEN_LETTERS:
    case TOKEN_STRETCH:
    case TOKEN_PART:
    case TOKEN_WITHIN: return see(k, t->hash, NAMES);
    case TOKEN_DIGITS:
        return see(k, t->hash, IDENTITY_IDS | (t->n >= DATE_RUN_MIN ? IDENTITY_DATE : 0));
    case TOKEN_COMPOUND:
        return t->n < ID_MIN || t->n > JOINED_MAX ||
               see(k, t->hash, IDENTITY_IDS | (t->has_letter ? NAMES : 0) | (t->n >= DATE_RUN_MIN ? IDENTITY_DATE : 0));
    case TOKEN_GRAM2:
        return see(k, t->hash, IDENTITY_IDS | NAMES);
    case TOKEN_GRAM3: return see(k, t->hash, IDENTITY_IDS | NAMES | IDENTITY_DATE);
    case TOKEN_SHORT_DATE:
    case TOKEN_DAY: return see(k, t->hash, IDENTITY_DATE);
    case TOKEN_JOINED: return see_joined(k, t);
    case TOKEN_UID:
        return see(k, t->hash, IDENTITY_UID);
    }
    return true;
}

static bool see_code_name(struct text_check *k, uint64_t hash)
{
    k->allowed |= IDENTITY_PATIENT & ~k->t->exempt;
    bool ok = see(k, hash, IDENTITY_PATIENT);
    k->allowed &= ~(unsigned)NAMES;
    return ok;
}

/* Values of CS.  Short words are codes by nature: "M", "AX". */
static bool see_code(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    const bool is_searched = t->n >= ID_MIN && t->n <= JOINED_MAX;
    switch (t->kind) {
    case TOKEN_RUN:
    case TOKEN_LETTERS:
    case TOKEN_COMPOUND:
    case TOKEN_JOINED:
        if (is_searched && t->has_letter && !see_code_name(k, token_hash_as(t->hash, TOKEN_AS_CODE)))
            return false;
        if (t->kind == TOKEN_JOINED)
            return !is_searched || t->runs < 2 || see(k, t->hash, IDENTITY_IDS);
        break;
    case TOKEN_GRAM2:
    case TOKEN_GRAM3:
        if (!see_code_name(k, t->hash))
            return false;
        break;
    default: break;
    }
    return see_token(k, t);
}

/* Values of IS and DS: whole numbers only, so that "0.30761719" is no id, and only such as are hardly measured. */
static bool see_number(struct text_check *k, struct str number)
{
    return number.n < NUMBER_ID_MIN ||
           see(k, token_hash_run(k->r->seed, number), IDENTITY_IDS | (number.n == 8 ? IDENTITY_DATE : 0));
}

/* The digits of "+0123456" and "123456.0"; none: it is no whole number. */
static struct str whole_number(struct str s)
{
    s = str_trim(dicom_uid_trim(s));
    if (s.n > 0 && (s.p[0] == '+' || s.p[0] == '-'))
        s = (struct str){ s.p + 1, s.n - 1 };
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    for (size_t i = n; i < s.n; i++)
        if (s.p[i] != (i == n ? '.' : '0'))
            return (struct str){ 0 };
    return (struct str){ s.p, n };
}

static bool check_numbers(struct text_check *k)
{
    struct str rest = k->t->text, one;
    for (bool more = true; more;) {
        more = str_split(rest, '\\', &one, &rest);
        one = whole_number(one);
        if (!see_number(k, one))
            return false;
        size_t zeros = 0;
        while (zeros < one.n && one.p[zeros] == '0')
            zeros++;
        if (zeros > 0 && !see_number(k, (struct str){ one.p + zeros, one.n - zeros }))
            return false;
    }
    return true;
}

static bool see_uid(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    if (t->kind == TOKEN_RUN)
        return t->n < ID_MIN || see(k, t->hash, IDENTITY_IDS | (t->n >= DATE_RUN_MIN ? IDENTITY_DATE : 0));
    if (t->kind == TOKEN_DAY)
        return see(k, t->hash, IDENTITY_DATE);
    return t->kind != TOKEN_UID || see(k, t->hash, IDENTITY_UID);
}

static bool check_uids(struct text_check *k)
{
    struct str rest = k->t->text, one;
    bool more = true;
    while (more) {
        more = str_split(rest, '\\', &one, &rest);
        one = dicom_uid_trim(one);
        if (!dicom_uid_is_standard(one) && !token_each(one, k->r->seed, TOKEN_WITH_UIDS | TOKEN_WITH_PARTS, see_uid, k))
            return false;
    }
    return true;
}

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

/* Text as it is, and with umlauts spelt out where it may have some. */
static bool see_text(struct text_check *k, struct str text, unsigned options)
{
    size_t i = 0;
    while (i < text.n && !is_high(text.p[i]))
        i++;
    return token_each(text, k->r->seed, options, see_token, k) &&
           (i == text.n || token_each(text, k->r->seed, options | TOKEN_SPELT, see_token, k));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* At i stands what addresses and mail write for a byte: "%C3", "=C3".  '=' stands before numbers too, so that only
 * what nobody would leave as it is counts. */
static bool is_escape(struct str s, size_t i, char *byte)
{
    if ((s.p[i] != '%' && s.p[i] != '=') || s.n - i < 3 || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0)
        return false;
    const int c = hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]);
    *byte = (char)c;
    return s.p[i] == '%' ? c >= 0x20 : c >= 0x80 || c == 0x20;
}

/* Ends of what is no value by itself tell nothing. */
static bool see_unescaped_token(void *ctx, const struct token *t)
{
    struct text_check *k = ctx;
    if (t->kind != TOKEN_JOINED)
        return see_token(k, t);
    forget_listed(k->listed);
    return true;
}

static bool is_blank(char c)
{
    return !is_high(c) && c <= ' ';
}

/* Words that hold such escapes, without them; of very long ones the parts overlap. */
static bool see_unescaped(struct text_check *k, struct str text, unsigned options)
{
    enum { WORD_MAX = 512, OVERLAP = 64 };
    char word[WORD_MAX], byte;
    for (size_t i = 0; i < text.n; i++) {
        if (!is_escape(text, i, &byte))
            continue;
        size_t n = 0, from = i;
        while (from > 0 && i - from < OVERLAP && !is_blank(text.p[from - 1]))
            from--;
        for (i = from; n < WORD_MAX && i < text.n && !is_blank(text.p[i]); n++) {
            bool is_one = is_escape(text, i, &byte);
            word[n] = is_one ? byte : text.p[i];
            i += is_one ? 3 : 1;
        }
        i--;
        const struct str one = { word, n };
        if (!token_each(one, k->r->seed, options, see_unescaped_token, k) ||
            !token_each(one, k->r->seed, options | TOKEN_SPELT, see_unescaped_token, k))
            return false;
    }
    return true;
}

static bool may_be_escaped(struct str s)
{
    return s.n > 0 && (memchr(s.p, '%', s.n) != NULL || memchr(s.p, '=', s.n) != NULL);
}

static bool check_text(struct text_check *k, unsigned options)
{
    const struct str text = k->t->text;
    options |= TOKEN_WITH_PARTS;
    return see_text(k, text, options) && (!may_be_escaped(text) || see_unescaped(k, text, options)) &&
           (!k->t->is_unclean || token_each(text, k->r->seed, options | TOKEN_ASCII, see_token, k));
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
    if (t->kind != TOKEN_JOINED)
        return t->n < k->least || see_token(k, t);
    if (k->listed->n > 0 && k->is_value)
        return see_listed_end(k, t);
    forget_listed(k->listed);
    return true;
}

static bool check_stretch(void *ctx, const struct stretch *s)
{
    enum { LONG_STRETCH = 8 };
    struct text_check *k = ctx;
    k->least = s->is_text ? NAME_MIN : s->text.n >= LONG_STRETCH ? ID_MIN : ID_MIN + 1;
    /* Short words of a study's noise must not use up the room for those that mean something. */
    k->is_remembered = s->is_text || (s->text.n >= LONG_STRETCH && k->t->form == RESIDUE_BINARY) ||
                       k->r->n_seen < RESIDUE_MAX_TOKENS / 2;
    k->is_value = s->is_text;
    const unsigned options = TOKEN_WITH_UIDS | (s->is_text ? TOKEN_WITH_GRAMS : 0);
    return token_each(s->text, k->r->seed, options, see_binary, k) &&
           (!s->has_letters_beyond || token_each(s->text, k->r->seed, options | TOKEN_SPELT, see_binary, k));
}

bool residue_check(struct residue *r, const struct residue_text *t, struct residue_place *place, struct pixl_error *err)
{
    struct listed listed = { .n = 0 };
    struct text_check k = { .r = r,
                            .t = t,
                            .allowed = IDENTITY_ALL & ~t->exempt,
                            .is_remembered = true,
                            .place = place,
                            .listed = &listed,
                            .err = err };
    unsigned options = TOKEN_WITH_UIDS | TOKEN_WITH_GRAMS | (t->is_multi ? TOKEN_MULTI : 0);
    switch (t->form) {
    case RESIDUE_CODE: k.allowed &= ~(unsigned)NAMES; return token_each(t->text, r->seed, options, see_code, &k);
    case RESIDUE_TEXT:
    case RESIDUE_NAME: return check_text(&k, options);
    case RESIDUE_NUMBERS: return check_numbers(&k);
    case RESIDUE_DATE:
        k.allowed &= IDENTITY_DATE;
        return check_dates(&k);
    case RESIDUE_UIDS:
        return check_uids(&k);
    case RESIDUE_BINARY:
        return stretch_is_all_text(t->text) ? check_text(&k, options) : stretch_each(t->text, check_stretch, &k);
    case RESIDUE_DECODED: return stretch_each_decoded(t->text, check_stretch, &k);
    }
    return true;
}

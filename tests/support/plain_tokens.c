/* plain_tokens.c - the cutter as it is said, one character after the other, each part as the characters that were put into it. */
#include "plain_tokens.h"

#include <assert.h>
#include <string.h>
#include <uchar.h>

#include "deid/fold.h"

enum {
    GROUPS = 4,
    DIGITS_MIN = 6,
    BARE_MIN = 5,
    DIGITS_MAX = 20,
    SHORT_DATE_MIN = 4,
    SHORT_DATE_MAX = 6,
    DAY_DIGITS = 8
};

/* What was put into it. */
struct part {
    char text[PLAIN_TOKENS_MAX]; /* folded, UTF-8 */
    size_t bytes;
    uint32_t n, runs;
    bool has_letter, has_digit;
};

struct cutter {
    uint64_t seed;
    unsigned options;
    bool (*sink)(void *ctx, const struct token *t);
    void *ctx;
    struct part run, letters, compound, joined;
    struct part digits; /* in a row, inside a run that has letters */
    struct part bare;   /* the run, when it is digits and begins with zeros, without these */
    bool has_zeros;
    struct part day; /* the first eight digits of a run that begins with them */
    struct part
        groups[GROUPS - 1]; /* joined runs of digits that end with the run before; newest, and shortest, first */
    unsigned n_groups;
    uint64_t before[2]; /* hashes of the runs before, newest first */
    unsigned n_before;
    uint64_t named[2];                  /* the same without "of" and "de", which stand in dates: "4th of July 1961" */
    uint64_t gram3;                     /* the last */
    const char *first, *at;             /* of the text; what ended the last run */
    const char *run_from, *run_end;     /* of the last run; NULL: it is of a script without gaps */
    const char *compound_from;          /* NULL: as above */
    const char *apart_from, *apart_end; /* letters, or digits, with one blank or NUL between each and the next */
    unsigned n_apart;
    bool is_apart_digits;
    unsigned n_capitals;  /* that the run ends with */
    bool is_small, turns; /* its last letter; there are words in it that begin with a capital */
    bool joiner;          /* exactly one joiner stands between the last run and here */
    bool colon;           /* in the compound: a time */
    struct part uid;      /* runs: dots */
    bool in_uid;
};

enum { UID_MIN_DOTS = 3, UID_MIN_CHARS = 10, LETTERS_MIN = 5, IDEOGRAPHS_FROM = 0x2E80 };

static void part_clear(struct part *p)
{
    p->bytes = 0;
    p->n = p->runs = 0;
    p->has_letter = p->has_digit = false;
}

static void add_utf8(struct part *p, uint32_t c)
{
    static const unsigned char leads[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    const unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    assert(n <= sizeof p->text - p->bytes);
    for (unsigned i = 0; i < n; i++) {
        const uint32_t six = c >> 6 * (n - 1 - i);
        p->text[p->bytes++] = (char)(n == 1 ? c : i == 0 ? leads[n] | six : 0x80 | (six & 0x3F));
    }
}

static void part_add(struct part *p, uint32_t c, unsigned class)
{
    add_utf8(p, c);
    p->n += c >= IDEOGRAPHS_FROM ? 2 : 1;
    p->has_letter |= class == FOLD_LETTER;
    p->has_digit |= class == FOLD_DIGIT;
}

static bool give(struct cutter *k, enum token_kind kind, const struct part *p)
{
    const struct str text = { p->text, p->bytes };
    const uint64_t hash = kind == TOKEN_UID ? token_hash_uid(k->seed, text) : token_hash_run(k->seed, text);
    const struct token t = { kind, hash, p->n, p->runs, p->has_letter, p->has_digit };
    return k->sink(k->ctx, &t);
}

static bool end_letters(struct cutter *k, bool at_digit)
{
    bool inside = k->letters.n >= LETTERS_MIN && (at_digit || k->run.has_digit);
    bool ok = !inside || give(k, TOKEN_LETTERS, &k->letters);
    part_clear(&k->letters);
    return ok;
}

static bool end_digits(struct cutter *k)
{
    if (k->digits.n == 0)
        return true;
    bool ok = k->digits.n < DIGITS_MIN || k->digits.n > DIGITS_MAX || give(k, TOKEN_DIGITS, &k->digits);
    part_clear(&k->digits);
    return ok;
}

/* At the end of a run: what it is as a number, alone and with the runs of digits before it. */
static bool end_number(struct cutter *k)
{
    if (k->run.has_letter) {
        k->n_groups = 0;
        part_clear(&k->bare);
        return end_digits(k);
    }
    bool ok = k->bare.n < BARE_MIN || give(k, TOKEN_DIGITS, &k->bare);
    if (ok && (k->options & TOKEN_WITH_PARTS) && (k->run.n == 12 || k->run.n == 14))
        ok = give(k, TOKEN_DAY, &k->day);
    if (k->options & TOKEN_WITH_GRAMS) {
        for (unsigned i = 0; ok && i < k->n_groups; i++)
            ok = k->groups[i].n < DIGITS_MIN || k->groups[i].n > DIGITS_MAX || give(k, TOKEN_DIGITS, &k->groups[i]);
        k->n_groups += k->n_groups < GROUPS - 1;
        for (unsigned i = k->n_groups - 1; i > 0; i--)
            k->groups[i] = k->groups[i - 1];
        k->groups[0] = k->run;
    }
    if (k->bare.n > 0)
        part_clear(&k->bare);
    return ok;
}

/* "of", "de", "del", "the". */
static bool is_filler(const struct cutter *k)
{
    const size_t n = k->run.n;
    if (n < 2 || n > 3 || k->run.has_digit || (size_t)(k->at - k->first) < n)
        return false;
    const struct str word = { k->at - n, n };
    return n == 2 ? str_eq_nocase(word, STR("of")) || str_eq_nocase(word, STR("de"))
                  : str_eq_nocase(word, STR("del")) || str_eq_nocase(word, STR("the"));
}

static bool give_grams(struct cutter *k)
{
    const uint64_t h = token_hash_run(k->seed, (struct str){ k->run.text, k->run.bytes });
    struct token t = { TOKEN_GRAM2, 0, k->run.n, 2, k->run.has_letter, k->run.has_digit };
    if (k->n_before > 0) {
        t.hash = token_hash_gram2(k->before[0], h);
        if (!k->sink(k->ctx, &t))
            return false;
    }
    if (k->n_before > 1) {
        t.kind = TOKEN_GRAM3;
        t.hash = k->gram3 = token_hash_gram3(k->before[1], k->before[0], h);
        if (!k->sink(k->ctx, &t))
            return false;
        if (k->named[1] != k->before[1]) {
            t.hash = token_hash_gram3(k->named[1], k->named[0], h);
            if (!k->sink(k->ctx, &t))
                return false;
        }
    }
    k->before[1] = k->before[0];
    k->before[0] = h;
    k->n_before += k->n_before < 2;
    if (!is_filler(k)) {
        k->named[1] = k->named[0];
        k->named[0] = h;
    }
    return true;
}

static struct folded fold_beyond_ascii(const struct cutter *k, uint32_t c, unsigned char before);

/* --- words that are no runs --- */

/* The letters and digits of a piece of the text. */
static struct part part_of(const struct cutter *k, const char *from, const char *to)
{
    struct part p;
    struct str rest = { from, (size_t)(to - from) };
    part_clear(&p);
    while (rest.n > 0) {
        const unsigned char before = rest.p > k->first ? (unsigned char)rest.p[-1] : 0;
        const uint32_t c = fold_next(&rest);
        const struct folded f = c < 0x80 ? fold_ascii[c] : fold_beyond_ascii(k, c, before);
        for (unsigned i = 0; i < f.n && (f.class == FOLD_LETTER || f.class == FOLD_DIGIT); i++)
            part_add(&p, f.c[i], f.class);
    }
    return p;
}

static bool give_within(struct cutter *k, const char *from, const char *to)
{
    const struct part p = part_of(k, from, to);
    return p.n < LETTERS_MIN || p.has_digit || give(k, TOKEN_WITHIN, &p);
}

/* Of Latin, Greek and Cyrillic; where Latin has pairs, the first is. */
static bool is_capital(uint32_t c)
{
    if (c < 0x100)
        return (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E))
        return (c & 1) != 0;
    if (c < 0x178 || (c >= 0x200 && c < 0x234) || (c >= 0x1E00 && c < 0x1F00))
        return (c & 1) == 0;
    return (c >= 0x391 && c <= 0x3A9) || (c >= 0x400 && c <= 0x42F);
}

/* "CTMuellerAnna": Mueller, and Anna if it were longer.  "McDonald" and "DeWitt" are one word: behind a short one only
 * what follows capitals counts. */
static bool give_turns(struct cutter *k)
{
    enum { WORD_BEFORE_MIN = 4 };
    struct str rest = { k->run_from, (size_t)(k->run_end - k->run_from) };
    const char *from = rest.p;
    bool is_word = true, was_small = false;
    unsigned n = 0, n_capitals = 0;
    while (rest.n > 0) {
        const char *const at = rest.p;
        const bool is_big = is_capital(fold_next(&rest));
        struct str ahead = rest;
        const bool ends_capitals = is_big && n > 0 && n_capitals == n && rest.n > 0 && !is_capital(fold_next(&ahead));
        if ((is_big && was_small) || ends_capitals) {
            if (is_word && !give_within(k, from, at))
                return false;
            is_word = n >= WORD_BEFORE_MIN || (n >= 2 && n_capitals == n);
            from = at;
            n = n_capitals = 0;
        }
        n++;
        n_capitals += is_big;
        was_small = !is_big;
    }
    return from == k->run_from || !is_word || give_within(k, from, k->run_end);
}

/* "muellerct" */
static bool give_before_modality(struct cutter *k)
{
    static const char modalities[][4] = { "ct", "mr", "mri", "mrt", "pet", "cta", "mra", "xr" };
    for (size_t i = 0; i < ARRAY_LEN(modalities); i++) {
        const struct str word = str_of(modalities[i]);
        const struct str end = { k->run_end - word.n, word.n };
        if (str_eq_nocase(end, word) && !give_within(k, k->run_from, end.p))
            return false;
    }
    return true;
}

static bool end_apart(struct cutter *k)
{
    const unsigned n = k->n_apart;
    k->n_apart = 0;
    if (!k->is_apart_digits)
        return n < LETTERS_MIN || give_within(k, k->apart_from, k->apart_end);
    if (n < DIGITS_MIN || n > DIGITS_MAX)
        return true;
    const struct part p = part_of(k, k->apart_from, k->apart_end);
    return give(k, TOKEN_DIGITS, &p);
}

/* One letter or digit: the next of "M u e l l e r", or the first. */
static bool add_apart(struct cutter *k)
{
    const bool is_next = k->n_apart > 0 && k->run_from == k->apart_end + 1 &&
                         (*k->apart_end == ' ' || *k->apart_end == '\0') && k->is_apart_digits == k->run.has_digit;
    if (!is_next) {
        if (!end_apart(k))
            return false;
        k->apart_from = k->run_from;
        k->is_apart_digits = k->run.has_digit;
    }
    k->apart_end = k->run_end;
    k->n_apart++;
    return true;
}

static bool give_words_within(struct cutter *k)
{
    enum { MODALITY_MIN = 2 };
    if (k->run_from != NULL && k->run.n == 1)
        return add_apart(k);
    if (k->run_from == NULL || !k->run.has_letter)
        return end_apart(k);
    return end_apart(k) && (!k->turns || give_turns(k)) &&
           (k->run.n < LETTERS_MIN + MODALITY_MIN || k->run.has_digit || give_before_modality(k));
}

static bool is_ascii_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* "x4711-0815", "MRN4711-0815a": the number without the letters around it. */
static bool give_bare_compound(struct cutter *k)
{
    if (k->compound_from == NULL || !k->compound.has_letter || !k->compound.has_digit)
        return true;
    const char *from = k->compound_from, *to = k->run_end;
    while (from < to && is_ascii_letter(*from))
        from++;
    while (from < to && is_ascii_letter(to[-1]))
        to--;
    for (const char *p = from; p < to; p++)
        if ((unsigned char)*p >= 0x80 || is_ascii_letter(*p))
            return true;
    const struct part p = part_of(k, from, to);
    return p.n < DIGITS_MIN || p.n > DIGITS_MAX || give(k, TOKEN_DIGITS, &p);
}

static bool end_run(struct cutter *k)
{
    if (k->run.n == 0)
        return true;
    k->run.runs = 1;
    k->compound.runs++;
    k->joined.runs++;
    bool ok = end_letters(k, false) && end_number(k) && give(k, TOKEN_RUN, &k->run) &&
              (!(k->options & TOKEN_WITH_GRAMS) || give_grams(k)) &&
              (!(k->options & TOKEN_WITH_PARTS) || give_words_within(k));
    part_clear(&k->run);
    return ok;
}

/* "4/7/61": as a number in one piece it would be anything, and "11:12:50" is a time. */
static bool give_short_date(struct cutter *k)
{
    const struct part *c = &k->compound;
    if (c->runs != 3 || c->has_letter || c->n < SHORT_DATE_MIN || c->n > SHORT_DATE_MAX || k->colon ||
        !(k->options & TOKEN_WITH_GRAMS))
        return true;
    const struct token t = { TOKEN_SHORT_DATE, token_hash_as(k->gram3, TOKEN_AS_DATE), c->n, 3, false, true };
    return k->sink(k->ctx, &t);
}

static bool end_compound(struct cutter *k)
{
    bool ok = k->compound.runs < 2 || (give(k, TOKEN_COMPOUND, &k->compound) && give_short_date(k) &&
                                       (!(k->options & TOKEN_WITH_PARTS) || give_bare_compound(k)));
    part_clear(&k->compound);
    k->joiner = false;
    k->colon = false;
    return ok;
}

/* A UID's beginnings count too: what was derived from an instance's UID by adding to it reveals it. */
static bool end_uid(struct cutter *k, bool at_dot)
{
    bool ok = !k->in_uid || k->uid.runs < UID_MIN_DOTS || k->uid.n < UID_MIN_CHARS || give(k, TOKEN_UID, &k->uid);
    if (!at_dot)
        k->in_uid = false;
    return ok;
}

static bool follow_uid(struct cutter *k, uint32_t c)
{
    bool digit = c >= '0' && c <= '9';
    if (k->in_uid && c == '.') {
        bool ok = end_uid(k, true);
        part_add(&k->uid, c, FOLD_GAP);
        k->uid.runs++;
        return ok;
    }
    if (!digit)
        return end_uid(k, false);
    if (!k->in_uid) {
        part_clear(&k->uid);
        k->in_uid = true;
    }
    part_add(&k->uid, c, FOLD_DIGIT);
    return true;
}

static bool end_value(struct cutter *k, const char *at)
{
    k->at = at;
    if (!end_run(k) || !end_compound(k) || !end_uid(k, false) || !end_apart(k))
        return false;
    bool ok = k->joined.n == 0 || give(k, TOKEN_JOINED, &k->joined);
    part_clear(&k->joined);
    k->n_before = 0;
    memset(k->before, 0, sizeof k->before);
    memset(k->named, 0, sizeof k->named);
    k->n_groups = 0;
    return ok;
}

static bool begin_letter(struct cutter *k)
{
    if (!k->run.has_letter)
        k->digits = k->run;
    k->run.has_letter = true;
    k->n_groups = 0;
    return end_digits(k);
}

static void add_digit(struct cutter *k, uint32_t c)
{
    if (k->run.n == 0)
        k->has_zeros = c == '0';
    if (k->run.has_letter)
        part_add(&k->digits, c, FOLD_DIGIT);
    else if (k->has_zeros && (c != '0' || k->bare.n > 0))
        part_add(&k->bare, c, FOLD_DIGIT);
    if (k->run.n == DAY_DIGITS)
        k->day = k->run;
    for (unsigned i = 0; i < k->n_groups; i++)
        part_add(&k->groups[i], c, FOLD_DIGIT);
}

static bool add_char(struct cutter *k, const struct folded *f)
{
    if (k->run.n == 0 && k->compound.runs > 0 && !k->joiner && !end_compound(k))
        return false;
    k->joiner = false;
    if (f->class == FOLD_DIGIT ? !end_letters(k, true) : !begin_letter(k))
        return false;
    if (f->class == FOLD_DIGIT)
        add_digit(k, f->c[0]);
    for (unsigned i = 0; i < f->n; i++) {
        part_add(&k->run, f->c[i], f->class);
        part_add(&k->compound, f->c[i], f->class);
        part_add(&k->joined, f->c[i], f->class);
        if (f->class == FOLD_LETTER)
            part_add(&k->letters, f->c[i], f->class);
    }
    return true;
}

/* Where the run that c was added to stands in the text, and whether words begin inside it: "annaMueller", "CTMueller". */
static void note_char(struct cutter *k, uint32_t c, bool is_first, const char *at, const char *end)
{
    if (is_first) {
        k->run_from = at;
        k->n_capitals = 0;
        k->is_small = k->turns = false;
        if (k->compound.n == k->run.n)
            k->compound_from = at;
    }
    k->run_end = end;
    const bool is_big = is_capital(c);
    k->turns = k->turns || (is_big ? k->is_small : k->n_capitals > 2);
    k->n_capitals = is_big ? k->n_capitals + 1 : 0;
    k->is_small = !is_big;
}

/* What stands between the groups of a number: blanks and dashes, those of typesetters too, and commas. */
static bool is_between_groups(uint32_t c)
{
    return c == ' ' || c == '-' || c == ',' || c == 0xA0 || (c >= 0x2000 && c <= 0x2015) || c == 0x202F ||
           c == 0x205F || c == 0x2212 || c == 0x3000;
}

/* The end of a line, CR and LF or one of them, behind a hyphen: the word goes on. */
static bool is_wrapped(const struct cutter *k, uint32_t c, const char *at)
{
    if (!k->joiner || k->run.n > 0 || (c != '\r' && c != '\n') || at == k->first)
        return false;
    return at[-1] == '-' || (c == '\n' && at[-1] == '\r' && at - k->first > 1 && at[-2] == '-');
}

static bool add_gap(struct cutter *k, uint32_t c, unsigned class, const char *at)
{
    if (is_wrapped(k, c, at))
        return k->compound.runs < 2 || give(k, TOKEN_COMPOUND, &k->compound);
    k->at = at;
    bool was_run = k->run.n > 0;
    if (!end_run(k))
        return false;
    if (!was_run || !is_between_groups(c))
        k->n_groups = 0;
    if (was_run && class == FOLD_JOINER) {
        k->joiner = true;
        k->colon = k->colon || c == ':';
        return true;
    }
    return end_compound(k);
}

/* The T of 1961-07-04T12:00 and 19610704T1200. */
static bool is_time_mark(const struct cutter *k, uint32_t c, struct str rest)
{
    return (c == 'T' || c == 't') && !k->run.has_letter && rest.n > 0 && rest.p[0] >= '0' && rest.p[0] <= '9' &&
           (k->run.n == 8 || (k->run.n == 2 && k->compound.runs == 2));
}

/* --- scripts that put no gap between words --- */

enum { PART_MAX = 4, STRETCH_MIN = 3 };

/* The characters of a part, the newest last, and of which script they are. */
struct window {
    uint32_t c[PART_MAX];
    unsigned char script[PART_MAX];
    unsigned n;
};

static void window_add(struct window *w, struct folded f)
{
    if (w->n == PART_MAX) {
        memmove(w->c, w->c + 1, (PART_MAX - 1) * sizeof w->c[0]);
        memmove(w->script, w->script + 1, (PART_MAX - 1) * sizeof w->script[0]);
        w->n--;
    }
    w->c[w->n] = f.c[0];
    w->script[w->n++] = f.script;
}

/* Two Han characters or syllables of Hangul, any three, four kana: enough to be somebody's name in the midst of others. */
static bool is_part(const struct window *w, unsigned from, unsigned n)
{
    unsigned of[FOLD_HANGUL + 1] = { 0 };
    for (unsigned i = from; i < from + n; i++)
        of[w->script[i]]++;
    return n == 3 || (n == 2 && (of[FOLD_HAN] == 2 || of[FOLD_HANGUL] == 2)) || (n == 4 && of[FOLD_KANA] == 4);
}

static uint64_t hash_part(uint64_t seed, const struct window *w, unsigned from, unsigned n)
{
    struct part p;
    uint64_t hash = 0;
    part_clear(&p);
    for (unsigned i = from; i < from + n; i++)
        add_utf8(&p, w->c[i]);
    assert(token_hash_part(seed, (struct str){ p.text, p.bytes }, &hash));
    return hash;
}

static bool give_parts(struct cutter *k, const struct window *w)
{
    for (unsigned n = 2; n <= w->n; n++) {
        if (!is_part(w, w->n - n, n))
            continue;
        const struct token t = { TOKEN_PART, hash_part(k->seed, w, w->n - n, n), 2 * n, 1, true, false };
        if (!k->sink(k->ctx, &t))
            return false;
    }
    return true;
}

/* How people are addressed, behind the name: sama, dono, shi, kun, sensei, nushi, xiaojie, nim, ssi. */
static bool is_address(uint32_t c)
{
    static const char16_t last[] = u"様樣殿氏君先女小님씨";
    for (size_t i = 0; i + 1 < ARRAY_LEN(last); i++)
        if (last[i] == c)
            return true;
    return false;
}

static bool give_stretch(struct cutter *k, const struct part *stretch, unsigned script)
{
    return stretch->n < (script == FOLD_KANA ? 2 * STRETCH_MIN : STRETCH_MIN) || give(k, TOKEN_STRETCH, stretch);
}

/* The next character that is not skipped; only such as are skipped are taken. */
static struct folded look_ahead(struct str *text, struct str *behind)
{
    for (;;) {
        *behind = *text;
        if (text->n == 0)
            return (struct folded){ .class = FOLD_GAP };
        uint32_t c = fold_next(behind);
        struct folded f = c < 0x80 ? fold_ascii[c] : fold_char(c);
        if (f.class != FOLD_SKIP)
            return f;
        *text = *behind;
    }
}

static void add_unspaced(struct cutter *k, struct folded f, struct part *stretch)
{
    part_add(&k->run, f.c[0], FOLD_LETTER);
    part_add(&k->compound, f.c[0], FOLD_LETTER);
    part_add(&k->joined, f.c[0], FOLD_LETTER);
    part_add(stretch, f.c[0], FOLD_LETTER);
}

/* f has just been taken from text; takes what follows of such scripts, as one run.  Names stand anywhere in it. */
static bool take_unspaced(struct cutter *k, struct folded f, struct str *text)
{
    struct window w = { .n = 0 };
    struct part stretch;
    unsigned script = f.script;
    part_clear(&stretch);
    if (k->run.n > 0 ? !end_run(k) || !end_compound(k) : !k->joiner && !end_compound(k))
        return false;
    k->joiner = false;
    k->n_groups = 0;
    k->run_from = k->compound_from = NULL;
    for (;;) {
        if ((f.script != script || is_address(f.c[0])) && !give_stretch(k, &stretch, script))
            return false;
        if (f.script != script)
            part_clear(&stretch);
        script = f.script;
        window_add(&w, f);
        add_unspaced(k, f, &stretch);
        if (!give_parts(k, &w))
            return false;
        struct str next;
        f = look_ahead(text, &next);
        if (f.script == FOLD_SPACED)
            break;
        *text = next;
    }
    if (stretch.n != k->run.n && !give_stretch(k, &stretch, script))
        return false;
    return f.class == FOLD_GAP || f.class == FOLD_JOINER || (end_run(k) && end_compound(k));
}

/* The signs behind the numbers of 1961年 7月 4日, in Chinese, Japanese and Korean. */
static bool is_date_sign(const struct cutter *k, uint32_t c)
{
    return k->run.n > 0 && !k->run.has_letter &&
           (c == 0x5E74 || c == 0x6708 || c == 0x65E5 || c == 0xB144 || c == 0xC6D4 || c == 0xC77C);
}

static struct folded fold_beyond_ascii(const struct cutter *k, uint32_t c, unsigned char before)
{
    if ((k->options & TOKEN_ASCII) || is_date_sign(k, c))
        return (struct folded){ { c }, 1, FOLD_GAP, FOLD_SPACED };
    return k->options & TOKEN_SPELT ? fold_spelt(c, before) : fold_char(c);
}

bool plain_tokens_each(struct str text, uint64_t seed, unsigned options, bool (*sink)(void *ctx, const struct token *t),
                       void *ctx)
{
    struct cutter k = { .seed = seed, .options = options, .sink = sink, .ctx = ctx, .first = text.p, .at = text.p };
    struct part *parts[] = { &k.run, &k.letters, &k.compound, &k.joined, &k.digits, &k.bare };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        part_clear(parts[i]);
    while (text.n > 0) {
        const char *const at = text.p;
        uint32_t c = (unsigned char)*at;
        struct folded beyond;
        const struct folded *f = &beyond;
        if (c < 0x80) {
            f = &fold_ascii[c];
            text.p++;
            text.n--;
            if (is_time_mark(&k, c, text))
                f = &fold_ascii[' '];
        } else {
            c = fold_next(&text);
            beyond = fold_beyond_ascii(&k, c, at > k.first ? (unsigned char)at[-1] : 0);
            if (f->script != FOLD_SPACED) {
                if (!end_uid(&k, false) || !take_unspaced(&k, beyond, &text))
                    return false;
                continue;
            }
        }
        if (f->class == FOLD_SKIP)
            continue;
        if (c == '\\' && (options & TOKEN_MULTI)) {
            if (!end_value(&k, at))
                return false;
            continue;
        }
        if ((options & TOKEN_WITH_UIDS) && !follow_uid(&k, c))
            return false;
        const bool is_char = f->class == FOLD_LETTER || f->class == FOLD_DIGIT, is_first = k.run.n == 0;
        if (!(is_char ? add_char(&k, f) : add_gap(&k, c, f->class, at)))
            return false;
        if (is_char && (options & TOKEN_WITH_PARTS))
            note_char(&k, c, is_first, at, text.p);
    }
    return end_value(&k, text.p);
}

#include "token.h"

#include <string.h>

/* Letters of Latin-1 Supplement and Latin Extended-A without case and diacritics; "" is no letter. */
static const char latin[0x180 - 0xC0][3] = {
    "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i", "d", "n", "o", "o", "o", "o",
    "o", "", "o", "u", "u", "u", "u", "y", "th", "ss", "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e",
    "i", "i", "i", "i", "d", "n", "o", "o", "o", "o", "o", "", "o", "u", "u", "u", "u", "y", "th", "y", "a", "a", "a",
    "a", "a", "a", "c", "c", "c", "c", "c", "c", "c", "c", "d", "d", "d", "d", "e", "e", "e", "e", "e", "e", "e", "e",
    "e", "e", "g", "g", "g", "g", "g", "g", "g", "g", "h", "h", "h", "h", "i", "i", "i", "i", "i", "i", "i", "i", "i",
    "i", "ij", "ij", "j", "j", "k", "k", "k", "l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "n", "n", "n", "n",
    "n", "n", "n", "n", "n", "o", "o", "o", "o", "o", "o", "oe", "oe", "r", "r", "r", "r", "r", "r", "s", "s", "s",
    "s", "s", "s", "s", "s", "t", "t", "t", "t", "t", "t", "u", "u", "u", "u", "u", "u", "u", "u", "u", "u", "u", "u",
    "w", "w", "y", "y", "y", "z", "z", "z", "z", "z", "z", "s",
};

/* The same for Latin Extended-B's part that names use, and for Latin Extended Additional (Vietnamese); '?': as it is. */
enum { EXTENDED_B = 0x180, EXTENDED_ADDITIONAL = 0x1E00 };
static const char latin_b[] =
    "bbbb???ccdddd?e??ffg???ikkl??nnooo??pp?????ttttuu?vyyzz??????????????????????aaiioouuuuuuuuuueaa"
    "aa??ggggkkoooo??j???gg??nnaa????aaaaeeeeiiiioooorrrruuuusstt??hh?d??zzaaeeooooooooyy??????acclt?"
    "???b??eejjqqrryy";
static const char latin_additional[] =
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmmmmmmnnnnnnnnoooooooopppprrrrrrrr"
    "ssssssssssttttttttuuuuuuuuuuvvvvwwwwwwwwwwxxxxyyzzzzzzhtwyassss?aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
    "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy????yy";

enum { CLASS_NONE, CLASS_LETTER, CLASS_DIGIT, CLASS_JOINER, CLASS_SKIP };

/* One character folded: up to two code points, of one class. */
struct folded { uint32_t c[2]; unsigned char n, class; };

#define L(c) { { c, 0 }, 1, CLASS_LETTER }
#define D(c) { { c, 0 }, 1, CLASS_DIGIT }
#define J(c) [c] = { { c, 0 }, 1, CLASS_JOINER }
/* What is not named here is CLASS_NONE: a gap. */
static const struct folded ascii[128] = {
    ['0'] = D('0'), D('1'), D('2'), D('3'), D('4'), D('5'), D('6'), D('7'), D('8'), D('9'),
    ['A'] = L('a'), L('b'), L('c'), L('d'), L('e'), L('f'), L('g'), L('h'), L('i'), L('j'), L('k'), L('l'), L('m'),
    ['N'] = L('n'), L('o'), L('p'), L('q'), L('r'), L('s'), L('t'), L('u'), L('v'), L('w'), L('x'), L('y'), L('z'),
    ['a'] = L('a'), L('b'), L('c'), L('d'), L('e'), L('f'), L('g'), L('h'), L('i'), L('j'), L('k'), L('l'), L('m'),
    ['n'] = L('n'), L('o'), L('p'), L('q'), L('r'), L('s'), L('t'), L('u'), L('v'), L('w'), L('x'), L('y'), L('z'),
    J('-'), J('.'), J('/'), J('_'), J(':'), J('\''), J('+'), J('#'),
};
#undef L
#undef D
#undef J

/* Blocks of scripts; what is not listed (punctuation, symbols, private use) separates words. */
static bool is_letter_beyond_latin(uint32_t c)
{
    static const uint32_t blocks[][2] = {
        { 0xAA, 0xAA },       { 0xB5, 0xB5 },       { 0xBA, 0xBA },     { 0x180, 0x2AF },   { 0x370, 0x373 },
        { 0x376, 0x37D },     { 0x37F, 0x37F },     { 0x386, 0x386 },   { 0x388, 0x559 },   { 0x560, 0x588 },
        { 0x591, 0x5BD },     { 0x5D0, 0x5F2 },     { 0x610, 0x61A },   { 0x620, 0x669 },   { 0x66E, 0x6D3 },
        { 0x6D5, 0x6FF },     { 0x710, 0x1FFE },    { 0x2C00, 0x2DFF }, { 0x3005, 0x3007 }, { 0x3021, 0x3029 },
        { 0x3031, 0x30FA },   { 0x30FC, 0x31FF },   { 0x3400, 0xD7FF }, { 0xF900, 0xFD3D }, { 0xFD50, 0xFDFB },
        { 0xFE70, 0xFEFC },   { 0xFF10, 0xFF19 },   { 0xFF21, 0xFF3A }, { 0xFF41, 0xFF5A }, { 0xFF66, 0xFFDC },
        { 0x10000, 0x1EFFF }, { 0x20000, 0x3FFFF },
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (c <= blocks[i][1])
            return c >= blocks[i][0];
    return false;
}

static struct folded fold(uint32_t c)       /* 0x80 and above */
{
    if (c >= 0xC0 && c < 0x180) {
        const char *s = latin[c - 0xC0];
        if (s[0] == '\0')
            return (struct folded){ { c, 0 }, 1, CLASS_NONE };
        return (struct folded){ { (unsigned char)s[0], (unsigned char)s[1] }, s[1] ? 2 : 1, CLASS_LETTER };
    }
    if ((c >= 0x300 && c < 0x370) || c == 0xAD || (c >= 0x200B && c <= 0x200F) || c == 0x2060 || c == 0xFEFF)
        return (struct folded){ { 0, 0 }, 0, CLASS_SKIP };              /* combining marks; no width */
    char plain = '?';
    if (c >= EXTENDED_B && c < EXTENDED_B + sizeof latin_b - 1)
        plain = latin_b[c - EXTENDED_B];
    else if (c >= EXTENDED_ADDITIONAL && c < EXTENDED_ADDITIONAL + sizeof latin_additional - 1)
        plain = latin_additional[c - EXTENDED_ADDITIONAL];
    if (plain != '?')
        return (struct folded){ { (unsigned char)plain, 0 }, 1, CLASS_LETTER };
    if (c == 0x2019 || c == 0x2010 || c == 0x2011 || c == 0x2013)
        return (struct folded){ { c, 0 }, 1, CLASS_JOINER };            /* typographic apostrophe and hyphens */
    bool is_letter = is_letter_beyond_latin(c);
    if (c >= 0x391 && c <= 0x3A9)
        c += 0x20;                                                      /* Greek */
    else if (c >= 0x410 && c <= 0x42F)
        c += 0x20;                                                      /* Cyrillic */
    else if (c >= 0x400 && c <= 0x40F)
        c += 0x50;
    else if (c >= 0xFF10 && c <= 0xFF19)
        return (struct folded){ { c - 0xFF10 + '0', 0 }, 1, CLASS_DIGIT };      /* full-width forms */
    else if (c >= 0xFF21 && c <= 0xFF3A)
        c = c - 0xFF21 + 'a';
    else if (c >= 0xFF41 && c <= 0xFF5A)
        c = c - 0xFF41 + 'a';
    return (struct folded){ { c, 0 }, 1, is_letter ? CLASS_LETTER : CLASS_NONE };
}

/* Next character of text; bytes that are not UTF-8 are taken as Latin-1, one by one. */
static uint32_t next_char(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    uint32_t c = p[0];
    size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (n > 1 && (s->n < n || !str_is_utf8((struct str){ s->p, n })))
        n = 1;
    else if (n == 2)
        c = (c & 0x1F) << 6 | (p[1] & 0x3F);
    else if (n == 3)
        c = (c & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    else if (n == 4)
        c = (c & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
    s->p += n;
    s->n -= n;
    return c;
}

static uint64_t step(uint64_t h, uint32_t c)
{
    h = (h ^ c) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t finish(uint64_t h)
{
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

uint64_t token_hash_gram2(uint64_t a, uint64_t b)
{
    return finish(step(a, 0x110000) + b * 0xA0761D6478BD642Fu);
}

uint64_t token_hash_gram3(uint64_t a, uint64_t b, uint64_t c)
{
    return token_hash_gram2(token_hash_gram2(a, b), c);
}

uint64_t token_hash_short(uint64_t joined)
{
    return finish(step(joined, 0x110001));
}

uint64_t token_hash_run(uint64_t seed, const char *folded)
{
    uint64_t h = seed;
    for (; *folded != '\0'; folded++)
        h = step(h, (unsigned char)*folded);
    return finish(h);
}

static uint64_t uid_end(uint64_t h)
{
    return finish(step(h, 0x110002));
}

uint64_t token_hash_uid(uint64_t seed, struct str uid)
{
    uint64_t h = seed;
    for (size_t i = 0; i < uid.n; i++)
        h = step(h, (unsigned char)uid.p[i]);
    return uid_end(h);
}

enum { GROUPS = 4, DIGITS_MIN = 6, BARE_MIN = 5, DIGITS_MAX = 20 };

/* A hash under construction, with what was put into it. */
struct part {
    uint64_t h;
    uint32_t n, runs;
    bool has_letter, has_digit;
};

struct cutter {
    uint64_t seed;
    unsigned options;
    bool (*sink)(void *ctx, const struct token *t);
    void *ctx;
    struct part run, letters, compound, joined;
    struct part digits;          /* in a row, inside a run that has letters */
    struct part bare;            /* the run, when it is digits and begins with zeros, without these */
    bool has_zeros;
    struct part groups[GROUPS - 1]; /* joined runs of digits that end with the run before; newest, and shortest, first */
    unsigned n_groups;
    uint64_t before[2];          /* hashes of the runs before, newest first */
    unsigned n_before;
    bool joiner;                 /* exactly one joiner stands between the last run and here */
    struct part uid;             /* runs: dots */
    bool in_uid;
};

enum { UID_MIN_DOTS = 3, UID_MIN_CHARS = 10, LETTERS_MIN = 5, IDEOGRAPHS_FROM = 0x2E80 };

static void part_clear(struct cutter *k, struct part *p)
{
    *p = (struct part){ .h = k->seed };
}

static void part_add(struct part *p, uint32_t c, unsigned class)
{
    p->h = step(p->h, c);
    p->n += c >= IDEOGRAPHS_FROM ? 2 : 1;
    p->has_letter |= class == CLASS_LETTER;
    p->has_digit |= class == CLASS_DIGIT;
}

static bool give(struct cutter *k, enum token_kind kind, const struct part *p)
{
    const struct token t = { .kind = kind, .hash = kind == TOKEN_UID ? uid_end(p->h) : finish(p->h), .n = p->n,
                             .runs = p->runs, .has_letter = p->has_letter, .has_digit = p->has_digit };
    return k->sink(k->ctx, &t);
}

static bool end_letters(struct cutter *k, bool at_digit)
{
    bool inside = k->letters.n >= LETTERS_MIN && (at_digit || k->run.has_digit);
    bool ok = !inside || give(k, TOKEN_LETTERS, &k->letters);
    part_clear(k, &k->letters);
    return ok;
}

static bool end_digits(struct cutter *k)
{
    if (k->digits.n == 0)
        return true;
    bool ok = k->digits.n < DIGITS_MIN || k->digits.n > DIGITS_MAX || give(k, TOKEN_DIGITS, &k->digits);
    part_clear(k, &k->digits);
    return ok;
}

/* At the end of a run: what it is as a number, alone and with the runs of digits before it. */
static bool end_number(struct cutter *k)
{
    if (k->run.has_letter) {
        k->n_groups = 0;
        part_clear(k, &k->bare);
        return end_digits(k);
    }
    bool ok = k->bare.n < BARE_MIN || give(k, TOKEN_DIGITS, &k->bare);
    if (k->options & TOKEN_WITH_GRAMS) {
        for (unsigned i = 0; ok && i < k->n_groups; i++)
            ok = k->groups[i].n < DIGITS_MIN || k->groups[i].n > DIGITS_MAX || give(k, TOKEN_DIGITS, &k->groups[i]);
        k->n_groups += k->n_groups < GROUPS - 1;
        for (unsigned i = k->n_groups - 1; i > 0; i--)
            k->groups[i] = k->groups[i - 1];
        k->groups[0] = k->run;
    }
    if (k->bare.n > 0)
        part_clear(k, &k->bare);
    return ok;
}

static bool end_run(struct cutter *k)
{
    if (k->run.n == 0)
        return true;
    k->run.runs = 1;
    k->compound.runs++;
    k->joined.runs++;
    bool ok = end_letters(k, false) && end_number(k) && give(k, TOKEN_RUN, &k->run);
    if (ok && (k->options & TOKEN_WITH_GRAMS)) {
        uint64_t h = finish(k->run.h);
        struct token t = { TOKEN_GRAM2, 0, k->run.n, 2, k->run.has_letter, k->run.has_digit };
        if (k->n_before > 0) {
            t.hash = token_hash_gram2(k->before[0], h);
            ok = k->sink(k->ctx, &t);
        }
        if (ok && k->n_before > 1) {
            t.kind = TOKEN_GRAM3;
            t.hash = token_hash_gram3(k->before[1], k->before[0], h);
            ok = k->sink(k->ctx, &t);
        }
        k->before[1] = k->before[0];
        k->before[0] = h;
        k->n_before += k->n_before < 2;
    }
    part_clear(k, &k->run);
    return ok;
}

static bool end_compound(struct cutter *k)
{
    bool ok = k->compound.runs < 2 || give(k, TOKEN_COMPOUND, &k->compound);
    part_clear(k, &k->compound);
    k->joiner = false;
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
        part_add(&k->uid, c, CLASS_NONE);
        k->uid.runs++;
        return ok;
    }
    if (!digit)
        return end_uid(k, false);
    if (!k->in_uid) {
        part_clear(k, &k->uid);
        k->in_uid = true;
    }
    part_add(&k->uid, c, CLASS_DIGIT);
    return true;
}

static bool end_value(struct cutter *k)
{
    if (!end_run(k) || !end_compound(k) || !end_uid(k, false))
        return false;
    bool ok = k->joined.n == 0 || give(k, TOKEN_JOINED, &k->joined);
    part_clear(k, &k->joined);
    k->n_before = 0;
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
        part_add(&k->digits, c, CLASS_DIGIT);
    else if (k->has_zeros && (c != '0' || k->bare.n > 0))
        part_add(&k->bare, c, CLASS_DIGIT);
    for (unsigned i = 0; i < k->n_groups; i++)
        part_add(&k->groups[i], c, CLASS_DIGIT);
}

static bool add_char(struct cutter *k, struct folded f)
{
    if (k->run.n == 0 && k->compound.runs > 0 && !k->joiner && !end_compound(k))
        return false;
    k->joiner = false;
    if (f.class == CLASS_DIGIT ? !end_letters(k, true) : !begin_letter(k))
        return false;
    if (f.class == CLASS_DIGIT)
        add_digit(k, f.c[0]);
    for (unsigned i = 0; i < f.n; i++) {
        part_add(&k->run, f.c[i], f.class);
        part_add(&k->compound, f.c[i], f.class);
        part_add(&k->joined, f.c[i], f.class);
        if (f.class == CLASS_LETTER)
            part_add(&k->letters, f.c[i], f.class);
    }
    return true;
}

static bool add_gap(struct cutter *k, uint32_t c, struct folded f)
{
    bool was_run = k->run.n > 0;
    if (!end_run(k))
        return false;
    if (!was_run || (c != ' ' && c != '-' && c != ','))
        k->n_groups = 0;
    if (was_run && f.class == CLASS_JOINER) {
        k->joiner = true;
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

bool token_each(struct str text, uint64_t seed, unsigned options, bool (*sink)(void *ctx, const struct token *t),
                void *ctx)
{
    struct cutter k = { .seed = seed, .options = options, .sink = sink, .ctx = ctx };
    struct part *parts[] = { &k.run, &k.letters, &k.compound, &k.joined, &k.digits, &k.bare };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        part_clear(&k, parts[i]);
    while (text.n > 0) {
        uint32_t c = (unsigned char)*text.p;
        struct folded f;
        if (c < 0x80) {
            f = ascii[c];
            text.p++;
            text.n--;
            if (is_time_mark(&k, c, text))
                f.class = CLASS_NONE;
        } else {
            c = next_char(&text);
            f = options & TOKEN_ASCII ? (struct folded){ { c, 0 }, 1, CLASS_NONE } : fold(c);
        }
        if (f.class == CLASS_SKIP)
            continue;
        if (c == '\\' && (options & TOKEN_MULTI)) {
            if (!end_value(&k))
                return false;
            continue;
        }
        if ((options & TOKEN_WITH_UIDS) && !follow_uid(&k, c))
            return false;
        if (!(f.class == CLASS_LETTER || f.class == CLASS_DIGIT ? add_char(&k, f) : add_gap(&k, c, f)))
            return false;
    }
    return end_value(&k);
}

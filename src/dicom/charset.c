/* Decoding follows ISO 2022 as DICOM uses it: bytes below 0x80 belong to G0, the others to G1, and an escape sequence
 * puts a character set into one of them until the value, the line or the component of a multi-valued text ends.
 * Two-byte sets go through glibc's EUC codecs a character at a time, so that no codec keeps a state of its own. */
#include "charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

enum set {
    SET_ASCII, SET_LATIN1, SET_SINGLE_FIRST_, SET_LATIN2 = SET_SINGLE_FIRST_, SET_LATIN3, SET_LATIN4, SET_CYRILLIC,
    SET_ARABIC, SET_GREEK, SET_HEBREW, SET_LATIN5, SET_LATIN9, SET_THAI, SET_KATAKANA, SET_KANJI, SET_KANJI_MORE,
    SET_KOREAN, SET_CHINESE, SET_UTF8, SET_GB18030, SET_GBK, SET_COUNT
};

static const struct {
    unsigned char set;
    char term[8];                /* behind "ISO_IR " or "ISO 2022 IR "; else the whole term */
    char escape[5];              /* what follows ESC; "" none */
    bool is_g0;                  /* where the escape puts it */
} terms[] = {
    { SET_ASCII, "6", "(B", true },       { SET_LATIN1, "100", "-A", false },  { SET_LATIN2, "101", "-B", false },
    { SET_LATIN3, "109", "-C", false },   { SET_LATIN4, "110", "-D", false },  { SET_CYRILLIC, "144", "-L", false },
    { SET_ARABIC, "127", "-G", false },   { SET_GREEK, "126", "-F", false },   { SET_HEBREW, "138", "-H", false },
    { SET_LATIN5, "148", "-M", false },   { SET_LATIN9, "203", "-b", false },  { SET_THAI, "166", "-T", false },
    { SET_KATAKANA, "13", ")I", false },  { SET_KANJI, "87", "$B", true },     { SET_KANJI_MORE, "159", "$(D", true },
    { SET_KOREAN, "149", "$)C", false },  { SET_CHINESE, "58", "$)A", false }, { SET_UTF8, "192", "", false },
    { SET_GB18030, "GB18030", "", false }, { SET_GBK, "GBK", "", false },
    { SET_ASCII, "", "(J", true },        /* ISO-IR 14: ASCII but for two signs, which DICOM needs as '\' and '~' */
};

static const char *const codec_names[SET_COUNT] = {
    [SET_LATIN2] = "ISO-8859-2", [SET_LATIN3] = "ISO-8859-3", [SET_LATIN4] = "ISO-8859-4",
    [SET_CYRILLIC] = "ISO-8859-5", [SET_ARABIC] = "ISO-8859-6", [SET_GREEK] = "ISO-8859-7", [SET_HEBREW] = "ISO-8859-8", [SET_LATIN5] = "ISO-8859-9",
    [SET_LATIN9] = "ISO-8859-15", [SET_THAI] = "TIS-620", [SET_KANJI] = "EUC-JP", [SET_KANJI_MORE] = "EUC-JP",
    [SET_KOREAN] = "EUC-KR", [SET_CHINESE] = "EUC-CN", [SET_GB18030] = "GB18030", [SET_GBK] = "GBK",
};

enum { ESC = 0x1B, NOT_KNOWN = -1 };

static bool is_separator(char c)
{
    return c == ' ' || c == '_' || c == '-';
}

/* "ISO_IR 100", "ISO 2022 IR 100" and their common misspellings ("ISO-IR 100", "ISO_IR_100") to what stands behind. */
static struct str strip_term(struct str s)
{
    static const struct str words[] = { { "ISO", 3 }, { "2022", 4 }, { "IR", 2 } };
    struct str rest = s;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_is_prefix(rest, words[i])) {
            if (i == 1)
                continue;
            return s;
        }
        rest.p += words[i].n;
        rest.n -= words[i].n;
        if (rest.n == 0 || !is_separator(rest.p[0]))
            return s;
        rest.p++;
        rest.n--;
    }
    return rest;
}

static int find_term(struct str s)
{
    struct str rest = strip_term(s);
    for (size_t i = 0; i < ARRAY_LEN(terms); i++) {
        bool is_whole = terms[i].set == SET_GB18030 || terms[i].set == SET_GBK;
        if (terms[i].term[0] != '\0' && str_eq(rest, str_of(terms[i].term)) && is_whole == (rest.p == s.p))
            return terms[i].set;
    }
    return NOT_KNOWN;
}

struct dicom_charset dicom_charset_parse(struct str value)
{
    struct dicom_charset c = { .is_known = true };
    bool more = true;
    for (bool first = true; more; first = false) {
        struct str term;
        more = str_split(value, '\\', &term, &value);
        while (term.n > 0 && term.p[term.n - 1] == '\0')
            term.n--;
        term = str_trim(term);
        int set = term.n == 0 ? SET_ASCII : find_term(term);
        if (term.n == 0 && !first)
            continue;
        if (set == NOT_KNOWN || c.n == ARRAY_LEN(c.terms))
            c.is_known = false;
        else
            c.terms[c.n++] = (unsigned char)set;
    }
    return c;
}

bool dicom_charset_is_ascii_compatible(const struct dicom_charset *c)
{
    for (unsigned i = 0; i < c->n; i++)
        switch (c->terms[i]) {
        case SET_KANJI: case SET_KANJI_MORE: case SET_GB18030: case SET_GBK:
            return false;       /* a byte below 0x80 may be half of a character */
        default:
            break;
        }
    return true;
}

bool dicom_charset_is_ascii_or_utf8(const struct dicom_charset *c)
{
    bool is_either = c->is_known;
    for (unsigned i = 0; i < c->n; i++)
        is_either = is_either && (c->terms[i] == SET_ASCII || c->terms[i] == SET_UTF8);
    return is_either;
}

struct decoder {
    const unsigned char *p, *end;
    char *out;                  /* room for three bytes for each of the input, which is the most that any set needs */
    iconv_t codecs[SET_COUNT];
    bool is_open[SET_COUNT];
    bool is_clean;
    enum dicom_vr vr;
    enum set g0, g1, first_g1;
};

static void put_char(struct decoder *d, unsigned c)
{
    if (c < 0x80) {
        *d->out++ = (char)c;
    } else if (c < 0x800) {
        *d->out++ = (char)(0xC0 | c >> 6);
        *d->out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *d->out++ = (char)(0xE0 | c >> 12);
        *d->out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *d->out++ = (char)(0x80 | (c & 0x3F));
    }
}

static void put_unknown(struct decoder *d)
{
    put_char(d, 0xFFFD);
    d->is_clean = false;
}

/* One character of n bytes through the codec of a set; *ok false: it has no such character.
 * room: bytes that may be put.  Fails: NOMEM. */
static bool put_coded(struct decoder *d, enum set set, const unsigned char *bytes, size_t n, size_t room, bool *ok,
                      struct pixl_error *err)
{
    *ok = false;
    if (!d->is_open[set]) {
        iconv_t cd = iconv_open("UTF-8", codec_names[set]);
        if (cd == (iconv_t)-1) {            /* without the codec's module its characters stay unknown */
            if (errno == ENOMEM)
                return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to decode text");
            return true;
        }
        d->codecs[set] = cd;
        d->is_open[set] = true;
    }
    char in[4], *from = in, *to = d->out;
    memcpy(in, bytes, n);
    size_t left = room;
    (void)iconv(d->codecs[set], NULL, NULL, NULL, NULL);
    if (iconv(d->codecs[set], &from, &n, &to, &left) == (size_t)-1 || n > 0)
        return true;
    d->out = to;
    *ok = true;
    return true;
}

/* The character at p of a set of one byte a character. */
static bool put_single(struct decoder *d, enum set set, struct pixl_error *err)
{
    unsigned char b = *d->p++;
    bool ok = true;
    if (set == SET_LATIN1)
        put_char(d, b);
    else if (set == SET_KATAKANA && b >= 0xA1 && b <= 0xDF)
        put_char(d, 0xFF61u + b - 0xA1u);
    else if (set == SET_KATAKANA || set == SET_ASCII)
        ok = false;
    else if (!put_coded(d, set, &b, 1, 3, &ok, err))
        return false;
    if (!ok)
        put_unknown(d);
    return true;
}

/* The character at p of a set of two bytes a character, as its EUC codec wants it. */
static bool put_double(struct decoder *d, enum set set, struct pixl_error *err)
{
    unsigned char euc[3];
    size_t n = 0;
    bool ok = false;
    if (d->end - d->p < 2 || (d->p[1] & 0x7F) < 0x21 || ((d->p[0] ^ d->p[1]) & 0x80) != 0) {
        d->p++;
        put_unknown(d);
        return true;
    }
    if (set == SET_KANJI_MORE)
        euc[n++] = 0x8F;
    euc[n++] = d->p[0] | 0x80;
    euc[n++] = d->p[1] | 0x80;
    d->p += 2;
    if (!put_coded(d, set, euc, n, 6, &ok, err))
        return false;
    if (!ok)
        put_unknown(d);
    return true;
}

/* At p stands ESC: the set that it calls for, or U+FFFD when it is none of ours. */
static void take_escape(struct decoder *d)
{
    size_t left = (size_t)(d->end - d->p) - 1;
    for (size_t i = 0; i < ARRAY_LEN(terms); i++) {
        size_t n = strlen(terms[i].escape);
        if (n == 0 || n > left || memcmp(d->p + 1, terms[i].escape, n) != 0)
            continue;
        *(terms[i].is_g0 ? &d->g0 : &d->g1) = terms[i].set;
        d->p += 1 + n;
        return;
    }
    d->p++;
    put_unknown(d);
}

static bool is_double(enum set set)
{
    return set >= SET_KANJI && set <= SET_CHINESE;
}

/* PS3.5 section 6.1.2.5.3: what ends a line, a value or a part of a name goes back to the first sets. */
static bool is_reset(enum dicom_vr vr, unsigned char b)
{
    bool is_one_text = dicom_vr_is_text(vr) && !dicom_vr_is_multi(vr);
    return b == '\r' || b == '\n' || b == '\f' || b == '\t' || (b == '\\' && !is_one_text) ||
           (vr == DICOM_VR_PN && (b == '^' || b == '='));
}

/* Where no first set has bytes beyond ASCII, the last one that had can only be meant to go on. */
static void reset(struct decoder *d)
{
    d->g0 = SET_ASCII;
    if (d->first_g1 != SET_ASCII)
        d->g1 = d->first_g1;
}

static bool decode_iso2022(struct decoder *d, struct pixl_error *err)
{
    while (d->p < d->end) {
        unsigned char b = *d->p;
        bool ok = true;
        if (b == ESC) {
            take_escape(d);
        } else if (b >= 0x80) {
            ok = is_double(d->g1) ? put_double(d, d->g1, err) : put_single(d, d->g1, err);
        } else if (is_double(d->g0) && b > 0x20 && b < 0x7F) {
            ok = put_double(d, d->g0, err);
        } else {
            if (is_reset(d->vr, b))
                reset(d);
            *d->out++ = (char)b;
            d->p++;
        }
        if (!ok)
            return false;
    }
    return true;
}

/* GB18030 and GBK: characters of one, two or four bytes, told by their first two. */
static bool decode_gb(struct decoder *d, enum set set, struct pixl_error *err)
{
    while (d->p < d->end) {
        size_t left = (size_t)(d->end - d->p), n = 2;
        bool ok = false;
        if (*d->p < 0x80) {
            *d->out++ = (char)*d->p++;
            continue;
        }
        if (set == SET_GB18030 && left >= 4 && d->p[1] >= '0' && d->p[1] <= '9')
            n = 4;
        if (n <= left && !put_coded(d, set, d->p, n, 6, &ok, err))
            return false;
        if (!ok)
            put_unknown(d);
        d->p += ok ? n : 1;
    }
    return true;
}

/* Well-formed parts as they are, U+FFFD for each other byte. */
static void decode_utf8(struct decoder *d)
{
    while (d->p < d->end) {
        size_t n = *d->p < 0x80 ? 1 : *d->p < 0xE0 ? 2 : *d->p < 0xF0 ? 3 : 4;
        if (n <= (size_t)(d->end - d->p) && str_is_utf8((struct str){ (const char *)d->p, n })) {
            memcpy(d->out, d->p, n);
            d->out += n;
            d->p += n;
        } else {
            d->p++;
            put_unknown(d);
        }
    }
}

/* The first set that bytes beyond ASCII can be of, where the escape that calls for it was forgotten. */
static enum set guess_g1(const struct dicom_charset *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        enum set set = c->terms[i];
        if (set != SET_ASCII && set != SET_KANJI && set != SET_KANJI_MORE && set < SET_UTF8)
            return set;
    }
    return SET_LATIN1;
}

/* No set was named for these bytes, or one that nobody knows: most often they are UTF-8 or Latin-1 all the same. */
static bool decode_guessed(struct decoder *d, const struct dicom_charset *c, struct str bytes, struct pixl_error *err)
{
    d->is_clean = false;
    if (str_is_utf8(bytes)) {
        decode_utf8(d);
        return true;
    }
    d->g1 = d->first_g1 = guess_g1(c);
    return decode_iso2022(d, err);
}

static bool decode(struct decoder *d, const struct dicom_charset *c, struct str bytes, struct pixl_error *err)
{
    enum set first = c->n > 0 ? c->terms[0] : SET_ASCII;
    bool has_escape = memchr(bytes.p, ESC, bytes.n) != NULL;
    if (!c->is_known || (first == SET_ASCII && !has_escape))
        return decode_guessed(d, c, bytes, err);
    if (first == SET_GB18030 || first == SET_GBK)
        return decode_gb(d, first, err);
    if (first == SET_UTF8) {
        decode_utf8(d);
        return true;
    }
    d->g0 = SET_ASCII;
    d->g1 = d->first_g1 = first == SET_KANJI || first == SET_KANJI_MORE ? SET_ASCII : first;
    return decode_iso2022(d, err);
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80 || s.p[i] == ESC)
            return false;
    return true;
}

bool dicom_charset_decode(const struct dicom_charset *c, enum dicom_vr vr, struct arena *a, struct str bytes,
                          struct str *out, bool *clean, struct pixl_error *err)
{
    if (is_plain(bytes)) {
        *out = bytes;
        *clean = true;
        return true;
    }
    size_t room;
    if (__builtin_mul_overflow(bytes.n, (size_t)3, &room))
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to decode text");
    char *text = arena_alloc(a, room + 8);
    if (text == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory to decode text");
    const unsigned char *p = (const unsigned char *)bytes.p;
    struct decoder d = { .p = p, .end = p + bytes.n, .out = text, .is_clean = true, .vr = vr };
    bool ok = decode(&d, c, bytes, err);
    for (size_t i = 0; i < SET_COUNT; i++)
        if (d.is_open[i])
            (void)iconv_close(d.codecs[i]);
    if (!ok)
        return false;
    *out = (struct str){ text, (size_t)(d.out - text) };
    *clean = d.is_clean;
    return true;
}

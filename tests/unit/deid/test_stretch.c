#include "deid/stretch.h"

#include <string.h>

#include "test.h"

enum { BYTES_MAX = 700, WIDE_MAX = 256, STRETCHES_MAX = 512, ROOM = 1 << 16 };

/* Stretches as they were given, one behind the other. */
struct list {
    struct {
        size_t from, n;
        bool is_text, has_letters_beyond;
    } at[STRETCHES_MAX];
    char text[ROOM];
    size_t n, n_text, most;
};

static bool note(void *ctx, const struct stretch *s)
{
    struct list *l = ctx;
    REQUIRE(l->n < STRETCHES_MAX && s->text.n <= ROOM - l->n_text);
    l->at[l->n].from = l->n_text;
    l->at[l->n].n = s->text.n;
    l->at[l->n].is_text = s->is_text;
    l->at[l->n++].has_letters_beyond = s->has_letters_beyond;
    memcpy(l->text + l->n_text, s->text.p, s->text.n);
    l->n_text += s->text.n;
    return l->n != l->most;
}

/* --- the plain way: byte after byte --- */

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static bool is_printable(char c)
{
    return c >= 0x20 && c < 0x7F;
}

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

static bool give(struct list *l, struct str text, bool is_text, bool has_letters_beyond)
{
    const struct stretch s = { text, is_text, has_letters_beyond };
    return note(l, &s);
}

/* Where the field ends that began at from and has more than ASCII at i; from: it is none of letters. */
static size_t end_of_field(struct str t, size_t from, size_t i)
{
    while (i < t.n && t.p[i] != '\0')
        i++;
    return i - from >= 3 && is_field_of_letters((struct str){ t.p + from, i - from }) ? i : from;
}

/* ASCII with a NUL behind each character, from at on. */
static size_t wide_at(struct str t, size_t at, char out[WIDE_MAX], size_t *end)
{
    size_t n = 0;
    for (; n < WIDE_MAX && at < t.n && is_printable(t.p[at]); at += 2) {
        out[n++] = t.p[at];
        if (at + 1 >= t.n || t.p[at + 1] != '\0')
            break;
    }
    *end = at;
    return n;
}

static bool plain_each(struct str t, struct list *l)
{
    for (size_t i = 0; i < t.n;) {
        const size_t from = i;
        const bool starts_field = from == 0 || t.p[from - 1] == '\0';
        while (i < t.n && is_printable(t.p[i]))
            i++;
        const size_t field_end = starts_field && i < t.n && is_high(t.p[i]) ? end_of_field(t, from, i) : from;
        if (field_end > from) {
            i = field_end;
            if (!give(l, (struct str){ t.p + from, field_end - from }, true, true))
                return false;
            continue;
        }
        const struct str text = { t.p + from, i - from };
        const bool is_field = starts_field && (i == t.n || t.p[i] == '\0');
        if (text.n > 0 && i + 1 < t.n && t.p[i] == '\0' && is_printable(t.p[i + 1])) {
            char wide[WIDE_MAX];
            size_t end;
            const size_t n = wide_at(t, i - 1, wide, &end);
            if (n >= 3 && !give(l, (struct str){ wide, n }, true, false))
                return false;
            i = n >= WIDE_MAX ? i - 1 + WIDE_MAX : end > i ? end - 1 : i;
        }
        i += i == from;
        if (text.n >= 3 && !give(l, text, is_field || text.n >= 16, false))
            return false;
    }
    return true;
}

static bool plain_is_all_text(struct str t)
{
    while (t.n > 0 && t.p[t.n - 1] == '\0')
        t.n--;
    for (size_t i = 0; i < t.n; i++)
        if (!is_printable(t.p[i]) && t.p[i] != '\r' && t.p[i] != '\n' && t.p[i] != '\t')
            return false;
    return true;
}

/* --- */

/* most: after which the sink stops; 0: never. */
static bool agree(struct str t, size_t most)
{
    static struct list ours, plain;
    ours.n = ours.n_text = plain.n = plain.n_text = 0;
    ours.most = plain.most = most;
    bool ok = CHECK(stretch_each(t, note, &ours) == plain_each(t, &plain));
    ok = CHECK_INT(stretch_is_all_text(t), plain_is_all_text(t)) && ok;
    ok = CHECK_INT(ours.n, plain.n) && CHECK_INT(ours.n_text, plain.n_text) && ok;
    for (size_t i = 0; ok && i < plain.n; i++)
        ok = CHECK_INT(ours.at[i].n, plain.at[i].n) && CHECK_INT(ours.at[i].is_text, plain.at[i].is_text) &&
             CHECK_INT(ours.at[i].has_letters_beyond, plain.at[i].has_letters_beyond);
    return ok && CHECK(memcmp(ours.text, plain.text, plain.n_text) == 0);
}

static uint64_t dice_state = 1;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % sides;
}

/* Bytes as vendors' headers have them: text, wide text, fields of letters, NULs, noise, any of them again and again. */
static struct str roll_bytes(char out[BYTES_MAX])
{
    static const char kinds[][5] = {
        { 'a' },    { 'a', '\0' },       { '\0', 'a' }, { '\0' },     { '\1' },
        { '\177' }, { '\377' },          { '\n' },      { '~', ' ' }, { 'M', '\303', '\274', 'l' },
        { '\303' }, { '\344', 'a', 'b' }
    };
    static const unsigned char sizes[] = { 1, 2, 2, 1, 1, 1, 1, 1, 2, 4, 1, 3 };
    size_t n = 0;
    for (uint32_t left = 1 + dice(24); left > 0; left--) {
        const uint32_t kind = dice(ARRAY_LEN(kinds) + 1);
        uint32_t again = 1 + dice(dice(12) == 0 ? 300 : 20);
        for (; again > 0 && n + 4 < BYTES_MAX; again--) {
            if (kind == ARRAY_LEN(kinds)) {
                out[n++] = (char)dice(256);
                continue;
            }
            memcpy(out + n, kinds[kind], sizes[kind]);
            n += sizes[kind];
        }
    }
    return (struct str){ out, n };
}

static void test_stretch__are_found_as_plainly(void)
{
    enum { ROLLS = 60000 };
    char bytes[BYTES_MAX];
    for (int i = 0; i < ROLLS; i++) {
        const struct str t = roll_bytes(bytes);
        test_row("roll %d of %zu", i, t.n);
        if (!agree(t, dice(10) == 0 ? 1 + dice(6) : 0))
            return;
    }
}

/* At every place of every distance from the ends of words of eight bytes. */
static void test_stretch__are_found_wherever_they_begin(void)
{
    enum { BEFORE = 20, LONG = 20 };
    static const char around[] = { '\0', '\1', '\177', '\200', '\t' };
    for (size_t before = 0; before < BEFORE; before++)
        for (size_t n = 0; n < LONG; n++)
            for (size_t i = 0; i < ARRAY_LEN(around) * ARRAY_LEN(around); i++) {
                char bytes[BEFORE + LONG + BEFORE];
                memset(bytes, around[i % ARRAY_LEN(around)], sizeof bytes);
                memset(bytes + before, 'x', n);
                memset(bytes + before + n, around[i / ARRAY_LEN(around)], BEFORE);
                test_row("%zu before %zu, %zu", before, n, i);
                if (!agree((struct str){ bytes, before + n }, 0) ||
                    !agree((struct str){ bytes, before + n + BEFORE }, 0))
                    return;
            }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_stretch__are_found_as_plainly),
        TEST(test_stretch__are_found_wherever_they_begin),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

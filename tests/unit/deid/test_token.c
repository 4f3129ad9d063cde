#include "deid/token.h"

#include <string.h>

#include "plain_tokens.h"
#include "test.h"

enum { TOKENS_MAX = 4096, TEXT_MAX = 200, OPTIONS_ALL = 63 };

struct list {
    struct token at[TOKENS_MAX];
    size_t n, most;
};

static bool note(void *ctx, const struct token *t)
{
    struct list *l = ctx;
    REQUIRE(l->n < TOKENS_MAX);
    l->at[l->n++] = *t;
    return l->n != l->most;
}

static bool is_same(const struct token *a, const struct token *b)
{
    return a->kind == b->kind && a->hash == b->hash && a->n == b->n && a->runs == b->runs &&
           a->has_letter == b->has_letter && a->has_digit == b->has_digit;
}

/* Are the tokens of a text those of the plain way, in the same order?  most: after which the sink stops; 0: never. */
static bool agree(struct str text, unsigned options, size_t most)
{
    static struct list ours, plain;
    ours.n = plain.n = 0;
    ours.most = plain.most = most;
    const uint64_t seed = 0x0123456789ABCDEF;
    bool ok = token_each(text, seed, options, note, &ours) == plain_tokens_each(text, seed, options, note, &plain);
    CHECK(ok);
    for (size_t i = 0; i < ours.n && i < plain.n; i++)
        ok = ok && CHECK(is_same(&ours.at[i], &plain.at[i]));
    return CHECK_INT(ours.n, plain.n) && ok;
}

static uint64_t dice_state = 1;

static uint32_t dice(uint32_t sides)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice_state >> 33) % sides;
}

/* What texts are made of: every branch of the cutter is reached by some of it.  "": a NUL. */
static const char *const atoms[] = {
    "",
    "\r",
    "-\n",
    "-\r\n",
    "4 7 1 1 0 8 1 5",
    "\302\240",
    "\342\200\211",
    "\342\210\222",
    "a",
    "Z",
    "m",
    "0",
    "7",
    "T",
    "t",
    " ",
    "-",
    ".",
    "/",
    "_",
    ":",
    "'",
    "+",
    "#",
    "\\",
    ",",
    "^",
    "=",
    "\t",
    "\n",
    "\1",
    "Muller",
    "SMITH",
    "ctMueller",
    "annaBerg",
    "CTMueller",
    "M u e l l e r",
    "mri",
    "XR",
    "petct",
    "of",
    "de",
    "THE",
    "del",
    "000",
    "00123",
    "1961",
    "04",
    "19610704",
    "123456",
    "1234567",
    "12345678901234567890",
    "196107041200",
    "19610704120000",
    "4/7/61",
    "11:12:50",
    "1961-07-04T12:00",
    "19610704T1200",
    "943 476 5919",
    "1.2.826.0.1.3680043.77.1",
    "1.2.3.",
    "x4711-0815",
    "MRN4711-0815a",
    "O'Brien-Smith",
    "\303\274",
    "\303\234",
    "\303\237",
    "\303\206",
    "u\314\210",
    "\302\255",
    "\342\200\213",
    "\342\200\231",
    "\342\200\221",
    "\357\274\221",
    "\357\274\272",
    "\316\221\316\262",
    "\320\220\320\261",
    "\377",
    "\303",
    "\344",
    "\345\261\261\347\224\260",
    "\346\247\230",
    "\343\201\256",
    "\343\203\244\343\203\236\343\203\200",
    "\357\275\261\357\276\236",
    "\352\271\200\354\262\240\354\210\230",
    "\353\213\230",
    "\345\271\264",
    "\346\234\210",
    "\346\227\245",
    "\343\200\200",
};

static struct str roll_text(char out[TEXT_MAX])
{
    size_t n = 0;
    for (uint32_t left = 1 + dice(14); left > 0; left--) {
        struct str one = str_of(atoms[dice(ARRAY_LEN(atoms))]);
        one.n += one.n == 0;
        for (uint32_t again = dice(8) == 0 ? 1 + dice(6) : 1; again > 0 && one.n <= TEXT_MAX - n; again--) {
            memcpy(out + n, one.p, one.n);
            n += one.n;
        }
    }
    return (struct str){ out, n };
}

static void test_token__texts_of_all_kinds_are_cut_as_plainly(void)
{
    enum { ROLLS = 40000 };
    char text[TEXT_MAX];
    for (int i = 0; i < ROLLS; i++) {
        const struct str t = roll_text(text);
        const unsigned options = dice(OPTIONS_ALL + 1);
        test_row("roll %d, options %u: %.*s", i, options, STR_ARG(t));
        if (!agree(t, options, dice(10) == 0 ? 1 + dice(12) : 0))
            return;
    }
}

/* Whatever may stand before and behind what: all short texts of the characters that matter. */
static void test_token__short_texts_are_all_cut_as_plainly(void)
{
    static const char alphabet[] = "0a1T. -\\B:\n"; /* and NUL */
    enum { LENGTH = 5 };
    unsigned n = 1;
    for (int i = 0; i < LENGTH; i++)
        n *= sizeof alphabet;
    for (unsigned i = 0; i < n; i++) {
        char text[LENGTH];
        unsigned rest = i;
        for (int j = 0; j < LENGTH; j++, rest /= sizeof alphabet)
            text[j] = alphabet[rest % sizeof alphabet];
        const struct str t = { text, sizeof text };
        test_row("%.*s", STR_ARG(t));
        if (!agree(t, TOKEN_WITH_UIDS | TOKEN_WITH_GRAMS | TOKEN_MULTI | TOKEN_WITH_PARTS, 0))
            return;
    }
}

/* Random bytes, cut anywhere. */
static void test_token__bytes_are_cut_as_plainly(void)
{
    enum { ROLLS = 20000 };
    char text[TEXT_MAX];
    for (int i = 0; i < ROLLS; i++) {
        const struct str t = { text, dice(TEXT_MAX) };
        const uint32_t sides = dice(2) ? 128 : 256;
        for (size_t j = 0; j < t.n; j++)
            text[j] = (char)dice(sides);
        test_row("roll %d", i);
        if (!agree(t, dice(OPTIONS_ALL + 1), 0))
            return;
    }
}

static void test_token__long_runs_are_cut_as_plainly(void)
{
    char text[TEXT_MAX];
    for (size_t n = 0; n <= TEXT_MAX; n++)
        for (unsigned what = 0; what < 6; what++) {
            for (size_t i = 0; i < n; i++)
                text[i] = "0a7Z0a"[what < 4 ? what : i % 9 == 8 ? 4 : what];
            test_row("%zu, %u", n, what);
            if (!agree((struct str){ text, n }, OPTIONS_ALL & ~(unsigned)TOKEN_ASCII, 0))
                return;
        }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_token__texts_of_all_kinds_are_cut_as_plainly),
        TEST(test_token__short_texts_are_all_cut_as_plainly),
        TEST(test_token__bytes_are_cut_as_plainly),
        TEST(test_token__long_runs_are_cut_as_plainly),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

/* What means to be DICOM by its first bytes, and what does not. */
#include "dicom/sniff.h"

#include <string.h>

#include "test.h"

enum { BEHIND = 132 };

static void test_sniff__by_the_first_bytes(void)
{
    static const struct { const char *name; struct str head; bool want; } rows[] = {
        { "explicit", { "\x08\0\x05\0CS\x0A\0", 8 }, true },
        { "implicit", { "\x08\0\x05\0\x0A\0\0\0", 8 }, true },
        { "explicit, big endian", { "\0\x08\0\x05" "CS\0\x0A", 8 }, true },
        { "implicit, big endian", { "\0\x08\0\x05\0\0\0\x0A", 8 }, true },
        { "group length", { "\x08\0\0\0UL\4\0", 8 }, true },
        { "meta", { "\2\0\0\0UL\4\0", 8 }, true },
        { "meta of another element", { "\2\0\x10\0UI\x14\0", 8 }, true },
        { "too short", { "\x08\0\x05\0CS\x0A", 7 }, false },
        { "no such element", { "\x08\0\xFE\xCA" "CS\x0A\0", 8 }, false },
        { "another group", { "\x10\0\x10\0PN\x0A\0", 8 }, false },
        { "no VR, and no length of a first element", { "\x08\0\x05\0zz\x0A\0", 8 }, false },
        { "zeros", { "\0\0\0\0\0\0\0\0", 8 }, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t at = 0; at <= BEHIND; at += BEHIND) {
            struct pixl_error err = { 0 };
            char bytes[BEHIND + 8];
            bool is_dicom = !rows[i].want;
            test_row("%s, at %zu", rows[i].name, at);
            memset(bytes, 0xA5, sizeof bytes);
            memcpy(bytes + at, rows[i].head.p, rows[i].head.n);
            const struct dicom_source s = dicom_source_bytes(bytes, at + rows[i].head.n);
            if (CHECK_OK(dicom_sniff(&s, &is_dicom, &err), err))
                CHECK_INT(is_dicom, rows[i].want);
        }
}

static void test_sniff__the_magic_alone_will_do(void)
{
    char bytes[BEHIND] = "";
    memcpy(bytes + BEHIND - 4, "DICM", 4);
    for (size_t n = 0; n <= BEHIND; n++) {
        struct pixl_error err = { 0 };
        bool is_dicom = n != BEHIND;
        const struct dicom_source s = dicom_source_bytes(bytes, n);
        test_row("%zu bytes", n);
        if (CHECK_OK(dicom_sniff(&s, &is_dicom, &err), err))
            CHECK_INT(is_dicom, n == BEHIND);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_sniff__by_the_first_bytes),
        TEST(test_sniff__the_magic_alone_will_do),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

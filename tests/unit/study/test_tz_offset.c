/* Small files of the tz database, whole and damaged.  That all zones of the system give what Python gives for them is
 * asked in tests/system/test_message.py. */
#include "study/tz_offset.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct pixl_error err;

static void add_u32(struct buf *b, uint32_t v)
{
    const char p[4] = { (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v };
    REQUIRE(buf_add(b, p, 4));
}

static void add_i64(struct buf *b, int64_t v)
{
    add_u32(b, (uint32_t)((uint64_t)v >> 32));
    add_u32(b, (uint32_t)v);
}

static void add_header(struct buf *b, char version, uint32_t changes, uint32_t types, uint32_t leaps)
{
    const uint32_t counts[] = { types, types, leaps, changes, types, 4 };
    REQUIRE(buf_add_cstr(b, "TZif") && buf_add_char(b, version));
    for (size_t i = 0; i < 15; i++)
        REQUIRE(buf_add_char(b, '\0'));
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        add_u32(b, counts[i]);
}

/* A zone that was at -75 s, from 1847-12-01T00:01:15Z at UTC, between 2023-03-26T01:00Z and 2023-10-29T01:00Z at +3600. */
static const int64_t changes[] = { -3852662325, 1679792400, 1698541200 };
static const int offsets[] = { -75, 0, 3600 };
static const char indexes[] = { 1, 2, 1 };

static void add_block(struct buf *b, char version, size_t time_bytes)
{
    size_t first = time_bytes == 4 ? 1 : 0; /* of which 4 bytes hold the time */
    add_header(b, version, (uint32_t)(3 - first), 3, 1);
    for (size_t i = first; i < 3; i++)
        if (time_bytes == 4)
            add_u32(b, (uint32_t)changes[i]);
        else
            add_i64(b, changes[i]);
    REQUIRE(buf_add(b, indexes + first, 3 - first));
    for (size_t i = 0; i < 3; i++) {
        add_u32(b, (uint32_t)offsets[i]);
        REQUIRE(buf_add(b, "\0\0", 2));
    }
    REQUIRE(buf_add(b, "GMT\0", 4));
    for (size_t i = 0; i < time_bytes + 4; i++)
        REQUIRE(buf_add_char(b, '\1'));
    REQUIRE(buf_add(b, "\0\0\0\0\0\0", 6));
}

static void make_file(struct buf *b, const char *footer)
{
    buf_init(b, 1 << 16);
    add_block(b, '2', 4);
    add_block(b, '2', 8);
    REQUIRE(buf_addf(b, "\n%s\n", footer));
}

static struct iso_time local(const char *text)
{
    struct iso_time t;
    REQUIRE(iso_time_parse(str_of(text), &t));
    return t;
}

static void check_offset(struct str file, const char *text, bool fold, int want)
{
    int got = 1 << 30;
    const struct iso_time t = local(text);
    test_row("%s fold %d", text, fold);
    CHECK_OK(tz_offset(file, &t, fold, &got, &err), err);
    CHECK_INT(got, want);
}

static const struct row {
    const char *local;
    int first, second; /* without and with fold */
} london[] = {
    { "0001-01-01T00:00:00", -75, -75 },       { "1847-12-01T00:00:00", -75, 0 },
    { "1847-12-01T00:01:14", -75, 0 },         { "1847-12-01T00:01:15", 0, 0 },
    { "2023-03-26T00:59:59", 0, 0 },           { "2023-03-26T01:00:00", 0, 3600 },
    { "2023-03-26T01:59:59.999999", 0, 3600 }, { "2023-03-26T02:00:00", 3600, 3600 },
    { "2023-10-29T00:59:59", 3600, 3600 },     { "2023-10-29T01:00:00", 3600, 0 },
    { "2023-10-29T01:59:59", 3600, 0 },        { "2023-10-29T02:00:00", 0, 0 },
    { "2024-03-31T00:59:59", 0, 0 },           { "2024-03-31T01:30:00", 0, 3600 },
    { "2024-03-31T02:00:00", 3600, 3600 },     { "9999-10-31T01:30:00", 3600, 0 },
    { "9999-12-31T23:59:59", 0, 0 },
};

static void test_tz_offset__listed_changes_and_the_footer(void)
{
    buf_auto b;
    make_file(&b, "GMT0BST,M3.5.0/1,M10.5.0");
    for (size_t i = 0; i < ARRAY_LEN(london); i++) {
        check_offset(buf_str(&b), london[i].local, false, london[i].first);
        check_offset(buf_str(&b), london[i].local, true, london[i].second);
    }
}

static void test_tz_offset__without_a_footer_the_last_change_holds(void)
{
    buf_auto b, old;
    make_file(&b, "");
    check_offset(buf_str(&b), "2500-07-01", false, 0);
    buf_init(&old, 1 << 16);
    add_block(&old, '\0', 4);
    check_offset(buf_str(&old), "1800-07-01", false, -75);
    check_offset(buf_str(&old), "2023-07-01", false, 3600);
    check_offset(buf_str(&old), "2500-07-01", false, 0);
}

static void test_tz_offset__footers(void)
{
    static const struct {
        const char *footer, *local;
        int first, second;
    } rows[] = {
        { "UTC0", "2050-07-01", 0, 0 },
        { "<+0545>-5:45", "2050-07-01", 20700, 20700 },
        { "AAA+23:59:59", "2050-07-01", -86399, -86399 },
        { "AEST-10AEDT,M10.1.0,M4.1.0/3", "2050-01-01", 39600, 39600 },
        { "AEST-10AEDT,M10.1.0,M4.1.0/3", "2050-04-03T02:30", 39600, 36000 },
        { "AEST-10AEDT,M10.1.0,M4.1.0/3", "2050-10-02T02:30", 36000, 39600 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", "2050-01-01", 0, 0 },
        { "IST-1GMT0,M10.5.0,M3.5.0/1", "2050-10-30T01:30", 3600, 0 },
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-26T22:30", -7200, -7200 },
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-26T23:30", -7200, -3600 },
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T00:00", -3600, -3600 },
        { "EST5EDT,0/0,J365/25", "2050-01-01", -14400, -14400 },
        { "EST5EDT,0/0,J365/25", "2051-12-31T23:59:59", -14400, -14400 },
        { "AAA0BBB,J59/0,J60/0", "2048-02-28T12:00", 3600, 3600 },
        { "AAA0BBB,J59/0,J60/0", "2048-02-29T12:00", 3600, 3600 },
        { "AAA0BBB,J59/0,J60/0", "2048-03-01T12:00", 0, 0 },
        { "AAA0BBB,59/0,60/0", "2048-02-29T12:00", 3600, 3600 },
        { "AAA0BBB,59/0,60/0", "2050-02-28T12:00", 0, 0 },
        { "AAA0BBB,59/0,60/0", "2050-03-01T12:00", 3600, 3600 },
        { "AAA0BBB,M12.5.6/167,J100", "2051-01-06T22:59", 0, 0 },
        { "AAA0BBB,M12.5.6/167,J100", "2051-01-07T00:00", 3600, 3600 },
        { "AAA0BBB,0/-167,J100", "2049-12-25T12:00", 3600, 3600 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_auto b;
        make_file(&b, rows[i].footer);
        check_offset(buf_str(&b), rows[i].local, false, rows[i].first);
        check_offset(buf_str(&b), rows[i].local, true, rows[i].second);
    }
}

static bool is_refused(struct str file)
{
    const struct iso_time t = local("2050-07-01");
    int offset_s = 1 << 30;
    bool ok = tz_offset(file, &t, false, &offset_s, &err);
    CHECK(ok || (err.code == PIXL_E_CORRUPT && offset_s == 1 << 30));
    pixl_error_clear(&err);
    return !ok;
}

static void test_tz_offset__footers_that_are_none(void)
{
    static const char *const footers[] = {
        "U",
        "UT0",
        "UTC",
        "UTC25",
        "UTC24",
        "UTC0:60",
        "UTC0:0:60",
        "UTC+-1",
        "UTC--1",
        "<UTC0",
        "<UT>0",
        "<U C>0",
        "U C0",
        "UTC0 ",
        "UTC0\\n",
        "GMT0BST",
        "GMT0BST,",
        "GMT0BST-25,M3.5.0,M10.5.0",
        "GMT-23:30BST,M3.5.0,M10.5.0",
        "GMT0BST,M3.5.0",
        "GMT0BST,M3.5.0,",
        "GMT0BST,M3.5.0,M10.5.0,",
        "GMT0BST,M0.5.0,M10.5.0",
        "GMT0BST,M13.5.0,M10.5.0",
        "GMT0BST,M3.0.0,M10.5.0",
        "GMT0BST,M3.6.0,M10.5.0",
        "GMT0BST,M3.5.7,M10.5.0",
        "GMT0BST,M3.5,M10.5.0",
        "GMT0BST,J0,M10.5.0",
        "GMT0BST,J366,M10.5.0",
        "GMT0BST,366,M10.5.0",
        "GMT0BST,M3.5.0/168,M10.5.0",
        "GMT0BST,M3.5.0/-168,M10.5.0",
        "GMT0BST,M3.5.0/,M10.5.0",
        "GMT0BST,-1,M10.5.0",
        "GMT0BST,M3.5.0/1:2:3:4,M10.5.0",
        "GMT0BST;M3.5.0;M10.5.0",
        "GMT0000BST,M3.5.0,M10.5.0",
    };
    for (size_t i = 0; i < ARRAY_LEN(footers); i++) {
        buf_auto b;
        make_file(&b, footers[i]);
        test_row("%s", footers[i]);
        CHECK(is_refused(buf_str(&b)));
    }
}

/* Cut anywhere, with anything behind it, or with one count more or less, a file is refused. */
static void test_tz_offset__damage(void)
{
    buf_auto b;
    make_file(&b, "GMT0BST,M3.5.0/1,M10.5.0");
    const struct str whole = buf_str(&b);
    CHECK(!is_refused(whole));
    for (size_t n = 0; n < whole.n; n++) {
        char *part = malloc(n + 1); /* a read beyond its end is seen */
        REQUIRE(part != NULL);
        memcpy(part, whole.p, n);
        test_row("%zu bytes", n);
        CHECK(is_refused((struct str){ part, n }));
        free(part);
    }
    REQUIRE(buf_add_char(&b, 'x'));
    CHECK(is_refused(buf_str(&b)));
    b.n--;
    size_t second = 44;
    while (memcmp(b.p + second, "TZif", 4) != 0)
        second++;
    for (size_t block = 0; block <= second; block += second)
        for (size_t at = block + 20; at < block + 44; at++)
            for (int by = -1; by <= 1; by += 2) {
                test_row("byte %zu by %d", at, by);
                b.p[at] = (char)(b.p[at] + by);
                CHECK(is_refused(buf_str(&b)));
                b.p[at] = (char)(b.p[at] - by);
            }
    CHECK(!is_refused(buf_str(&b)));
}

static void test_tz_offset__what_cannot_be(void)
{
    enum { TIMES, INDEX, OFFSET, FAR, MAGIC };
    static const char *const names[] = { "times fall", "no such type", "a day", "a time far off", "magic" };
    for (int what = TIMES; what <= MAGIC; what++) {
        buf_auto b;
        make_file(&b, "UTC0");
        size_t second = 44;
        while (memcmp(b.p + second, "TZif", 4) != 0)
            second++;
        test_row("%s", names[what]);
        if (what == TIMES)
            memcpy(b.p + second + 44, b.p + second + 52, 8);
        if (what == INDEX)
            b.p[second + 44 + 24] = 3;
        if (what == OFFSET)
            memcpy(b.p + second + 44 + 27, "\x00\x01\x51\x80", 4);
        if (what == FAR)
            b.p[second + 44 + 16] = 0x7f;
        if (what == MAGIC)
            b.p[second] = 't';
        CHECK(is_refused(buf_str(&b)));
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_tz_offset__listed_changes_and_the_footer),
        TEST(test_tz_offset__without_a_footer_the_last_change_holds),
        TEST(test_tz_offset__footers),
        TEST(test_tz_offset__footers_that_are_none),
        TEST(test_tz_offset__damage),
        TEST(test_tz_offset__what_cannot_be),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

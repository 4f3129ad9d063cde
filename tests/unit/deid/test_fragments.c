/* What compressed pixel data of Zimmermann^Aloysia holds beside its samples. */
#include "deid/deid.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deid_rig.h"

static const struct project_tag_rule rules[] = {
    RULE(0x0008, 0x0016, KEEP),        RULE(0x0008, 0x0018, REPLACE_UID), RULE(0x0008, 0x0060, KEEP),
    RULE(0x0010, 0x0010, REPLACE),     RULE(0x0010, 0x0020, SECURE_HASH), RULE(0x0020, 0x000D, REPLACE_UID),
    RULE(0x0020, 0x000E, REPLACE_UID), RULE(0x0088, 0x0200, KEEP),        RULE(0x7FE0, 0x0001, KEEP),
    RULE(0x7FE0, 0x0002, KEEP),        RULE(0x7FE0, 0x0010, KEEP),
};

#define JPEG         DCM_JPEG_BASELINE
#define LOSSLESS     "1.2.840.10008.1.2.4.70"
#define JPEG_LS      "1.2.840.10008.1.2.4.80"
#define JPEG_2000    "1.2.840.10008.1.2.4.90"
#define HTJ2K        "1.2.840.10008.1.2.4.202"
#define RLE          "1.2.840.10008.1.2.5"
#define UNCOMPRESSED "1.2.840.10008.1.2.1.98"
#define MPEG2        "1.2.840.10008.1.2.4.100"
#define JPEG_XL      "1.2.840.10008.1.2.4.110"

/* Bytes that may hold NULs. */
#define B(text)               \
    {                         \
        text, sizeof text - 1 \
    }
#define NAME "Zimmermann" /* 10 characters */
#define COM  "\xFF\xFE\0\x0C" NAME
#define SOI  "\xFF\xD8"
#define EOI  "\xFF\xD9"
#define SOS  "\xFF\xDA\0\2"
#define FILL_54 "......................................................"
#define DATA     \
    "\x12\xFF\0" \
    "4\xFF\xD0"  \
    "\x56\xFF\xD7"
#define SOC        "\xFF\x4F\xFF\x51\0\4\0\0"
#define J_COM      "\xFF\x64\0\x0E\0\1" NAME
#define SOT(bytes) "\xFF\x90\0\x0A\0\0\0" bytes "\0\1"
#define SOD        "\xFF\x93"
#define Z28        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define RLE_1      "\1\0\0\0\x40\0\0\0" Z28 Z28 /* one segment at once */
#define RLE_2      "\2\0\0\0\x40\0\0\0\x50\0\0\0" Z28 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define EIGHT      "\xF9\x07" /* of one value; what an image of 2 by 4 has */

struct frames {
    const char *name, *syntax;
    struct str fragments[4];
    enum deid_verdict verdict;
};
static const struct frames rows[] = {
    { "a frame", JPEG, { B(SOI SOS DATA EOI) }, DEID_EMIT },
    { "padding", JPEG, { B(SOI SOS DATA EOI "\0\xFF\xFF\0") }, DEID_EMIT },
    { "a harmless comment", JPEG, { B(SOI "\xFF\xFE\0\x0ALossless" EOI) }, DEID_EMIT },
    { "a comment", JPEG, { B(SOI COM EOI) }, DEID_RESIDUE },
    { "fill bytes before it", JPEG, { B(SOI "\xFF\xFF" COM EOI) }, DEID_RESIDUE },
    { "Exif",
      JPEG,
      { B(SOI "\xFF\xE1\0\x12"
              "Exif\0\0" NAME EOI) },
      DEID_RESIDUE },
    { "a number", JPEG, { B(SOI "\xFF\xEF\0\x0F\0" RIG_MRN "\0" EOI) }, DEID_RESIDUE },
    { "wide characters", JPEG, { B(SOI "\xFF\xE1\0\x16Z\0i\0m\0m\0e\0r\0m\0a\0n\0n\0" EOI) }, DEID_RESIDUE },
    { "a reserved segment", JPEG, { B(SOI "\xFF\xF0\0\x0C" NAME EOI) }, DEID_RESIDUE },
    { "an unknown marker", JPEG, { B(SOI "\xFF\x41\0\x0C" NAME EOI) }, DEID_RESIDUE },
    { "a comment behind a table", JPEG, { B(SOI "\xFF\xDB\0\4\0\0" COM EOI) }, DEID_RESIDUE },
    { "a name by chance in a table", JPEG, { B(SOI "\xFF\xDB\0\x43\1" NAME FILL_54 EOI) }, DEID_EMIT },
    { "behind a table", JPEG, { B(SOI "\xFF\xDB\0\x4D\1" FILL_54 "1234567890" NAME EOI) }, DEID_RESIDUE },
    { "two tables", JPEG, { B(SOI "\xFF\xDB\0\x84\1" NAME FILL_54 "\2" NAME FILL_54 EOI) }, DEID_EMIT },
    { "a table that is none", JPEG, { B(SOI "\xFF\xDB\0\x0C" NAME EOI) }, DEID_RESIDUE },
    { "codes", JPEG, { B(SOI "\xFF\xC4\0\x1D\0\5\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0" NAME EOI) }, DEID_EMIT },
    { "behind codes", JPEG, { B(SOI "\xFF\xC4\0\x1D\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" NAME EOI) }, DEID_RESIDUE },
    { "codes that are none", JPEG, { B(SOI "\xFF\xC4\0\x0C" NAME EOI) }, DEID_RESIDUE },
    { "a frame header", JPEG, { B(SOI "\xFF\xC0\0\x0B\x08\0\2\0\4\1\1\x11\0" EOI) }, DEID_EMIT },
    { "behind a frame header", JPEG, { B(SOI "\xFF\xC0\0\x15\x08\0\2\0\4\1\1\x11\0" NAME EOI) }, DEID_RESIDUE },
    { "behind a scan header", JPEG, { B(SOI "\xFF\xDA\0\x12\1\1\0\0\x3F\0" NAME DATA EOI) }, DEID_RESIDUE },
    { "a number of lines", JPEG, { B(SOI SOS DATA "\xFF\xDC\0\x0C" NAME EOI) }, DEID_RESIDUE },
    { "a name by chance in samples", JPEG, { B(SOI SOS DATA NAME EOI) }, DEID_EMIT },
    { "a comment behind a scan", JPEG, { B(SOI SOS DATA COM EOI) }, DEID_RESIDUE },
    { "a comment between scans", JPEG, { B(SOI SOS DATA "\xFF\xC4\0\2" COM SOS DATA EOI) }, DEID_RESIDUE },
    { "no end", JPEG, { B(SOI SOS DATA) }, DEID_EMIT },
    { "no end, and another frame", JPEG, { B(SOI SOS DATA), B(SOI COM EOI) }, DEID_RESIDUE },
    { "another frame at once", JPEG, { B(SOI EOI SOI COM EOI) }, DEID_RESIDUE },
    { "behind the end", JPEG, { B(SOI EOI NAME) }, DEID_RESIDUE },
    { "behind padding", JPEG, { B(SOI EOI "\0\0\0\0" NAME) }, DEID_RESIDUE },
    { "between frames", JPEG, { B(SOI EOI NAME), B(SOI EOI) }, DEID_RESIDUE },
    { "a second fragment", JPEG, { B(SOI EOI), B(NAME) }, DEID_RESIDUE },
    { "samples in a second fragment", JPEG, { B(SOI SOS DATA), B(NAME EOI) }, DEID_EMIT },
    { "a comment in two fragments", JPEG, { B(SOI "\xFF\xFE\0\x0CZimm"), B("ermann" EOI) }, DEID_RESIDUE },
    { "a marker in two fragments", JPEG, { B(SOI SOS DATA "\xFF"), B("\xFE\0\x0C" NAME EOI) }, DEID_RESIDUE },
    { "no start", JPEG, { B(NAME) }, DEID_RESIDUE },
    { "before the start", JPEG, { B(NAME SOI EOI) }, DEID_RESIDUE },
    { "no marker", JPEG, { B(SOI NAME) }, DEID_RESIDUE },
    { "a segment without length", JPEG, { B(SOI "\xFF\xE1\0\0" NAME EOI) }, DEID_RESIDUE },
    { "a segment longer than all", JPEG, { B(SOI "\xFF\xE1\xFF\xFF" NAME EOI) }, DEID_RESIDUE },
    { "empty fragments", JPEG, { B(""), B(SOI COM EOI), B("") }, DEID_RESIDUE },
    { "lossless", LOSSLESS, { B(SOI COM EOI) }, DEID_RESIDUE },
    { "JPEG-LS", JPEG_LS, { B(SOI "\xFF\xF7\0\2" SOS "\xFF\x7E" NAME EOI) }, DEID_EMIT },
    { "a mapping table of JPEG-LS", JPEG_LS, { B(SOI "\xFF\xF8\0\x0F\2\1\1" NAME SOS "\xFF\x7E" EOI) }, DEID_RESIDUE },
    { "a comment of JPEG-LS", JPEG_LS, { B(SOI SOS "\xFF\x7E" COM EOI) }, DEID_RESIDUE },

    { "a codestream", JPEG_2000, { B(SOC SOT("\0\0\x18") SOD NAME "\xFF\xD9") }, DEID_EMIT },
    { "a comment", JPEG_2000, { B(SOC J_COM SOT("\0\0\x18") SOD NAME "\xFF\xD9") }, DEID_RESIDUE },
    { "a comment of HTJ2K", HTJ2K, { B(SOC J_COM SOT("\0\0\x18") SOD NAME "\xFF\xD9") }, DEID_RESIDUE },
    { "a comment in a tile-part", JPEG_2000, { B(SOC SOT("\0\0\x20") J_COM SOD "ab\xFF\xD9") }, DEID_RESIDUE },
    { "a second tile-part",
      JPEG_2000,
      { B(SOC SOT("\0\0\x10") SOD "ab" SOT("\0\0\x20") J_COM SOD "ab\xFF\xD9") },
      DEID_RESIDUE },
    { "behind the end", JPEG_2000, { B(SOC SOT("\0\0\x10") SOD "ab\xFF\xD9" NAME) }, DEID_RESIDUE },
    { "a tile-part to the end", JPEG_2000, { B(SOC SOT("\0\0\0") SOD NAME "\xFF\x4F\xFF\xD9") }, DEID_EMIT },
    { "behind such an end", JPEG_2000, { B(SOC SOT("\0\0\0") SOD "ab\xFF\xD9" NAME) }, DEID_RESIDUE },
    { "a tile-part too short", JPEG_2000, { B(SOC SOT("\0\0\4") SOD NAME "\xFF\xD9") }, DEID_RESIDUE },
    { "a tile-part longer than all", JPEG_2000, { B(SOC SOT("\1\0\0") SOD "ab"), B(SOC J_COM) }, DEID_RESIDUE },
    { "no start of a tile-part", JPEG_2000, { B(SOC "\xFF\x90\0\x0C" NAME) }, DEID_RESIDUE },
    { "a box", JPEG_2000, { B("\0\0\0\x0CjP  \r\n\x87\n\0\0\0\x12xml " NAME SOC "\xFF\xD9") }, DEID_RESIDUE },
    { "a second fragment", JPEG_2000, { B(SOC SOT("\0\0\x10") SOD "ab\xFF\xD9"), B(NAME) }, DEID_RESIDUE },

    { "runs", RLE, { B(RLE_1 EIGHT) }, DEID_EMIT },
    { "padding", RLE, { B(RLE_1 EIGHT "\0\0") }, DEID_EMIT },
    { "values by chance", RLE, { B(RLE_1 "\x07Zimmerma") }, DEID_EMIT },
    { "no operation", RLE, { B(RLE_1 "\x80\x80\x07Zimmerma") }, DEID_EMIT },
    { "behind runs", RLE, { B(RLE_1 EIGHT NAME) }, DEID_RESIDUE },
    { "behind values", RLE, { B(RLE_1 "\3abcd\3abcd" NAME) }, DEID_RESIDUE },
    { "between segments", RLE, { B(RLE_2 EIGHT NAME "\0\0\0\0" EIGHT) }, DEID_RESIDUE },
    { "behind two", RLE, { B(RLE_2 EIGHT "\0\0\0\0\0\0\0\0\0\0\0\0\0\0" EIGHT NAME) }, DEID_RESIDUE },
    { "two segments", RLE, { B(RLE_2 EIGHT "\0\0\0\0\0\0\0\0\0\0\0\0\0\0" EIGHT) }, DEID_EMIT },
    { "before a segment", RLE, { B("\1\0\0\0\x50\0\0\0" Z28 Z28 NAME "\0\0\0\0\0\0" EIGHT) }, DEID_RESIDUE },
    { "a second frame", RLE, { B(RLE_1 EIGHT), B(RLE_1 EIGHT NAME) }, DEID_RESIDUE },
    { "a second fragment", RLE, { B(RLE_1 EIGHT), B(NAME) }, DEID_REFUSED },
    { "no header", RLE, { B(EIGHT) }, DEID_REFUSED },
    { "no segments", RLE, { B("\0\0\0\0\0\0\0\0" Z28 Z28 EIGHT) }, DEID_REFUSED },
    { "too many", RLE, { B("\x10\0\0\0\x40\0\0\0" Z28 Z28 EIGHT) }, DEID_REFUSED },
    { "into its header", RLE, { B("\1\0\0\0\x20\0\0\0" Z28 Z28 EIGHT) }, DEID_REFUSED },
    { "beyond its end", RLE, { B("\1\0\0\0\x42\0\0\0" Z28 Z28 EIGHT) }, DEID_REFUSED },
    { "descending", RLE, { B("\2\0\0\0\x41\0\0\0\x40\0\0\0" Z28 Z28 EIGHT) }, DEID_REFUSED },
    { "an offset of no segment", RLE, { B("\1\0\0\0\x40\0\0\0Zimm" Z28 Z28 EIGHT) }, DEID_REFUSED },

    { "samples", UNCOMPRESSED, { B("Zimmerma") }, DEID_EMIT },
    { "behind samples", UNCOMPRESSED, { B("Zimmerma" NAME) }, DEID_RESIDUE },
    { "behind a second frame", UNCOMPRESSED, { B("Zimmerma"), B("Zimmerma" NAME) }, DEID_RESIDUE },

    { "user data", MPEG2, { B("\0\0\1\xB3\0\0\1\xB2" NAME "\0\0\1") }, DEID_RESIDUE },
    { "a box", JPEG_XL, { B("\xFF\x0A"), B("\0\0\0\x12xml " NAME "\0\0") }, DEID_RESIDUE },
};

/* An image of 2 by 4 bytes. */
static void begin_with(struct rig *r, struct dcm *d, const char *syntax, size_t n_rules)
{
    rig_init(r, rules, n_rules);
    rig_start(r);
    rig_begin_syntax(d, syntax);
    rig_patient(d);
    rig_uids(d);
    dcm_u16(d, DICOM_ROWS, 2);
    dcm_u16(d, DICOM_COLUMNS, 4);
    dcm_u16(d, DICOM_BITS_ALLOCATED, 8);
}

static void begin(struct rig *r, struct dcm *d, const char *syntax)
{
    begin_with(r, d, syntax, ARRAY_LEN(rules));
}

static void put_fragment(struct dcm *d, struct str bytes)
{
    dcm_mark(d, DICOM_TAG_ITEM, (uint32_t)bytes.n);
    dcm_raw(d, bytes.p, bytes.n);
}

static void put_frames(struct dcm *d, struct str table, const struct str *fragments, size_t n)
{
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
    put_fragment(d, table);
    for (size_t i = 0; i < n && fragments[i].p != NULL; i++)
        put_fragment(d, fragments[i]);
    dcm_mark(d, DICOM_TAG_SEQUENCE_END, 0);
}

static void check_verdict(struct rig *r, struct dcm *d, enum deid_verdict verdict, const char *place)
{
    CHECK_INT(rig_run(r, dcm_str(d)), verdict);
    if (verdict != DEID_EMIT)
        CHECK_STR(str_of(r->res.where), place);
    if (verdict == DEID_REFUSED)
        CHECK_INT(r->res.why, STUDY_WHY_UNSUPPORTED_VALUE);
    dcm_done(d);
}

static void test_fragments__what_is_no_samples_is_searched(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s, %s", rows[i].syntax, rows[i].name);
        rig_auto r;
        struct dcm d;
        begin(&r, &d, rows[i].syntax);
        put_frames(&d, STR(""), rows[i].fragments, ARRAY_LEN(rows[i].fragments));
        check_verdict(&r, &d, rows[i].verdict, "(7FE0,0010)");
    }
}

static void test_fragments__of_icons_are_searched(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s, %s", rows[i].syntax, rows[i].name);
        rig_auto r;
        struct dcm d;
        begin(&r, &d, rows[i].syntax);
        dcm_seq_begin(&d, 0x00880200, true);
        dcm_item_begin(&d, true);
        dcm_u16(&d, DICOM_ROWS, 2);
        dcm_u16(&d, DICOM_COLUMNS, 4);
        dcm_u16(&d, DICOM_BITS_ALLOCATED, 8);
        put_frames(&d, STR(""), rows[i].fragments, ARRAY_LEN(rows[i].fragments));
        dcm_item_end(&d);
        dcm_seq_end(&d);
        check_verdict(&r, &d, rows[i].verdict, "(0088,0200)[0].(7FE0,0010)");
    }
}

static void test_fragments__a_dropped_image_is_not_looked_at(void)
{
    static const struct str frame[] = { B(SOI COM EOI) };
    rig_auto r;
    struct dcm d;
    begin_with(&r, &d, JPEG, ARRAY_LEN(rules) - 1);
    put_frames(&d, STR("Zimm"), frame, 1);
    check_verdict(&r, &d, DEID_EMIT, "");
}

static void test_fragments__tables_hold_offsets(void)
{
    static const struct str frames[] = { B(SOI EOI), B(SOI EOI) };
    static const struct {
        const char *name;
        struct str basic, extended, lengths;
        enum deid_verdict verdict;
        const char *place;
    } tables[] = {
        { "none", B(""), B(""), B(""), DEID_EMIT, "" },
        { "offsets", B("\0\0\0\0\x0C\0\0\0"), B(""), B(""), DEID_EMIT, "" },
        { "the end too", B("\0\0\0\0\x0C\0\0\0\x18\0\0\0"), B(""), B(""), DEID_EMIT, "" },
        { "text", B(NAME "^A"), B(""), B(""), DEID_REFUSED, "(7FE0,0010)" },
        { "text behind zero", B("\0\0\0\0" NAME "^A"), B(""), B(""), DEID_REFUSED, "(7FE0,0010)" },
        { "first not zero", B("\x0C\0\0\0"), B(""), B(""), DEID_REFUSED, "(7FE0,0010)" },
        { "descending", B("\0\0\0\0\x0C\0\0\0\x0B\0\0\0"), B(""), B(""), DEID_REFUSED, "(7FE0,0010)" },
        { "too far", B("\0\0\0\0\xFF\0\0\0"), B(""), B(""), DEID_REFUSED, "(7FE0,0010)" },
        { "half an offset", B("\0\0\0\0\x0C\0"), B(""), B(""), DEID_REFUSED, "(7FE0,0010)" },
        { "extended", B(""), B("\0\0\0\0\0\0\0\0\x0C\0\0\0\0\0\0\0"), B("\4\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0"), DEID_EMIT,
          "" },
        { "extended text", B(""), B("\0\0\0\0\0\0\0\0" NAME "\0\0\0\0\0\0"), B(""), DEID_REFUSED, "(7FE0,0001)" },
        { "extended, first not zero", B(""), B("\x0C\0\0\0\0\0\0\0"), B(""), DEID_REFUSED, "(7FE0,0001)" },
        { "extended, half", B(""), B("\0\0\0\0\0\0\0\0\x0C\0\0\0"), B(""), DEID_REFUSED, "(7FE0,0001)" },
        { "lengths of text", B(""), B(""), B(NAME "^A^Bcd"), DEID_REFUSED, "(7FE0,0002)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        test_row("%s", tables[i].name);
        rig_auto r;
        struct dcm d;
        begin(&r, &d, JPEG);
        if (tables[i].extended.n > 0)
            dcm_bytes(&d, DICOM_EXTENDED_OFFSET_TABLE, DICOM_VR_OV, tables[i].extended.p, tables[i].extended.n);
        if (tables[i].lengths.n > 0)
            dcm_bytes(&d, DICOM_EXTENDED_OFFSET_LENGTHS, DICOM_VR_OV, tables[i].lengths.p, tables[i].lengths.n);
        put_frames(&d, tables[i].basic, frames, ARRAY_LEN(frames));
        check_verdict(&r, &d, tables[i].verdict, tables[i].place);
    }
}

static void test_fragments__tables_of_no_fragments_are_refused(void)
{
    rig_auto r;
    struct dcm d;
    begin(&r, &d, DCM_EXPLICIT_LE);
    dcm_bytes(&d, DICOM_EXTENDED_OFFSET_TABLE, DICOM_VR_OV, "\0\0\0\0\0\0\0\0", 8);
    dcm_pixels_native(&d, 8);
    check_verdict(&r, &d, DEID_REFUSED, "(7FE0,0001)");
}

/* n bytes that are no text, a name at `at`, and what stands before and behind, from memory and from a file. */
static void check_long(const char *syntax, struct str before, size_t n, size_t at, struct str text, struct str behind,
                       enum deid_verdict verdict)
{
    char *p = malloc(before.n + n + behind.n);
    REQUIRE(p != NULL && at + text.n <= n);
    memcpy(p, before.p, before.n);
    memset(p + before.n, 1, n);
    memcpy(p + before.n + at, text.p, text.n);
    memcpy(p + before.n + n, behind.p, behind.n);
    const struct str frame = { p, before.n + n + behind.n };
    struct pixl_error err = { 0 };
    struct dicom_source source;
    rig_auto r;
    struct dcm d;
    begin(&r, &d, syntax);
    put_frames(&d, STR(""), &frame, 1);
    dcm_save(&d, test_path("instance.dcm"));
    int fd = open(test_path("instance.dcm"), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE_OK(dicom_source_fd(fd, &source, &err), err);
    REQUIRE_OK(dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &r.in_arena, &r.in, &err), err);
    REQUIRE_OK(deid_instance(r.study, &r.in, &r.in_arena, &r.res, &err), err);
    CHECK_INT(r.res.verdict, verdict);
    (void)close(fd);
    check_verdict(&r, &d, verdict, "(7FE0,0010)");
    free(p);
}

/* Wherever blocks end. */
static void test_fragments__no_word_is_cut(void)
{
    enum { BLOCK = 16 * 1024, AROUND = 24 };
    static const struct str com = B(COM), name = B("\1" NAME "\1"), soi = B(SOI SOS), over = B(SOI EOI), eoi = B(EOI),
                            none = B("");
    for (size_t at = BLOCK - AROUND; at < BLOCK + AROUND; at++) {
        test_row("at %zu", at);
        check_long(JPEG, soi, 2 * BLOCK, at, com, eoi, DEID_RESIDUE);
        check_long(JPEG, over, 2 * BLOCK, at, name, none, DEID_RESIDUE);
    }
}

static void test_fragments__a_long_comment_is_searched_to_its_end(void)
{
    static const struct str app = B(SOI "\xFF\xE1\xFF\xFF"), name = B(NAME), eoi = B(EOI);
    check_long(JPEG, app, 65533, 65533 - name.n, name, eoi, DEID_RESIDUE);
    check_long(JPEG, app, 65533, 65533, (struct str){ "", 0 }, eoi, DEID_EMIT);
}

static void test_fragments__of_video_both_ends_are_searched(void)
{
    static const struct str name = B(NAME), none = B("");
    static const size_t n = 300 * 1024, end = 64 * 1024;
    check_long(MPEG2, none, n, end - name.n, name, none, DEID_RESIDUE);
    check_long(MPEG2, none, n, n - end, name, none, DEID_RESIDUE);
    check_long(MPEG2, none, n, n / 2, name, none, DEID_EMIT);
}

static void test_fragments__too_much_behind_a_frame_is_refused(void)
{
    static const struct str over = B(SOI EOI), none = B("");
    check_long(JPEG, over, 17u << 20, 0, none, none, DEID_REFUSED);
}

static struct str readable;
static unsigned n_reads, fails_at;

static bool read_or_fail(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err)
{
    (void)s;
    if (fails_at > 0 && ++n_reads >= fails_at)
        return pixl_fail(err, PIXL_E_IO, 0, "made to fail");
    REQUIRE(offset <= readable.n && n <= readable.n - offset);
    memcpy(p, readable.p + offset, n);
    return true;
}

/* Whichever read it is, of the table, of a header of a fragment or in one. */
static void test_fragments__a_read_that_fails_is_an_error(void)
{
    enum { READS = 5 };
    static char samples[40000] = SOI SOS;
    static const struct str frames[] = { B(SOI EOI), { samples, sizeof samples } };
    for (unsigned at = 1; at <= READS + 1; at++) {
        test_row("read %u", at);
        struct pixl_error err = { 0 };
        rig_auto r;
        struct dcm d;
        begin(&r, &d, JPEG);
        put_frames(&d, STR(""), frames, ARRAY_LEN(frames));
        readable = dcm_str(&d);
        fails_at = n_reads = 0;
        const struct dicom_source source = { .read = read_or_fail, .size_bytes = readable.n, .fd = -1 };
        REQUIRE_OK(dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &r.in_arena, &r.in, &err), err);
        fails_at = at;
        bool ok = deid_instance(r.study, &r.in, &r.in_arena, &r.res, &err);
        CHECK_INT(ok, at > READS);
        CHECK_INT(err.code, at > READS ? PIXL_OK : PIXL_E_IO);
        CHECK_INT(n_reads, at > READS ? READS : at);
        dcm_done(&d);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_fragments__what_is_no_samples_is_searched),
        TEST(test_fragments__of_icons_are_searched),
        TEST(test_fragments__a_dropped_image_is_not_looked_at),
        TEST(test_fragments__tables_hold_offsets),
        TEST(test_fragments__tables_of_no_fragments_are_refused),
        TEST(test_fragments__no_word_is_cut),
        TEST(test_fragments__a_long_comment_is_searched_to_its_end),
        TEST(test_fragments__of_video_both_ends_are_searched),
        TEST(test_fragments__too_much_behind_a_frame_is_refused),
        TEST(test_fragments__a_read_that_fails_is_an_error),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

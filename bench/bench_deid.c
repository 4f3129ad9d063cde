/* bench_deid - microseconds and allocations that it takes to parse, de-identify and plan one instance, pixels by
 * reference.
 * A CT slice of about 90 elements and an MR slice with 100 kB of private data, dropped or kept, built in memory. 
 * Each slice of a study differs from the one before as slices do: instance UID, number, position, times. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "deid/deid.h"
#include "deid/report.h"
#include "dicom_build.h"

enum { SLICES = 200, ROUNDS = 25 };

static size_t n_allocations;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n) { n_allocations++; return __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { n_allocations++; return __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { n_allocations++; return __real_realloc(p, n); }

#define K(g, e) { .group = (g), .element = (e), .op = PROJECT_OP_KEEP }
#define R(g, e) { .group = (g), .element = (e), .op = PROJECT_OP_REPLACE }
#define U(g, e) { .group = (g), .element = (e), .op = PROJECT_OP_REPLACE_UID }
#define RULES                                                                                                         \
    K(0x0008, 0x0005), K(0x0008, 0x0008), K(0x0008, 0x0016), U(0x0008, 0x0018), R(0x0008, 0x0020), R(0x0008, 0x0030), \
        R(0x0008, 0x0050), K(0x0008, 0x0060), K(0x0008, 0x0070), R(0x0008, 0x0090), K(0x0008, 0x1030),                \
        K(0x0008, 0x103E), K(0x0008, 0x1090), U(0x0008, 0x1155), R(0x0010, 0x0010),                                   \
        { .group = 0x0010, .element = 0x0020, .op = PROJECT_OP_SECURE_HASH }, R(0x0010, 0x0030), K(0x0010, 0x0040),   \
        K(0x0018, 0x0020), K(0x0018, 0x0050), K(0x0018, 0x0060), K(0x0018, 0x0080), K(0x0018, 0x0081),                \
        K(0x0018, 0x0087), K(0x0018, 0x0088), K(0x0018, 0x1020), K(0x0018, 0x1100), K(0x0018, 0x1150),                \
        K(0x0018, 0x1151), K(0x0018, 0x1210), R(0x0018, 0x5100), U(0x0020, 0x000D), U(0x0020, 0x000E),                \
        R(0x0020, 0x0010), K(0x0020, 0x0011), K(0x0020, 0x0012), K(0x0020, 0x0013), K(0x0020, 0x0032),                \
        K(0x0020, 0x0037), U(0x0020, 0x0052), R(0x0020, 0x1040), K(0x0020, 0x1041), K(0x0028, 0x0002),                \
        K(0x0028, 0x0004), K(0x0028, 0x0010), K(0x0028, 0x0011), K(0x0028, 0x0030), K(0x0028, 0x0100),                \
        K(0x0028, 0x0101), K(0x0028, 0x0102), K(0x0028, 0x0103), K(0x0028, 0x1050), K(0x0028, 0x1051),                \
        K(0x0028, 0x1052), K(0x0028, 0x1053), K(0x7FE0, 0x0010)

static const struct project_tag_rule usual[] = { RULES };
static const struct project_tag_rule with_private[] = { RULES, K(0x0019, 0x100C), K(0x0029, 0x1010),
                                                        K(0x0029, 0x1020) };

static void text(struct dcm *d, uint32_t tag, enum dicom_vr vr, const char *fmt, int n)
{
    char s[64];
    (void)snprintf(s, sizeof s, "%s%d", fmt, n);
    dcm_text(d, tag, vr, s);
}

static void references(struct dcm *d, uint32_t tag)
{
    dcm_seq_begin(d, tag, true);
    for (int i = 0; i < 3; i++) {
        dcm_item_begin(d, true);
        dcm_text(d, 0x00081150, DICOM_VR_UI, "1.2.840.10008.5.1.4.1.1.2");
        text(d, 0x00081155, DICOM_VR_UI, "1.3.12.2.1107.5.2.32.35162.2009.3000000.", i);
        dcm_item_end(d);
    }
    dcm_seq_end(d);
}

/* Siemens-like: a header of numbers and strings between binary fields. */
static void csa(struct dcm *d, uint32_t tag, size_t bytes, int slice)
{
    char *p = calloc(1, bytes);
    if (p == NULL)
        abort();
    for (size_t at = 0; at + 84 < bytes; at += 84) {
        (void)snprintf(p + at, 40, "Field%zuName", at / 84);
        (void)snprintf(p + at + 68, 16, "%.8f", (double)at * (at % 840 ? 0.125 : slice + 0.0078125));
        p[at + 64] = (char)(at >> 3);
    }
    dcm_bytes(d, tag, DICOM_VR_OB, p, bytes);
    free(p);
}

/* What describes pixels of 16 bits. */
static void image(struct dcm *d, uint16_t side)
{
    static const uint32_t bits[] = { 0x00280100, 0x00280101, 0x00280102, 0x00280103 };
    dcm_u16(d, 0x00280002, 1);
    dcm_u16(d, 0x00280010, side);
    dcm_u16(d, 0x00280011, side);
    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        dcm_u16(d, bits[i], 16);
}

static void build(struct dcm *d, bool is_mr, int slice)
{
    dcm_begin(d, true);
    dcm_text(d, 0x00080005, DICOM_VR_CS, "ISO_IR 100");
    dcm_text(d, 0x00080008, DICOM_VR_CS, "ORIGINAL\\PRIMARY\\AXIAL");
    text(d, 0x00080012, DICOM_VR_DA, "2009041", 5);
    dcm_text(d, 0x00080016, DICOM_VR_UI, is_mr ? "1.2.840.10008.5.1.4.1.1.4" : DCM_CT_IMAGE_STORAGE);
    text(d, 0x00080018, DICOM_VR_UI, "1.3.12.2.1107.5.2.32.35162.2009.1.", slice);
    for (uint32_t i = 0x20; i < 0x24; i++)
        dcm_text(d, 0x00080000 | i, DICOM_VR_DA, "20090415");
    for (uint32_t i = 0x30; i < 0x34; i++)
        dcm_text(d, 0x00080000 | i, DICOM_VR_TM, "101530.500000");
    dcm_text(d, 0x00080050, DICOM_VR_SH, "RNG00112233");
    dcm_text(d, 0x00080060, DICOM_VR_CS, is_mr ? "MR" : "CT");
    dcm_text(d, 0x00080070, DICOM_VR_LO, "SIEMENS");
    dcm_text(d, 0x00080080, DICOM_VR_LO, "A Hospital");
    dcm_text(d, 0x00080090, DICOM_VR_PN, "Quackenbush^Dorothy");
    dcm_text(d, 0x00081010, DICOM_VR_SH, "MRC35162");
    dcm_text(d, 0x00081030, DICOM_VR_LO, "Kopf nativ");
    dcm_text(d, 0x0008103E, DICOM_VR_LO, "t2_tse_tra 5mm");
    dcm_text(d, 0x00081070, DICOM_VR_PN, "Zwirnmann^Theo");
    dcm_text(d, 0x00081090, DICOM_VR_LO, "Model 9000");
    references(d, 0x00081140);
    dcm_text(d, 0x00100010, DICOM_VR_PN, "Zimmermann^Aloysia^Q");
    dcm_text(d, 0x00100020, DICOM_VR_LO, "MRN-4711-08");
    dcm_text(d, 0x00100030, DICOM_VR_DA, "19700131");
    dcm_text(d, 0x00100040, DICOM_VR_CS, "F");
    dcm_text(d, 0x00180015, DICOM_VR_CS, "HEAD");
    dcm_text(d, 0x00180050, DICOM_VR_DS, "5");
    for (uint32_t i = 0x80; i < 0x96; i++)
        text(d, 0x00180000 | i, DICOM_VR_DS, "1.5", (int)i);
    dcm_text(d, 0x00181020, DICOM_VR_LO, "syngo MR B17");
    for (uint32_t i = 0x1100; i < 0x1112; i++)
        text(d, 0x00180000 | i, DICOM_VR_DS, "12", (int)i);
    dcm_text(d, 0x00185100, DICOM_VR_CS, "HFS");
    if (is_mr) {
        dcm_text(d, 0x00190010, DICOM_VR_LO, "SIEMENS MR HEADER");
        for (uint32_t i = 0x1008; i < 0x1018; i++)
            text(d, 0x00190000 | i, DICOM_VR_IS, "", slice);
    }
    dcm_text(d, 0x0020000D, DICOM_VR_UI, "1.3.12.2.1107.5.2.32.35162.2009.9");
    dcm_text(d, 0x0020000E, DICOM_VR_UI, "1.3.12.2.1107.5.2.32.35162.2009.8");
    dcm_text(d, 0x00200010, DICOM_VR_SH, "1");
    text(d, 0x00200011, DICOM_VR_IS, "", 3);
    text(d, 0x00200013, DICOM_VR_IS, "", slice);
    char position[64];
    (void)snprintf(position, sizeof position, "-120.5\\-98.25\\%.4f", slice * 5.0781);
    dcm_text(d, 0x00200032, DICOM_VR_DS, position);
    dcm_text(d, 0x00200037, DICOM_VR_DS, "1\\0\\0\\0\\1\\0");
    dcm_text(d, 0x00200052, DICOM_VR_UI, "1.3.12.2.1107.5.2.32.35162.2009.7");
    text(d, 0x00201041, DICOM_VR_DS, "10.", slice);
    image(d, is_mr ? 256 : 512);
    dcm_text(d, 0x00281050, DICOM_VR_DS, "400");
    dcm_text(d, 0x00281051, DICOM_VR_DS, "2000");
    if (is_mr) {
        dcm_text(d, 0x00290010, DICOM_VR_LO, "SIEMENS CSA HEADER");
        csa(d, 0x00291010, 12000, slice);
        csa(d, 0x00291020, 88000, slice / 50);
    }
    dcm_pixels_native(d, is_mr ? 131072 : 524288);
}

static void die(const struct pixl_error *err)
{
    fprintf(stderr, "bench_deid: %s\n", err->msg);
    exit(1);
}

struct shared {
    struct project project;
    struct project_manufacturer all;
    struct pseudonyms *names;
    struct report *report; /* NULL: nobody counts */
};

static void one_study(const struct shared *w, const struct dcm *slices, struct arena *arena, double *us,
                      size_t *allocations)
{
    struct pixl_error err = { 0 };
    struct deid_policy *policy = NULL;
    struct deid_study *study = NULL;
    if (!deid_policy_new(&w->project, &policy, &err))
        die(&err);
    const struct deid_study_args args = { .policy = policy,
                                          .pseudonyms = w->names,
                                          .mrn = phi_text(STR("MRN-4711-08")),
                                          .study_uid = phi_text(STR("1.3.12.2.1107.5.2.32.35162.2009.9")),
                                          .report = w->report };
    if (!deid_study_new(&args, &study, &err))
        die(&err);
    size_t before = n_allocations;
    int64_t from = clock_mono_us();
    for (size_t i = 0; i < SLICES; i++) {
        const struct dicom_source source = dicom_source_bytes(dcm_bytes_of(&slices[i]), dcm_size(&slices[i]));
        struct dicom_file f;
        struct deid_result res;
        arena_reset(arena);
        if (!dicom_parse(&source, &DICOM_LIMITS_DEFAULT, arena, &f, &err) ||
            !deid_instance(study, &f, arena, &res, &err))
            die(&err);
        if (res.verdict != DEID_EMIT) {
            fprintf(stderr, "bench_deid: slice %zu: verdict %d %s\n", i, (int)res.verdict, res.where);
            exit(1);
        }
        if (w->report != NULL)
            report_written(w->report);
    }
    *us = (double)(clock_mono_us() - from) / SLICES;
    *allocations = (n_allocations - before) / SLICES;
    deid_study_free(study);
    deid_policy_free(policy);
}

static void measure(struct shared *w, const char *what, bool is_mr, const struct project_tag_rule *rules,
                    size_t n_rules)
{
    static struct dcm slices[SLICES];
    for (int i = 0; i < SLICES; i++)
        build(&slices[i], is_mr, i + 1);
    w->project.base_rules = rules;
    w->project.n_base_rules = n_rules;
    struct arena arena;
    arena_init(&arena, 256u << 20);
    double best = 1e9;
    size_t allocations = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double us;
        one_study(w, slices, &arena, &us, &allocations);
        best = us < best ? us : best;
    }
    printf("%-34s %8.1f us an instance, %zu allocations\n", what, best, allocations);
    arena_done(&arena);
    for (int i = 0; i < SLICES; i++)
        dcm_done(&slices[i]);
}

int main(void)
{
    static const char *const modalities[] = { "CT", "MR" };
    struct pixl_error err = { 0 };
    secret_auto key = { 0 };
    secret_auto salt = { 0 };
    struct shared w = {
        .project = { .modalities = modalities, .n_modalities = 2, .manufacturers = &w.all, .n_manufacturers = 1 }
    };
    struct pattern *any = NULL;
    if (!secret_set(&key, STR("k"), &err) || !secret_set(&salt, STR("s"), &err) ||
        !pseudonyms_new(&key, &salt, STR(""), STR("bench"), &w.names, &err) || !pattern_new(STR(".*"), &any, &err))
        die(&err);
    w.all.pattern = any;
    measure(&w, "CT", false, usual, ARRAY_LEN(usual));
    if (!report_new(&w.report, &err))
        die(&err);
    measure(&w, "CT, counted for a report", false, usual, ARRAY_LEN(usual));
    report_free(w.report);
    w.report = NULL;
    measure(&w, "MR, 100 kB private, dropped", true, usual, ARRAY_LEN(usual));
    measure(&w, "MR, 100 kB private, kept, searched", true, with_private, ARRAY_LEN(with_private));
    pseudonyms_free(w.names);
    pattern_free(any);
    return 0;
}

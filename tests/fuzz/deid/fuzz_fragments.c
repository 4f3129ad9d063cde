/* Fragments of any syntax: the first byte chooses it, the next two rows and columns, then the encapsulated pixel data as
 * it stands in a file.  What is given to the residue check is a multiple of what is there at most, and a name between NULs
 * that stands before or behind a whole JPEG is found. */
#include <assert.h>
#include <string.h>

#include "deid/fragments.h"
#include "dicom_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const syntaxes[] = {
    DCM_JPEG_BASELINE,     "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.4.100",
};
static const char name[] = "\0Zimmermann\0";

struct seen {
    size_t n;
    bool has_name;
};

static bool see(void *ctx, struct str bytes, struct pixl_error *err)
{
    struct seen *s = ctx;
    (void)err;
    s->n += bytes.n;
    s->has_name = s->has_name || memmem(bytes.p, bytes.n, name, sizeof name - 1) != NULL;
    return true;
}

/* Instance `d`, of which pixel data is all that is looked at.  False: it cannot be read. */
static bool run(const struct dcm *d, struct seen *seen, bool *is_refused)
{
    struct pixl_error err = { 0 };
    struct arena arena;
    struct dicom_file f;
    arena_init(&arena, 16u << 20);
    const struct dicom_source source = dicom_source_bytes(dcm_bytes_of(d), dcm_size(d));
    *seen = (struct seen){ 0 };
    *is_refused = false;
    bool ok = dicom_parse(&source, &DICOM_LIMITS_DEFAULT, &arena, &f, &err);
    int64_t i = ok ? dicom_find(&f, DICOM_NO_PARENT, DICOM_PIXEL_DATA) : -1;
    if (i >= 0) {
        struct instance in = { .f = &f, .arena = &arena };
        ok = fragments_check(&in, (uint32_t)i, see, seen, &err);
        assert(ok || err.code != PIXL_OK || in.is_refused);
        assert(err.code == PIXL_OK); /* memory can be read */
        assert(seen->n <= 2 * dcm_size(d));
        *is_refused = in.is_refused;
    }
    arena_done(&arena);
    return i >= 0;
}

static void begin(struct dcm *d, const char *syntax, uint16_t rows, uint16_t columns)
{
    dcm_begin_syntax(d, syntax, DCM_CT_IMAGE_STORAGE, "1.2.3.4");
    dcm_u16(d, DICOM_ROWS, rows);
    dcm_u16(d, DICOM_COLUMNS, columns);
    dcm_header(d, DICOM_PIXEL_DATA, DICOM_VR_OB, DICOM_UNDEFINED_LENGTH);
}

static void run_as_it_stands(const char *syntax, const uint8_t *data, size_t size)
{
    struct dcm d;
    struct seen seen;
    bool is_refused;
    begin(&d, syntax, data[1], data[2]);
    dcm_raw(&d, data + 3, size - 3);
    dcm_mark(&d, DICOM_TAG_SEQUENCE_END, 0);
    (void)run(&d, &seen, &is_refused);
    dcm_done(&d);
}

/* The bytes as the second and third fragment, behind a whole image that is followed by a name. */
static void run_behind_a_name(const uint8_t *data, size_t size)
{
    static const char frame[] = "\xFF\xD8\xFF\xD9";
    struct dcm d;
    struct seen seen;
    bool is_refused;
    begin(&d, DCM_JPEG_BASELINE, 1, 1);
    dcm_mark(&d, DICOM_TAG_ITEM, 0);
    dcm_mark(&d, DICOM_TAG_ITEM, sizeof frame - 1 + sizeof name - 1);
    dcm_raw(&d, frame, sizeof frame - 1);
    dcm_raw(&d, name, sizeof name - 1);
    for (size_t half = 0; half < 2; half++) {
        const size_t from = half == 0 ? 0 : size / 2, to = half == 0 ? size / 2 : size;
        dcm_mark(&d, DICOM_TAG_ITEM, (uint32_t)(to - from));
        dcm_raw(&d, data + from, to - from);
    }
    dcm_mark(&d, DICOM_TAG_SEQUENCE_END, 0);
    bool ok = run(&d, &seen, &is_refused);
    assert(ok && (seen.has_name || is_refused));
    dcm_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    run_as_it_stands(syntaxes[data[0] % ARRAY_LEN(syntaxes)], data, size);
    run_behind_a_name(data + 3, size - 3);
    return 0;
}

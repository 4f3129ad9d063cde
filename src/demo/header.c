/* One header before and after: both files as lists of lines in the order of their elements, merged. */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "dicom/charset.h"
#include "dicom/file.h"
#include "upload/zip_read.h"

enum { VALUE_CHARS = 60, NUMBERS_SHOWN = 4, NUMBERS_BYTES_MAX = 64, PATH_TEXT_MAX = 512, PREAMBLE_BYTES = 128 };
#define HEADER_ARENA_MAX ((size_t)128 << 20)

/* key: the tags and item numbers that lead to the element, so that comparing bytes compares places. */
struct line {
    struct str key;
    const char *element, *name, *value;
};
struct lines {
    struct line *all;
    size_t n;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "header of the sample");
}

/* --- values for a person ----------------------------------------------------------------------------------------- */

/* At most VALUE_CHARS characters of UTF-8 text on one line. */
static char *shorten(struct arena *a, struct str text)
{
    char *out = arena_alloc(a, text.n + 4);
    size_t n = 0, chars = 0, i = 0;
    if (out == NULL)
        return NULL;
    for (; i < text.n; i++) {
        bool starts = ((unsigned char)text.p[i] & 0xC0) != 0x80;
        if (starts && ++chars > VALUE_CHARS)
            break;
        out[n++] = (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7F ? ' ' : text.p[i];
    }
    if (i < text.n) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = '\0';
    return out;
}

static const char *bytes_text(struct arena *a, uint64_t n)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu bytes", (unsigned long long)n);
    return arena_cstr(a, text);
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] > '~')
            return i + 1 == s.n && s.p[i] == '\0';
    return true;
}

static uint64_t number(const char *p, size_t n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | (unsigned char)p[n];
    return v;
}

/* Little endian numbers of one VR; NULL: it holds none. */
static const char *numbers_text(struct arena *a, enum dicom_vr vr, struct str value)
{
    bool is_short = vr == DICOM_VR_US || vr == DICOM_VR_SS;
    size_t width = is_short ? 2 : vr == DICOM_VR_FD ? 8 : 4, n = value.n / width, used = 0;
    char text[NUMBERS_SHOWN * 32 + 8] = "";
    for (size_t i = 0; i < n && i < NUMBERS_SHOWN; i++) {
        uint64_t v = number(value.p + i * width, width);
        uint32_t low = (uint32_t)v;
        float single;
        double twice;
        memcpy(&single, &low, sizeof single);
        memcpy(&twice, &v, sizeof twice);
        const char *comma = i ? "\\" : "";
        int k = vr == DICOM_VR_FL   ? snprintf(text + used, 32, "%s%g", comma, (double)single)
                : vr == DICOM_VR_FD ? snprintf(text + used, 32, "%s%g", comma, twice)
                : vr == DICOM_VR_SS ? snprintf(text + used, 32, "%s%d", comma, (int)(int16_t)v)
                : vr == DICOM_VR_SL ? snprintf(text + used, 32, "%s%d", comma, (int)(int32_t)low)
                                    : snprintf(text + used, 32, "%s%llu", comma, (unsigned long long)v);
        used += k > 0 && k < 32 ? (size_t)k : 0;
    }
    return arena_cstr(a, text);
}

static bool is_number(enum dicom_vr vr)
{
    return vr == DICOM_VR_US || vr == DICOM_VR_SS || vr == DICOM_VR_UL || vr == DICOM_VR_SL || vr == DICOM_VR_FL ||
           vr == DICOM_VR_FD;
}

static bool value_text(struct dicom_file *f, uint32_t i, const struct dicom_charset *set, const char **out,
                       struct pixl_error *err)
{
    const struct dicom_element *e = &f->elements[i];
    struct arena *a = f->arena;
    enum dicom_vr vr = (enum dicom_vr)e->vr;
    struct str value, decoded;
    bool clean;
    *out = NULL;
    if (e->flags & DICOM_IS_SEQUENCE) {
        *out = e->end > i + 1 ? "(items)" : "(no item)";
    } else if (dicom_vr_is_text(vr)) {
        if (!dicom_value(f, i, &value, err) || !dicom_charset_decode(set, vr, a, value, &decoded, &clean, err))
            return false;
        while (decoded.n > 0 && (decoded.p[decoded.n - 1] == '\0' || decoded.p[decoded.n - 1] == ' '))
            decoded.n--;
        *out = shorten(a, decoded);
    } else if (e->value_bytes <= NUMBERS_BYTES_MAX) {
        if (!dicom_value(f, i, &value, err))
            return false;
        *out = is_number(vr)                              ? numbers_text(a, vr, value)
               : vr == DICOM_VR_UN && is_printable(value) ? shorten(a, value)
                                                          : bytes_text(a, e->value_bytes);
    } else {
        *out = bytes_text(a, e->value_bytes);
    }
    return *out != NULL || fail_memory(err);
}

/* --- a file as lines --------------------------------------------------------------------------------------------- */

/* The number of each item among its fellows, from 1. */
static uint32_t *number_items(const struct dicom_file *f)
{
    uint32_t *ordinal = arena_calloc(f->arena, f->n_elements, sizeof *ordinal),
             *seen = arena_calloc(f->arena, f->n_elements, sizeof *seen);
    if (ordinal == NULL || seen == NULL)
        return NULL;
    for (uint32_t i = 0; i < f->n_elements; i++)
        if ((f->elements[i].flags & DICOM_IS_ITEM) && f->elements[i].parent != DICOM_NO_PARENT)
            ordinal[i] = ++seen[f->elements[i].parent];
    return ordinal;
}

static void add_number(struct buf *key, uint32_t v)
{
    for (unsigned shift = 32; shift > 0; shift -= 8)
        (void)buf_add_char(key, (char)(v >> (shift - 8)));
}

/* Path and key of an element, from the outside in. */
static void add_place(const struct dicom_file *f, const uint32_t *ordinal, uint32_t i, struct buf *key,
                      struct buf *text)
{
    const struct dicom_element *e = &f->elements[i];
    if (e->parent != DICOM_NO_PARENT) {
        const struct dicom_element *item = &f->elements[e->parent];
        add_place(f, ordinal, item->parent, key, text);
        add_number(key, ordinal[e->parent]);
        (void)buf_addf(text, "[%u].", ordinal[e->parent]);
    }
    add_number(key, e->tag);
    (void)buf_addf(text, "(%04X,%04X)", (unsigned)DICOM_GROUP(e->tag), (unsigned)DICOM_ELEMENT_OF(e->tag));
}

static const char *name_of(uint32_t tag)
{
    const struct dicom_dict_entry *entry = dicom_dict_find(tag);
    return entry != NULL ? entry->keyword : dicom_tag_is_private_creator(tag) ? "private creator" : "private";
}

static bool preamble_line(const struct dicom_source *s, struct arena *a, struct line *out, struct pixl_error *err)
{
    char bytes[PREAMBLE_BYTES];
    if (!s->read(s, bytes, sizeof bytes, 0, err))
        return false;
    size_t n = sizeof bytes;
    while (n > 0 && bytes[n - 1] == '\0')
        n--;
    *out = (struct line){
        .key = { "", 0 }, .element = "preamble", .name = "", .value = shorten(a, (struct str){ bytes, n })
    };
    return out->value != NULL || fail_memory(err);
}

static bool element_line(struct dicom_file *f, const uint32_t *ordinal, const struct dicom_charset *set, uint32_t i,
                         struct line *out, struct pixl_error *err)
{
    buf_auto key, text;
    buf_init(&key, PATH_TEXT_MAX);
    buf_init(&text, PATH_TEXT_MAX);
    add_place(f, ordinal, i, &key, &text);
    out->key = arena_str(f->arena, buf_str(&key));
    out->element = arena_cstr(f->arena, buf_cstr(&text));
    out->name = name_of(f->elements[i].tag);
    if (key.failed || text.failed || out->key.p == NULL || out->element == NULL)
        return fail_memory(err);
    return value_text(f, i, set, &out->value, err);
}

static bool list_lines(struct dicom_file *f, struct lines *out, struct pixl_error *err)
{
    struct str charset;
    bool found;
    if (!dicom_text(f, DICOM_SPECIFIC_CHARACTER_SET, &charset, &found, err))
        return false;
    const struct dicom_charset set = dicom_charset_parse(found ? charset : (struct str){ 0 });
    const uint32_t *ordinal = number_items(f);
    out->all = arena_calloc(f->arena, (size_t)f->n_elements + 1, sizeof *out->all);
    out->n = 0;
    if (ordinal == NULL || out->all == NULL)
        return fail_memory(err);
    if (f->has_preamble && !preamble_line(&f->source, f->arena, &out->all[out->n++], err))
        return false;
    for (uint32_t i = 0; i < f->n_elements; i++)
        if (!(f->elements[i].flags & DICOM_IS_ITEM) && !element_line(f, ordinal, &set, i, &out->all[out->n++], err))
            return false;
    return true;
}

/* --- both -------------------------------------------------------------------------------------------------------- */

static void merge(const struct lines *b, const struct lines *a,
                  void (*line)(void *ctx, const char *element, const char *name, const char *before, const char *after),
                  void *ctx)
{
    size_t i = 0, k = 0;
    while (i < b->n || k < a->n) {
        int c = i == b->n ? 1 : k == a->n ? -1 : str_cmp(b->all[i].key, a->all[k].key);
        const struct line *l = c <= 0 ? &b->all[i] : &a->all[k];
        line(ctx, l->element, l->name, c <= 0 ? l->value : "", c < 0 ? "removed" : a->all[k].value);
        i += c <= 0;
        k += c >= 0;
    }
}

/* The sample's own place at the destination: its pseudonyms are computed as the extraction did. */
static bool find_delivered(const struct demo *d, struct site *s, struct dicom_file *f, const char **zip,
                           const char **entry, struct pixl_error *err)
{
    static const uint32_t tags[3] = { DICOM_STUDY_UID, DICOM_SERIES_UID, DICOM_SOP_INSTANCE_UID };
    struct site_project *p;
    char uids[3][DICOM_UID_MAX + 1], name[3 * (DICOM_UID_MAX + 8)];
    if (!site_project(s, str_of(d->sample_project), false, &p, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        struct str uid;
        bool found;
        if (!dicom_text(f, tags[i], &uid, &found, err) || !pseudonyms_uid(p->pseudonyms, phi_text(uid), uids[i], err))
            return false;
    }
    (void)snprintf(name, sizeof name, "%s/%s/%s.dcm", uids[0], uids[1], uids[2]);
    *entry = arena_cstr(f->arena, name);
    (void)snprintf(name, sizeof name, "%s.zip", uids[0]);
    *zip = fs_path3(f->arena, d->safe_haven_dir, d->sample_project, name);
    return (*entry != NULL && *zip != NULL) || fail_memory(err);
}

static bool show_both(const struct demo *d, struct site *s, int fd, struct arena *a,
                      void (*line)(void *ctx, const char *element, const char *name, const char *before,
                                   const char *after),
                      void *ctx, struct pixl_error *err)
{
    const struct dicom_limits limits = DICOM_LIMITS_DEFAULT;
    struct dicom_source source;
    struct dicom_file before, after;
    struct lines b, l;
    struct str bytes;
    const char *path, *name;
    zip_read_auto *zip = NULL;
    if (!dicom_source_fd(fd, &source, err) || !dicom_parse(&source, &limits, a, &before, err) ||
        !list_lines(&before, &b, err) || !find_delivered(d, s, &before, &path, &name, err) ||
        !zip_read_open(path, &zip, err))
        return false;
    const struct zip_read_entry *e = zip_read_find(zip, name);
    if (e == NULL)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "the sample was not delivered");
    if (!zip_read_bytes(zip, e, &bytes, err))
        return false;
    source = dicom_source_bytes(bytes.p, bytes.n);
    if (!dicom_parse(&source, &limits, a, &after, err) || !list_lines(&after, &l, err))
        return false;
    merge(&b, &l, line, ctx);
    return true;
}

bool demo_show_header(const struct demo *d, struct site *s,
                      void (*line)(void *ctx, const char *element, const char *name, const char *before,
                                   const char *after),
                      void *ctx, struct pixl_error *err)
{
    struct arena a;
    int fd = open(d->sample_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "the sample");
    arena_init(&a, HEADER_ARENA_MAX);
    bool ok = show_both(d, s, fd, &a, line, ctx, err);
    arena_done(&a);
    (void)close(fd);
    return ok;
}

/* The walkers see a run: bytes of one or more fragments, as if their headers were not there.  A fragment that begins as
 * a frame does begins a new run, so that a frame without its end does not swallow the next. */
#include "fragments.h"

#include <string.h>

enum {
    READ_BYTES = 16 * 1024,
    SEEN_BYTES = 16 * 1024,
    OVERLAP = 256,               /* of what is given to see() in several pieces: no word is longer */
    ITEM_BYTES = 8,
    ENDS_OF_ALL = 64 * 1024,     /* of what is not walked */
    ENDS_OF_ONE = 1024,
    RLE_HEADER = 64,
    RST0 = 0xD0,
    RST7 = 0xD7,
    SOI = 0xD8,
    SOC = 0x4F,
    MARKER_END = 0xD9,           /* EOI and EOC */
};

/* How a syntax marks frames and what has no text; 0: has none. */
struct coding {
    uint8_t start;               /* behind 0xFF: SOI or SOC */
    uint8_t least_in_data;       /* a marker between samples is at least this */
    const char *start_bytes;     /* of a fragment that begins a frame; "": each does */
};
static const struct coding jpeg = { SOI, 0xC0, "\xFF\xD8\xFF" }, jpeg2000 = { SOC, MARKER_END, "\xFF\x4F\xFF\x51" },
                           each = { 0, 0, "" };

struct walk {
    struct instance *in;
    uint32_t index;
    const struct coding *coding;
    fragments_see_fn *see;
    void *ctx;
    struct pixl_error *err;
    bool is_stopped;             /* by an error or a refusal */
    bool is_next;                /* the buffer holds the beginning of the next run */
    uint64_t next_item, end;     /* in the source: of the next fragment, of the last */
    uint64_t at, left;           /* of this fragment: what is not in the buffer */
    uint64_t fragment_bytes, n_fragments; /* the offset table is one */
    uint64_t pos;                /* in the run */
    uint64_t n_seen_of_run;
    size_t i, n;                 /* of buffer */
    size_t n_seen, n_old;        /* of seen; n_old were given to see() before */
    uint8_t buffer[READ_BYTES];
    char seen[SEEN_BYTES];
};

static uint64_t little_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n > 0)
        v = v << 8 | p[--n];
    return v;
}

static bool stop(struct walk *w)
{
    w->is_stopped = true;
    return false;
}

static bool refuse(struct walk *w)
{
    (void)instance_refuse(w->in, STUDY_WHY_UNSUPPORTED_VALUE, w->index);
    return stop(w);
}

static bool load(struct walk *w, uint64_t at, size_t n)
{
    const struct dicom_source *s = &w->in->f->source;
    w->i = w->n = 0;
    if (!s->read(s, w->buffer, n, at, w->err))
        return stop(w);
    w->n = n;
    return true;
}

/* Loads the beginning of the next fragment; false: there is none. */
static bool enter(struct walk *w)
{
    const uint64_t at = w->next_item, room = w->end - at;
    if (w->is_stopped || room < ITEM_BYTES)
        return false;
    if (!load(w, at, room < READ_BYTES ? (size_t)room : READ_BYTES))
        return false;
    w->fragment_bytes = little_endian(w->buffer + 4, 4);
    if (w->fragment_bytes > room - ITEM_BYTES)           /* the parser saw another length: the file changes */
        return refuse(w);
    w->n_fragments++;
    w->i = ITEM_BYTES;
    if (w->n - ITEM_BYTES > w->fragment_bytes)
        w->n = ITEM_BYTES + (size_t)w->fragment_bytes;
    w->left = w->fragment_bytes - (w->n - ITEM_BYTES);
    w->at = at + w->n;
    w->next_item = at + ITEM_BYTES + w->fragment_bytes;
    return true;
}

static bool is_start(const struct walk *w)
{
    const size_t n = strlen(w->coding->start_bytes);
    return w->n - w->i >= n && memcmp(w->buffer + w->i, w->coding->start_bytes, n) == 0;
}

/* Goes on with the next run; false: there is none. */
static bool begin_run(struct walk *w)
{
    w->pos = w->n_seen_of_run = 0;
    w->n_seen = w->n_old = 0;
    if (w->is_next) {
        w->is_next = false;
        return true;
    }
    return enter(w);
}

/* Is there a byte of this run in the buffer? */
static bool fill(struct walk *w)
{
    while (w->i == w->n) {
        if (w->is_stopped || w->is_next)
            return false;
        if (w->left > 0) {
            const size_t n = w->left < READ_BYTES ? (size_t)w->left : READ_BYTES;
            if (!load(w, w->at, n))
                return false;
            w->at += n;
            w->left -= n;
        } else {
            if (!enter(w))
                return false;
            w->is_next = is_start(w);
        }
    }
    return !w->is_stopped && !w->is_next;
}

static bool next(struct walk *w, uint8_t *b)
{
    if (!fill(w))
        return false;
    *b = w->buffer[w->i++];
    w->pos++;
    return true;
}

static bool skip(struct walk *w, uint64_t n)
{
    while (n > 0) {
        if (w->i == w->n && w->left > 0 && !w->is_next) {
            const uint64_t k = n < w->left ? n : w->left;
            w->at += k;
            w->left -= k;
            w->pos += k;
            n -= k;
        } else {
            if (!fill(w))
                return false;
            const size_t k = n < w->n - w->i ? (size_t)n : w->n - w->i;
            w->i += k;
            w->pos += k;
            n -= k;
        }
    }
    return true;
}

/* Gives to see() what was collected, unless it is padding. */
static void give(struct walk *w, bool is_end)
{
    bool is_padding = true;
    for (size_t k = w->n_old; k < w->n_seen && is_padding; k++)
        is_padding = w->seen[k] == '\0';
    if (!w->is_stopped && !is_padding && !w->see(w->ctx, (struct str){ w->seen, w->n_seen }, w->err))
        stop(w);
    w->n_old = is_end ? 0 : OVERLAP;
    memmove(w->seen, w->seen + w->n_seen - w->n_old, w->n_old);
    w->n_seen = w->n_old;
}

/* 0xFF is a marker's or padding, and would be a letter of the word before it. */
static void collect(struct walk *w, uint8_t b)
{
    if (w->n_seen == SEEN_BYTES)
        give(w, false);
    if (++w->n_seen_of_run > w->in->f->limits.max_value_bytes)
        refuse(w);
    w->seen[w->n_seen++] = b == 0xFF ? '\0' : (char)b;
}

static void collect_some(struct walk *w, uint64_t n)
{
    uint8_t b;
    while (n-- > 0 && next(w, &b))
        collect(w, b);
    give(w, true);
}

/* --- JPEG and JPEG 2000 (ITU-T T.81 B.1, T.87 C, T.800 A) --- */

/* Collects up to the start of a frame. */
static bool find_start(struct walk *w)
{
    uint8_t b, last = 0;
    bool found = false;
    while (!found && next(w, &b)) {
        found = last == 0xFF && b == w->coding->start;
        if (!found)
            collect(w, b);
        last = b;
    }
    give(w, true);
    return found;
}

/* In entropy-coded data 0xFF stands before what is no marker, and before those of restarts. */
static bool next_marker_in_data(struct walk *w, uint8_t *marker)
{
    while (fill(w)) {
        const uint8_t *from = w->buffer + w->i, *ff = memchr(from, 0xFF, w->n - w->i);
        const size_t n = ff == NULL ? w->n - w->i : (size_t)(ff - from) + 1;
        w->i += n;
        w->pos += n;
        if (ff == NULL)
            continue;
        do
            if (!next(w, marker))
                return false;
        while (*marker == 0xFF);
        if (*marker >= w->coding->least_in_data && (*marker < RST0 || *marker > RST7))
            return true;
    }
    return false;
}

/* False: there is none, and what is there is collected. */
static bool next_marker(struct walk *w, uint8_t *marker)
{
    if (!next(w, marker))
        return false;
    if (*marker != 0xFF) {
        collect(w, *marker);
        return false;
    }
    while (next(w, marker))
        if (*marker != 0xFF)
            return true;
    return false;
}

/* The length in a segment, without itself. */
static bool segment_length(struct walk *w, uint64_t *n)
{
    uint8_t high, low;
    if (!next(w, &high) || !next(w, &low))
        return false;
    *n = (uint64_t)high << 8 | low;
    if (*n >= 2) {
        *n -= 2;
        return true;
    }
    collect(w, high);
    collect(w, low);
    return false;
}

/* What stands in it is collected. */
static bool walk_segment(struct walk *w)
{
    uint64_t n;
    if (!segment_length(w, &n))
        return false;
    collect_some(w, n);
    return true;
}

/* Frames, scans and tables; of JPEG-LS too. */
static bool is_coding_of_jpeg(uint8_t m)
{
    return (m >= 0xC0 && m <= 0xDF && m != 0xC8) || m == 0xF7 || m == 0xF8;
}

/* Tables, one behind the other to the end: of quantization, 64 numbers of a byte or two; of Huffman codes, 16 counts and
 * so many values. */
static bool are_tables(bool is_huffman, const uint8_t *b, size_t n)
{
    enum { COUNTS = 16 };
    size_t i = 0;
    while (i < n) {
        size_t bytes = b[i] >> 4 ? 129 : 65;
        if (is_huffman && n - i <= COUNTS)
            return false;
        if (is_huffman)
            bytes = 1 + COUNTS;
        for (size_t k = 1; is_huffman && k <= COUNTS; k++)
            bytes += b[i + k];
        i += bytes;
    }
    return i == n;
}

/* Do the numbers that such a segment has to hold take all of it?  Else it has room for text. */
static bool is_filled(uint8_t m, const uint8_t *b, size_t n)
{
    switch (m) {
    case 0xC4: return are_tables(true, b, n);
    case 0xDB: return are_tables(false, b, n);
    case 0xCC: return n <= 16;                            /* DAC */
    case 0xDC: return n == 2;                             /* DNL */
    case 0xDD: return n <= 4;                             /* DRI */
    case 0xDF: return n == 1;                             /* EXP */
    case 0xDA: return n > 0 && n == 4 + 2 * (size_t)b[0]; /* SOS */
    case 0xF8: return n == 11 && b[0] == 1;               /* LSE with parameters; mapping tables are searched */
    default: return n > 5 && n == 6 + 3 * (size_t)b[5];   /* SOF, DHP */
    }
}

static bool walk_coding_of_jpeg(struct walk *w, uint8_t m)
{
    enum { CODING_MAX = 8 * 273 }; /* Huffman tables: 4 of either class */
    uint8_t bytes[CODING_MAX];
    uint64_t n;
    if (!segment_length(w, &n))
        return false;
    if (n > CODING_MAX) {
        collect_some(w, n);
        return true;
    }
    size_t n_read = 0;
    while (n_read < n && next(w, &bytes[n_read]))
        n_read++;
    const bool has_room = n_read < n || !is_filled(m, bytes, n_read);
    for (size_t k = 0; has_room && k < n_read; k++)
        collect(w, bytes[k]);
    give(w, true);
    return n_read == n;
}

static void walk_jpeg(struct walk *w)
{
    enum { SOS = 0xDA };
    while (find_start(w)) {
        bool is_in_data = false;
        uint8_t m;
        while ((is_in_data ? next_marker_in_data(w, &m) : next_marker(w, &m)) && m != MARKER_END) {
            if (m == SOI || (m >= RST0 && m <= RST7))
                is_in_data = false;
            else if (is_coding_of_jpeg(m) ? walk_coding_of_jpeg(w, m) : walk_segment(w))
                is_in_data = m == SOS;
            else
                break;
        }
    }
}

static bool skip_segment(struct walk *w)
{
    uint64_t n;
    return segment_length(w, &n) && skip(w, n);
}

static bool is_coding_of_jpeg2000(uint8_t m)
{
    return m >= 0x50 && m <= 0x63; /* CAP, SIZ, COD, COC, TLM, PLM, PLT, CPF, QCD, QCC, RGN, POC, PPM, PPT, CRG */
}

/* A tile-part says how long it is, from its marker on; 0: to the end of the codestream. */
static bool walk_tile_part(struct walk *w, uint64_t *end)
{
    enum { LENGTH_AT = 2, MARKER_BYTES = 2, SEGMENT_BYTES = 8 };
    uint8_t segment[SEGMENT_BYTES];
    const uint64_t start = w->pos - MARKER_BYTES;
    uint64_t n;
    if (!segment_length(w, &n))
        return false;
    if (n != SEGMENT_BYTES) {
        collect_some(w, n);
        return false;
    }
    for (size_t k = 0; k < SEGMENT_BYTES; k++)
        if (!next(w, &segment[k]))
            return false;
    uint64_t bytes = 0;
    for (size_t k = LENGTH_AT; k < LENGTH_AT + 4; k++)
        bytes = bytes << 8 | segment[k];
    *end = bytes == 0 ? 0 : start + bytes;
    return true;
}

static void walk_jpeg2000(struct walk *w)
{
    enum { SOT = 0x90, SOD = 0x93 };
    while (find_start(w)) {
        uint64_t end = 0;
        uint8_t m;
        bool is_in_data = false, ok = true;
        while (ok && (is_in_data ? next_marker_in_data(w, &m) : next_marker(w, &m)) && m != MARKER_END) {
            is_in_data = m == SOD && end == 0;
            if (m == SOT)
                ok = walk_tile_part(w, &end);
            else if (m == SOD)
                ok = is_in_data || (end >= w->pos && skip(w, end - w->pos));
            else
                ok = is_coding_of_jpeg2000(m) ? skip_segment(w) : walk_segment(w);
        }
    }
}

/* --- RLE (PS3.5 annex G) and no compression --- */

static bool number_of(struct walk *w, uint32_t tag, unsigned otherwise, uint64_t *out)
{
    struct dicom_file *f = w->in->f;
    const int64_t i = dicom_find(f, f->elements[w->index].parent, tag);
    struct str v;
    *out = otherwise;
    if (i < 0 || (f->elements[i].flags & DICOM_IS_SEQUENCE))
        return true;
    if (!dicom_value(f, (uint32_t)i, &v, w->err))
        return stop(w);
    *out = little_endian((const uint8_t *)v.p, v.n < 2 ? v.n : 2);
    return true;
}

/* Bytes of a frame, or of a segment of RLE, which holds a byte of each sample of one plane. */
static bool bytes_of(struct walk *w, bool is_rle, uint64_t *out)
{
    enum { SAMPLES_MAX = 255 };
    uint64_t rows, columns, bits, samples;
    if (!number_of(w, DICOM_ROWS, 0, &rows) || !number_of(w, DICOM_COLUMNS, 0, &columns) ||
        !number_of(w, DICOM_BITS_ALLOCATED, 8, &bits) || !number_of(w, DICOM_SAMPLES_PER_PIXEL, 1, &samples))
        return false;
    if (is_rle) {
        bits = bits < 8 ? bits : 8;
        samples = 1;
    }
    bits *= rows * columns * (samples < SAMPLES_MAX ? samples : SAMPLES_MAX);
    *out = bits / 8 + (bits % 8 != 0);
    return true;
}

/* Walks over the runs of a segment until they make so many bytes, or the segment ends. */
static bool walk_rle_segment(struct walk *w, uint64_t end, uint64_t bytes)
{
    uint8_t b;
    while (bytes > 0 && w->pos < end && next(w, &b)) {
        const unsigned length = b < 128 ? b + 1u : b > 128 ? 257u - b : 0;
        uint64_t n = b < 128 ? length : b > 128;
        n = n < end - w->pos ? n : end - w->pos;
        bytes -= length < bytes ? length : bytes;
        if (!skip(w, n))
            return false;
    }
    collect_some(w, end - w->pos);
    return !w->is_stopped;
}

static void walk_rle(struct walk *w)
{
    uint8_t header[RLE_HEADER];
    uint64_t bytes, offsets[RLE_HEADER / 4 + 1] = { 0 };
    if (w->fragment_bytes == 0 || !bytes_of(w, true, &bytes))
        return;
    for (size_t k = 0; k < sizeof header; k++)
        if (!next(w, &header[k])) {
            if (!w->is_stopped)
                refuse(w);
            return;
        }
    const uint64_t n = little_endian(header, 4);
    bool ok = n >= 1 && n < RLE_HEADER / 4;
    for (size_t k = 1; ok && k < RLE_HEADER / 4; k++) {
        offsets[k] = little_endian(header + 4 * k, 4);
        ok = k > n ? offsets[k] == 0
                   : offsets[k] >= (k == 1 ? RLE_HEADER : offsets[k - 1] + 1) && offsets[k] < w->fragment_bytes;
    }
    if (!ok) {
        refuse(w);
        return;
    }
    offsets[n + 1] = w->fragment_bytes;
    collect_some(w, offsets[1] - RLE_HEADER);
    for (size_t k = 1; k <= n && walk_rle_segment(w, offsets[k + 1], bytes); k++)
        ;
}

static void walk_uncompressed(struct walk *w)
{
    uint64_t bytes;
    if (bytes_of(w, false, &bytes) && skip(w, bytes))
        collect_some(w, UINT64_MAX);
}

/* --- others --- */

static void walk_ends(struct walk *w)
{
    const uint64_t head = w->n_fragments == 2 ? ENDS_OF_ALL : ENDS_OF_ONE;
    const uint64_t tail = w->next_item == w->end ? ENDS_OF_ALL : ENDS_OF_ONE;
    const uint64_t all = w->fragment_bytes;
    collect_some(w, all <= head + tail ? all : head);
    if (all > head + tail && skip(w, all - head - tail))
        collect_some(w, tail);
}

/* --- offset tables (PS3.5 section A.4, PS3.3 section C.7.6.3.1.8) --- */

/* most: writers have counted a byte too many for each frame, and told where the last one ends. */
static bool check_offset(uint64_t offset, uint64_t last, bool is_first, uint64_t most)
{
    return is_first ? offset == 0 : offset >= last && offset <= most;
}

static bool check_basic_table(struct walk *w)
{
    enum { OFFSET_BYTES = 4 };
    uint8_t b[OFFSET_BYTES];
    if (!enter(w))
        return false;
    const uint64_t most = w->end - w->next_item + w->fragment_bytes;
    uint64_t last = 0;
    if (w->fragment_bytes % OFFSET_BYTES != 0)
        return refuse(w);
    for (uint64_t left = w->fragment_bytes; left > 0; left -= OFFSET_BYTES) {
        for (size_t k = 0; k < OFFSET_BYTES; k++)
            if (!next(w, &b[k]))
                return false;
        const uint64_t offset = little_endian(b, OFFSET_BYTES);
        if (!check_offset(offset, last, left == w->fragment_bytes, most))
            return refuse(w);
        last = offset;
    }
    return true;
}

static bool check_extended_table(struct instance *in, uint32_t i, struct pixl_error *err)
{
    enum { OFFSET_BYTES = 8 };
    const struct dicom_element *e = &in->f->elements[i];
    const int64_t pixels = dicom_find(in->f, e->parent, DICOM_PIXEL_DATA);
    struct str v;
    if (pixels < 0 || !(in->f->elements[pixels].flags & DICOM_IS_ENCAPSULATED) || e->value_bytes % OFFSET_BYTES != 0)
        return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
    if (!dicom_value(in->f, i, &v, err))
        return false;
    const uint64_t most = in->f->elements[pixels].value_bytes;
    uint64_t last = 0;
    for (size_t k = 0; k < v.n; k += OFFSET_BYTES) {
        const uint64_t n = little_endian((const uint8_t *)v.p + k, OFFSET_BYTES);
        if (e->tag == DICOM_EXTENDED_OFFSET_TABLE ? !check_offset(n, last, k == 0, most) : n > most)
            return instance_refuse(in, STUDY_WHY_UNSUPPORTED_VALUE, i);
        last = n;
    }
    return true;
}

/* --- */

static const struct family {
    const char *first, *last;    /* of the UIDs behind 1.2.840.10008.1.2, of one length */
    const struct coding *coding;
    void (*walk)(struct walk *w);
} families[] = {
    { ".4.50", ".4.81", &jpeg, walk_jpeg },           /* .70: lossless, .80 and .81: JPEG-LS */
    { ".4.90", ".4.93", &jpeg2000, walk_jpeg2000 },
    { ".4.201", ".4.203", &jpeg2000, walk_jpeg2000 }, /* HTJ2K */
    { ".5", ".5", &each, walk_rle },
    { ".1.98", ".1.98", &each, walk_uncompressed },
};

static const struct family *family_of(const struct dicom_syntax *syntax)
{
    static const struct family others = { "", "", &each, walk_ends };
    const char *uid = syntax->uid + strlen("1.2.840.10008.1.2");
    for (size_t k = 0; k < ARRAY_LEN(families); k++)
        if (strlen(uid) == strlen(families[k].first) && strcmp(uid, families[k].first) >= 0 &&
            strcmp(uid, families[k].last) <= 0)
            return &families[k];
    return &others;
}

bool fragments_is_one(const struct dicom_element *e)
{
    return (e->flags & DICOM_IS_ENCAPSULATED) || e->tag == DICOM_EXTENDED_OFFSET_TABLE ||
           e->tag == DICOM_EXTENDED_OFFSET_LENGTHS;
}

bool fragments_check(struct instance *in, uint32_t i, fragments_see_fn *see, void *ctx, struct pixl_error *err)
{
    const struct dicom_element *e = &in->f->elements[i];
    if (!(e->flags & DICOM_IS_ENCAPSULATED))
        return check_extended_table(in, i, err);
    const struct family *family = family_of(in->f->syntax);
    struct walk w;
    memset(&w, 0, offsetof(struct walk, buffer));
    w.in = in;
    w.index = i;
    w.coding = family->coding;
    w.see = see;
    w.ctx = ctx;
    w.err = err;
    w.next_item = e->value_offset;
    w.end = e->value_offset + e->value_bytes;
    if (check_basic_table(&w))
        while (begin_run(&w))
            family->walk(&w);
    return !w.is_stopped;
}

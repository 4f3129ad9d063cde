/* The parser is a loop over elements, not a recursion: what is open is known by the parent links of the entries
 * themselves, so that ten thousand nested sequences cost a comparison, not a stack.
 *
 * A value of unknown meaning that begins with an item is opened like a sequence; where what follows is none after all, the
 * parser goes back to its element and steps over it.  Each byte is thus parsed once, however deep such values nest.
 *
 * While a sequence or item is open, its value_bytes holds the distance to its limit (its own length, or what
 * remains of its parent when that is undefined); closing it puts the true length there. */
#include "file.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "deflate.h"
#include "order.h"
#include "window.h"

enum {
    BLOCK_BYTES = 32 * 1024, /* one read covers the header of nearly every CT, and of most other instances */
    SKIP_BYTES = 8 * 1024,   /* a longer value that lies beyond what is read already is not read */
    FIRST_ELEMENTS = 256,
    PADDING_MAX = 64 * 1024,    /* zeros that are let pass behind the last element */
    FIRST_INFLATED = 64 * 1024, /* of a deflated data set, when it is parsed up to some tag only */
    PREAMBLE_BYTES = 128,
    ITEM_HEADER_BYTES = 8,
};

struct parser {
    struct dicom_file *f;
    struct dicom_window *w;
    struct dicom_block block;       /* what is looked at now */
    uint64_t pos, limit;            /* limit: end of the innermost open sequence or item, or of the source */
    uint32_t cap;
    uint32_t open;                  /* innermost open sequence or item; DICOM_NO_PARENT */
    uint32_t last_tag;              /* the highest so far in the innermost data set */
    uint32_t n_hidden; /* open sequences that may turn out to be bytes */
    uint32_t until;
    uint16_t depth;
    bool in_meta;
    bool is_unordered;              /* the main data set or the file meta */
    bool in_sequence;               /* items are expected, not elements */
    bool is_implicit;
    bool is_big_endian;
    bool has_until;
};

static uint32_t u16(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static uint32_t u32(const uint8_t *b)
{
    return u16(b) | u16(b + 2) << 16;
}

static uint32_t read_tag(const uint8_t *b)
{
    return u16(b) << 16 | u16(b + 2);
}

/* What is inside a sequence of UN is implicit little endian in a big-endian file too (PS3.5 section 6.2.2). */
static void set_coding(struct parser *p, bool is_implicit)
{
    p->is_implicit = is_implicit;
    p->is_big_endian = !is_implicit && p->f->syntax->is_big_endian;
}

/* The header of an explicit big-endian element, item or delimiter as it would stand in little endian: with it alone the
 * parser goes on, so that it knows one byte order. */
static const uint8_t *in_little_endian(const uint8_t *b, uint8_t out[ITEM_HEADER_BYTES])
{
    const bool is_item = b[0] == 0xFF && b[1] == 0xFE;
    const uint8_t swapped[ITEM_HEADER_BYTES] = { b[1],
                                                 b[0],
                                                 b[3],
                                                 b[2],
                                                 is_item ? b[7] : b[4],
                                                 is_item ? b[6] : b[5],
                                                 is_item ? b[5] : b[7],
                                                 is_item ? b[4] : b[6] };
    memcpy(out, swapped, sizeof swapped);
    return out;
}

static bool corrupt(const struct parser *p, const char *what, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s at byte %" PRIu64, what, p->pos);
}

/* The n bytes at pos, which lie within the source.  NULL: err is set. */
static const uint8_t *need(struct parser *p, size_t n, struct pixl_error *err)
{
    uint64_t skip = p->pos - p->block.offset;
    if (p->pos >= p->block.offset && skip <= p->block.n && n <= p->block.n - skip)
        return p->block.bytes + skip;
    uint64_t left = p->f->source.size_bytes - p->pos;
    assert(n <= left);
    if (!dicom_window_load(p->w, p->pos, left < BLOCK_BYTES ? left : BLOCK_BYTES, &p->block, err))
        return NULL;
    return p->block.bytes + (p->pos - p->block.offset);
}

static bool grow(struct parser *p, struct pixl_error *err)
{
    struct dicom_file *f = p->f;
    uint32_t cap = p->cap == 0 ? FIRST_ELEMENTS : p->cap > UINT32_MAX / 2 ? UINT32_MAX : p->cap * 2;
    if (cap > f->limits.max_elements)
        cap = f->limits.max_elements;
    if (cap <= p->cap)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "more than %" PRIu32 " elements", f->limits.max_elements);
    struct dicom_element *more = arena_calloc(f->arena, cap, sizeof *more);
    if (more == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "no memory for %" PRIu32 " elements", cap);
    if (f->n_elements > 0)
        memcpy(more, f->elements, f->n_elements * sizeof *more);
    f->elements = more;
    p->cap = cap;
    return true;
}

/* Adds an entry for what stands at pos and steps behind its header. */
static bool add(struct parser *p, uint32_t tag, enum dicom_vr vr, unsigned flags, uint32_t header_bytes,
                uint64_t value_bytes, struct pixl_error *err)
{
    struct dicom_file *f = p->f;
    if (f->n_elements == p->cap && !grow(p, err))
        return false;
    uint64_t value_offset = p->pos + header_bytes;
    f->elements[f->n_elements] = (struct dicom_element){
        .tag = tag, .vr = (uint8_t)vr, .flags = (uint8_t)flags, .depth = p->depth, .parent = p->open,
        .end = f->n_elements + 1, .offset = p->pos, .value_offset = value_offset, .value_bytes = value_bytes,
        .next_offset = value_offset + value_bytes,
    };
    f->n_elements++;
    p->pos = value_offset;
    return true;
}

/* Adds an element whose value is passed over. */
static bool add_leaf(struct parser *p, uint32_t tag, enum dicom_vr vr, unsigned flags, uint32_t header_bytes,
                     uint32_t length, struct pixl_error *err)
{
    /* A short value that reaches beyond the block: the next block starts with its element, so that each value is
     * whole in one block and is read once. */
    uint64_t behind = p->block.offset + p->block.n;
    uint64_t end = p->pos + header_bytes + length;
    if (end > behind && length <= SKIP_BYTES) {
        uint64_t left = p->f->source.size_bytes - p->pos;
        if (!dicom_window_load(p->w, p->pos, left < BLOCK_BYTES ? left : BLOCK_BYTES, &p->block, err))
            return false;
    }
    if (!add(p, tag, vr, flags, header_bytes, length, err))
        return false;
    p->pos = end;
    return true;
}

/* Opens a sequence or item; length may be undefined. */
static bool open_one(struct parser *p, uint32_t tag, enum dicom_vr vr, unsigned flags, uint32_t header_bytes,
                     uint32_t length, struct pixl_error *err)
{
    bool is_item = (flags & DICOM_IS_ITEM) != 0;
    if (!is_item && p->depth >= p->f->limits.max_depth && p->n_hidden > 0)
        return corrupt(p, "too deep for what may be no sequence", err);
    if (!is_item && p->depth >= p->f->limits.max_depth)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "sequences nested deeper than %" PRIu32, p->f->limits.max_depth);
    uint64_t left = p->limit - p->pos - header_bytes;
    if (length == DICOM_UNDEFINED_LENGTH)
        flags |= DICOM_IS_UNDEFINED;
    else
        left = length;
    if (!add(p, tag, vr, flags, header_bytes, left, err))
        return false;
    p->open = p->f->n_elements - 1;
    p->limit = p->pos + left;
    p->in_sequence = !is_item;
    set_coding(p, (flags & DICOM_IS_IMPLICIT) != 0);
    p->last_tag = 0;
    p->n_hidden += (flags & DICOM_IS_HIDDEN) != 0;
    if (!is_item)
        p->depth++;
    return true;
}

/* Goes on around what was open inside of p->open. */
static void resume(struct parser *p)
{
    struct dicom_file *f = p->f;
    if (p->open == DICOM_NO_PARENT) {
        p->limit = f->source.size_bytes;
        p->in_sequence = false;
        set_coding(p, !f->syntax->is_explicit);
        return;
    }
    const struct dicom_element *parent = &f->elements[p->open];
    p->limit = parent->value_offset + parent->value_bytes;
    p->in_sequence = (parent->flags & DICOM_IS_ITEM) == 0;
    set_coding(p, (parent->flags & DICOM_IS_IMPLICIT) != 0);
}

/* Closes the innermost sequence or item: its value ends at pos, delimiter_bytes follow. */
static bool close_one(struct parser *p, uint32_t delimiter_bytes, struct pixl_error *err)
{
    struct dicom_file *f = p->f;
    struct dicom_element *e = &f->elements[p->open];
    e->value_bytes = p->pos - e->value_offset;
    e->end = f->n_elements;
    p->pos += delimiter_bytes;
    e->next_offset = p->pos;
    if ((e->flags & DICOM_IS_ITEM) == 0) {
        p->depth--;
        p->last_tag = e->tag;
    }
    p->n_hidden -= (e->flags & DICOM_IS_HIDDEN) != 0;
    if ((e->flags & DICOM_IS_UNORDERED) && !dicom_order(f, p->open + 1, f->n_elements, err))
        return false;
    p->open = e->parent;
    resume(p);
    return true;
}

/* What was found is an error only where it is no hidden sequence that it was found in: the innermost of those is bytes. */
static bool take_for_bytes(struct parser *p, struct pixl_error *err)
{
    struct dicom_file *f = p->f;
    if (p->n_hidden == 0 || err->code != PIXL_E_CORRUPT)
        return false;
    pixl_error_clear(err);
    while ((f->elements[p->open].flags & DICOM_IS_HIDDEN) == 0)
        p->open = f->elements[p->open].parent;
    struct dicom_element *e = &f->elements[p->open];
    f->n_elements = p->open + 1;
    p->open = e->parent;
    p->n_hidden--;
    p->depth = e->depth;
    p->last_tag = e->tag;
    p->pos = e->next_offset;
    resume(p);
    e->flags = p->is_implicit ? DICOM_IS_IMPLICIT : 0;
    return true;
}

static bool is_undefined(const struct parser *p)
{
    return p->open != DICOM_NO_PARENT && (p->f->elements[p->open].flags & DICOM_IS_UNDEFINED) != 0;
}

/* An item, or the delimiter of the sequence; b: 8 bytes. */
static bool parse_item(struct parser *p, const uint8_t *b, struct pixl_error *err)
{
    uint32_t tag = read_tag(b), length = u32(b + 4);
    if (tag == DICOM_TAG_SEQUENCE_END) {
        if (!is_undefined(p) || length != 0)
            return corrupt(p, "a sequence delimiter where none belongs", err);
        return close_one(p, ITEM_HEADER_BYTES, err);
    }
    if (tag != DICOM_TAG_ITEM)
        return corrupt(p, "no item where one must be", err);
    if (length != DICOM_UNDEFINED_LENGTH && length > p->limit - p->pos - ITEM_HEADER_BYTES)
        return corrupt(p, "an item longer than its sequence", err);
    unsigned flags = DICOM_IS_ITEM | (p->is_implicit ? DICOM_IS_IMPLICIT : 0u);
    return open_one(p, tag, DICOM_VR_NONE, flags, ITEM_HEADER_BYTES, length, err);
}

/* The 8 bytes at offset, which lie within the source; where they were not read yet nothing around them is. */
static bool peek(const struct parser *p, uint64_t offset, uint8_t b[ITEM_HEADER_BYTES], struct pixl_error *err)
{
    const uint8_t *seen = dicom_window_find(p->w, offset, ITEM_HEADER_BYTES);
    if (seen == NULL)
        return p->f->source.read(&p->f->source, b, ITEM_HEADER_BYTES, offset, err);
    memcpy(b, seen, ITEM_HEADER_BYTES);
    return true;
}

/* Walks the fragments of encapsulated pixel data (PS3.5 section A.4); their headers alone are read. */
static bool parse_fragments(struct parser *p, uint32_t tag, enum dicom_vr vr, uint32_t header_bytes,
                            struct pixl_error *err)
{
    uint64_t start = p->pos;
    uint32_t index = p->f->n_elements;
    if (!add(p, tag, vr, DICOM_IS_UNDEFINED | DICOM_IS_ENCAPSULATED, header_bytes, 0, err))
        return false;
    for (;;) {
        uint8_t b[ITEM_HEADER_BYTES];
        uint64_t left = p->limit - p->pos;
        if (left < sizeof b)
            return corrupt(p, "pixel data without its delimiter", err);
        if (!peek(p, p->pos, b, err))
            return false;
        uint32_t mark = read_tag(b), length = u32(b + 4);
        left -= sizeof b;
        if (mark == DICOM_TAG_SEQUENCE_END && length == 0)
            break;
        if (mark != DICOM_TAG_ITEM)
            return corrupt(p, "no fragment of pixel data where one must be", err);
        if (length > left || length == DICOM_UNDEFINED_LENGTH)
            return corrupt(p, "a fragment longer than what is left", err);
        p->pos += sizeof b + (uint64_t)length;
    }
    struct dicom_element *e = &p->f->elements[index];
    e->value_bytes = p->pos - e->value_offset;
    if (e->value_bytes == 0) {
        p->pos = start;
        return corrupt(p, "encapsulated pixel data without an offset table", err);
    }
    p->pos += ITEM_HEADER_BYTES;
    e->next_offset = p->pos;
    return true;
}

/* An element of undefined length: a sequence, encapsulated pixel data, or an error. */
static bool parse_undefined(struct parser *p, uint32_t tag, enum dicom_vr vr, unsigned flags, uint32_t header_bytes,
                            struct pixl_error *err)
{
    if (vr == DICOM_VR_SQ)
        return open_one(p, tag, vr, flags | DICOM_IS_SEQUENCE, header_bytes, DICOM_UNDEFINED_LENGTH, err);
    if (vr == DICOM_VR_UN)          /* PS3.5 section 6.2.2, note 2: a sequence in implicit little endian */
        return open_one(p, tag, vr, flags | DICOM_IS_SEQUENCE | DICOM_IS_IMPLICIT, header_bytes,
                        DICOM_UNDEFINED_LENGTH, err);
    bool is_pixels = tag == DICOM_PIXEL_DATA && (vr == DICOM_VR_OB || vr == DICOM_VR_OW);
    if (!is_pixels || !p->f->syntax->is_encapsulated || p->is_implicit)
        return corrupt(p, "an undefined length where none may be", err);
    return parse_fragments(p, tag, vr, header_bytes, err);
}

/* The 32-bit length that stands behind VR and two reserved bytes. */
static bool parse_long_header(struct parser *p, uint32_t *header_bytes, uint32_t *length, struct pixl_error *err)
{
    if (p->limit - p->pos < DICOM_LONG_HEADER_BYTES)
        return corrupt(p, "a truncated element", err);
    const uint8_t *b = need(p, DICOM_LONG_HEADER_BYTES, err);
    if (b == NULL)
        return false;
    p->f->has_reserved = p->f->has_reserved || b[DICOM_RESERVED_AT] != 0 || b[DICOM_RESERVED_AT + 1] != 0;
    *header_bytes = DICOM_LONG_HEADER_BYTES;
    *length = p->is_big_endian ? __builtin_bswap32(u32(b + 8)) : u32(b + 8);
    return true;
}

/* Two bytes that are no VR.  As DCMTK has it: capital letters may be one of a later edition, and all those have a long
 * header; anything else stands before a short one.  But what cannot be printed may as well be the length of an element
 * without VR, and then nobody knows where it ends. */
static bool parse_strange_header(struct parser *p, const uint8_t *b, enum dicom_vr *vr, uint32_t *header_bytes,
                                 uint32_t *length, struct pixl_error *err)
{
    const char first = (char)b[4], second = (char)b[5];
    const bool is_capital = first >= 'A' && first <= 'Z' && second >= 'A' && second <= 'Z';
    if (first < 0x20 || first > 0x7E || second < 0x20 || second > 0x7E)
        return corrupt(p, "an unknown value representation", err);
    *vr = DICOM_VR_UN;
    *header_bytes = ITEM_HEADER_BYTES;
    *length = u16(b + 6);
    const bool is_of_dcmtk =
        (first == 'o' && second == 'x') || (first == 'l' && second == 't'); /* its names for OB or OW */
    if (!is_capital && !is_of_dcmtk)
        return true;
    if (!parse_long_header(p, header_bytes, length, err))
        return false;
    return *length != DICOM_UNDEFINED_LENGTH ||
           corrupt(p, "an undefined length of an unknown value representation", err);
}

/* VR, header size and length of the element at pos, of which 8 bytes are at b. */
static bool parse_header(struct parser *p, uint32_t tag, const uint8_t *b, enum dicom_vr *vr, uint32_t *header_bytes,
                         uint32_t *length, struct pixl_error *err)
{
    if (p->is_implicit) {
        *vr = dicom_dict_vr(tag);
        *header_bytes = 8;
        *length = u32(b + 4);
        return true;
    }
    if (!dicom_vr_parse((const char[2]){ (char)b[4], (char)b[5] }, vr))
        return parse_strange_header(p, b, vr, header_bytes, length, err);
    if (dicom_vr_has_long_header(*vr))
        return parse_long_header(p, header_bytes, length, err);
    *header_bytes = 8;
    *length = u16(b + 6);
    return true;
}

/* Does a value of unknown meaning begin with an item?  Then it may be a sequence whose length hides it, which is implicit
 * little endian (PS3.5 section 6.2.2). */
static bool may_be_hidden(struct parser *p, uint32_t tag, uint32_t header_bytes, uint32_t length, bool *may_be,
                          struct pixl_error *err)
{
    static const uint8_t item[] = { 0xFE, 0xFF, 0x00, 0xE0 };
    uint8_t b[ITEM_HEADER_BYTES];
    *may_be = false;
    if (length < sizeof b || p->in_meta || DICOM_GROUP(tag) == 0x7FE0 || p->depth >= p->f->limits.max_depth)
        return true;
    if (!peek(p, p->pos + header_bytes, b, err))
        return false;
    *may_be = memcmp(b, item, sizeof item) == 0;
    return true;
}

/* Looks at an element that is no sequence by its VR and has a 32-bit length. */
static bool look_at_long(struct parser *p, uint32_t tag, enum dicom_vr vr, uint32_t header_bytes, uint32_t length,
                         bool *is_hidden, struct pixl_error *err)
{
    if (tag == DICOM_PIXEL_DATA && p->depth == 0 && p->f->syntax->is_encapsulated) /* icons may be native */
        return corrupt(p, "pixel data of defined length in an encapsulated syntax", err);
    return (vr != DICOM_VR_UN && !(vr == DICOM_VR_OB && p->is_implicit)) ||
           may_be_hidden(p, tag, header_bytes, length, is_hidden, err);
}

static bool parse_element(struct parser *p, const uint8_t *b, struct pixl_error *err)
{
    uint32_t tag = read_tag(b), header_bytes = 0, length = 0;
    enum dicom_vr vr = DICOM_VR_NONE;
    if (DICOM_GROUP(tag) == 0xFFFE) {
        bool is_end = tag == DICOM_TAG_ITEM_END && u32(b + 4) == 0 && is_undefined(p);
        if (!is_end)
            return corrupt(p, "an item or delimiter where none belongs", err);
        return close_one(p, ITEM_HEADER_BYTES, err);
    }
    if (DICOM_GROUP(tag) == 0 || (DICOM_GROUP(tag) == 0x0002 && !p->in_meta))
        return corrupt(p, "an element of a group that belongs into no data set", err);
    if (tag > p->last_tag)
        p->last_tag = tag;
    else if (p->open != DICOM_NO_PARENT)
        p->f->elements[p->open].flags |= DICOM_IS_UNORDERED;
    else
        p->is_unordered = true;
    if (!parse_header(p, tag, b, &vr, &header_bytes, &length, err))
        return false;
    if (DICOM_ELEMENT_OF(tag) == 0 && (vr == DICOM_VR_SQ || length == DICOM_UNDEFINED_LENGTH))
        return corrupt(p, "a group length that is a sequence", err);
    unsigned flags = p->is_implicit ? DICOM_IS_IMPLICIT : 0u;
    if (length == DICOM_UNDEFINED_LENGTH)
        return parse_undefined(p, tag, vr, flags, header_bytes, err);
    if (length > p->limit - p->pos - header_bytes)
        return corrupt(p, "a value longer than what is left", err);
    if (vr == DICOM_VR_SQ)
        return open_one(p, tag, vr, flags | DICOM_IS_SEQUENCE, header_bytes, length, err);
    bool is_hidden = false;
    if ((header_bytes == DICOM_LONG_HEADER_BYTES || p->is_implicit) &&
        !look_at_long(p, tag, vr, header_bytes, length, &is_hidden, err))
        return false;
    if (is_hidden)
        return open_one(p, tag, vr, DICOM_IS_SEQUENCE | DICOM_IS_IMPLICIT | DICOM_IS_HIDDEN, header_bytes, length, err);
    return add_leaf(p, tag, vr, flags, header_bytes, length, err);
}

/* Steps over what follows the last element when that is zeros to the end, and not too many: *skipped. */
static bool skip_padding(struct parser *p, bool *skipped, struct pixl_error *err)
{
    uint64_t at = p->pos, left = p->limit - p->pos;
    *skipped = false;
    if (p->open != DICOM_NO_PARENT || left > PADDING_MAX)
        return true;
    while (p->pos < p->limit) {
        const uint8_t *b = need(p, 1, err);
        if (b == NULL)
            return false;
        uint64_t n = p->block.offset + p->block.n - p->pos;
        if (b[0] != 0 || memcmp(b, b + 1, (size_t)n - 1) != 0) {
            p->pos = at;
            return true;
        }
        p->pos += n;
    }
    *skipped = true;
    return true;
}

/* Is all known of what was asked for, when tags up to this one were seen?  In a data set without order the last element
 * may be the one. */
static bool is_far_enough(const struct parser *p, uint32_t tag)
{
    return tag >= p->until && !p->is_unordered;
}

static bool parse_elements(struct parser *p, struct pixl_error *err)
{
    for (;;) {
        while (p->pos == p->limit && p->open != DICOM_NO_PARENT && !is_undefined(p))
            if (!close_one(p, 0, err))
                return false;
        if (p->open == DICOM_NO_PARENT && (p->pos == p->limit || (p->has_until && is_far_enough(p, p->last_tag))))
            return true;
        const uint8_t *b = NULL;
        uint8_t swapped[ITEM_HEADER_BYTES];
        if (p->limit - p->pos >= ITEM_HEADER_BYTES) {
            b = need(p, ITEM_HEADER_BYTES, err);
            if (b == NULL)
                return false;
            if (p->is_big_endian)
                b = in_little_endian(b, swapped);
            if (p->in_sequence) {
                if (!parse_item(p, b, err))
                    return false;
                continue;
            }
        }
        if (b == NULL || u32(b) == 0) {
            bool skipped = false;
            if (!skip_padding(p, &skipped, err))
                return false;
            if (skipped)
                return true;
            return corrupt(p, b ? "an element of tag (0000,0000)" : "a truncated element or a missing delimiter", err);
        }
        if (p->has_until && p->open == DICOM_NO_PARENT && read_tag(b) > p->last_tag &&
            is_far_enough(p, read_tag(b) - 1))
            return true;
        if (!parse_element(p, b, err))
            return false;
    }
}

static bool parse_data_set(struct parser *p, struct pixl_error *err)
{
    while (!parse_elements(p, err))
        if (!take_for_bytes(p, err))
            return false;
    return !p->is_unordered || dicom_order(p->f, p->f->meta_end, p->f->n_elements, err);
}

/* File meta: group 0002 at pos, always explicit little endian (PS3.10 section 7.1).  It ends with its group, not where
 * its group length says: that one is wrong in many files, and nothing of the meta is passed on. */
static bool parse_meta(struct parser *p, struct pixl_error *err)
{
    set_coding(p, false);
    p->in_meta = true;
    while (p->limit - p->pos >= ITEM_HEADER_BYTES) {
        const uint8_t *b = need(p, ITEM_HEADER_BYTES, err);
        if (b == NULL)
            return false;
        if (u16(b) != 0x0002)
            break;
        if (!parse_element(p, b, err))
            return false;
        if (p->open != DICOM_NO_PARENT)
            return corrupt(p, "a sequence in the file meta group", err);
    }
    p->in_meta = false;
    p->f->meta_end = p->f->n_elements;
    p->f->has_meta = p->f->n_elements > 0;
    if (p->is_unordered && !dicom_order(p->f, 0, p->f->meta_end, err))
        return false;
    p->is_unordered = false;
    p->last_tag = 0;
    return true;
}

/* The coding of a data set whose syntax is not named: group 0008 says which byte order, two capital letters that are a VR
 * say explicit. */
static bool guess_syntax(struct parser *p, struct pixl_error *err)
{
    if (p->limit - p->pos < ITEM_HEADER_BYTES)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "not a DICOM file");
    const uint8_t *b = need(p, ITEM_HEADER_BYTES, err);
    if (b == NULL)
        return false;
    enum dicom_vr vr;
    const bool is_explicit = dicom_vr_parse((const char[2]){ (char)b[4], (char)b[5] }, &vr);
    const bool is_big_endian = is_explicit && b[0] == 0 && b[1] == 8;
    if (u16(b) != 0x0008 && !is_big_endian)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "not a DICOM file");
    p->f->syntax = dicom_syntax_find(is_big_endian ? STR("1.2.840.10008.1.2.2")
                                     : is_explicit ? STR("1.2.840.10008.1.2.1")
                                                   : STR("1.2.840.10008.1.2"));
    return true;
}

static bool find_syntax(struct parser *p, struct pixl_error *err)
{
    struct str uid, other;
    int64_t i = dicom_find(p->f, DICOM_NO_PARENT, DICOM_META_TRANSFER_SYNTAX);
    if (i < 0)
        return guess_syntax(p, err);
    if (!dicom_value(p->f, (uint32_t)i, &uid, err))
        return false;
    uid = dicom_uid_trim(uid);
    for (uint32_t k = (uint32_t)i + 1; k < p->f->meta_end && p->f->elements[k].tag == DICOM_META_TRANSFER_SYNTAX; k++)
        if (!dicom_value(p->f, k, &other, err) || !str_eq(dicom_uid_trim(other), uid))
            return err->code != PIXL_OK ? false : pixl_fail(err, PIXL_E_CORRUPT, 0, "two transfer syntaxes");
    const struct dicom_syntax *s = dicom_syntax_find(uid);
    if (s == NULL && !dicom_uid_is_plausible(uid))
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "transfer syntax is not a UID");
    /* GE's of implicit big endian; any other may stand here by mistake, an instance's UID. */
    const bool is_known = dicom_uid_is_standard(uid) || str_eq(uid, STR("1.2.840.113619.5.2"));
    if (s == NULL)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "transfer syntax %.*s",
                         STR_ARG(is_known ? uid : STR("that is none of the standard's")));
    p->f->syntax = s;
    return true;
}

/* Makes the inflated data set what is parsed from here on. */
static bool enter_inflated(struct parser *p, uint64_t want, enum dicom_inflate_end *end, struct pixl_error *err)
{
    struct dicom_file *f = p->f;
    if (!dicom_inflate(&f->given, f->data_offset, want, f->limits.max_inflated_bytes, f->arena, &f->source, end, err) ||
        !dicom_window_new(&f->source, f->arena, &p->w, err))
        return false;
    f->window_ = p->w;
    f->n_elements = f->meta_end;
    p->block = (struct dicom_block){ 0 };
    p->pos = f->data_offset;
    p->limit = f->source.size_bytes;
    p->open = DICOM_NO_PARENT;
    p->depth = 0;
    p->last_tag = 0;
    p->in_sequence = false;
    p->is_unordered = false;
    p->n_hidden = 0;
    set_coding(p, !f->syntax->is_explicit);
    return true;
}

/* Up to a tag: inflates a little and looks whether it stands there, else more. */
static bool parse_inflated(struct parser *p, struct pixl_error *err)
{
    enum dicom_inflate_end end;
    for (uint64_t want = p->has_until ? FIRST_INFLATED : UINT64_MAX;; want *= 8) {
        if (!enter_inflated(p, want, &end, err))
            return false;
        if (end == DICOM_INFLATE_CUT && !p->has_until)
            return pixl_fail(err, PIXL_E_CORRUPT, 0, "a deflated data set that is damaged or cut off");
        bool ok = parse_data_set(p, err);
        if (end != DICOM_INFLATE_MORE || (ok && (p->pos < p->limit || is_far_enough(p, p->last_tag))) ||
            (!ok && err->code != PIXL_E_CORRUPT))
            return ok;
        pixl_error_clear(err);
    }
}

static bool parse_all(struct parser *p, struct pixl_error *err)
{
    struct dicom_file *f = p->f;
    if (f->source.size_bytes >= PREAMBLE_BYTES + 4) {
        p->pos = 0;
        const uint8_t *b = need(p, PREAMBLE_BYTES + 4, err);
        if (b == NULL)
            return false;
        f->has_preamble = memcmp(b + PREAMBLE_BYTES, "DICM", 4) == 0;
        p->pos = f->has_preamble ? PREAMBLE_BYTES + 4 : 0;
    }
    /* Until the syntax is known, undefined lengths of pixel data are errors: none belongs into the meta. */
    f->syntax = dicom_syntax_find(STR("1.2.840.10008.1.2.1"));
    if (!parse_meta(p, err) || !find_syntax(p, err))
        return false;
    set_coding(p, !f->syntax->is_explicit);
    f->data_offset = p->pos;
    if (!(f->syntax->is_deflated ? parse_inflated(p, err) : parse_data_set(p, err)))
        return false;
    if (!p->has_until && f->n_elements == f->meta_end)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "no data set in the file");
    return true;
}

static bool parse(const struct dicom_source *source, const struct dicom_limits *limits, bool has_until, uint32_t until,
                  struct arena *arena, struct dicom_file *out, struct pixl_error *err)
{
    struct dicom_file f = { .source = *source, .given = *source, .arena = arena, .limits = *limits };
    if (f.limits.max_depth > UINT16_MAX - 1)
        f.limits.max_depth = UINT16_MAX - 1;
    struct parser p = {
        .f = &f, .limit = source->size_bytes, .open = DICOM_NO_PARENT, .has_until = has_until, .until = until
    };
    if (!dicom_window_new(source, arena, &p.w, err))
        return false;
    f.window_ = p.w;
    if (!parse_all(&p, err))
        return false;
    *out = f;
    return true;
}

bool dicom_parse(const struct dicom_source *source, const struct dicom_limits *limits, struct arena *arena,
                 struct dicom_file *out, struct pixl_error *err)
{
    return parse(source, limits, false, 0, arena, out, err);
}

bool dicom_parse_until(const struct dicom_source *source, const struct dicom_limits *limits, uint32_t last_tag,
                       struct arena *arena, struct dicom_file *out, struct pixl_error *err)
{
    return parse(source, limits, true, last_tag, arena, out, err);
}

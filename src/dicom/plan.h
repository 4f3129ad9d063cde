/* plan.h - an instance to be written, as a list of pieces: bytes from memory, and ranges of the source, masked or not.
 *
 * De-identification decides first and writes last: it fills a plan, the plan is checked, and only then does somebody
 * copy its pieces.  Ranges that touch become one, so that an instance whose pixels stay is three or four pieces.
 * Owns: pieces and memory bytes but for borrowed ones, in the arena given.  Never: does I/O itself except through dicom_plan_write_fd.
 * Threads: one plan belongs to one thread. */
#ifndef PIXL_DICOM_PLAN_H
#define PIXL_DICOM_PLAN_H

#include "dicom/file.h"
#include "dicom/mask.h"

struct dicom_piece {
    const uint8_t *bytes;        /* NULL: from the source */
    uint64_t offset;             /* in the source, when bytes is NULL */
    uint64_t n;
    const struct dicom_mask *mask;       /* of a range that is pixel data from its first byte on; else NULL */
};

struct dicom_plan {
    struct arena *arena;
    struct dicom_piece *pieces;
    size_t n_pieces, cap_pieces;
    uint64_t size_bytes;         /* of all pieces */
    uint8_t *tail_;              /* memory piece under construction */
    size_t tail_n_, tail_cap_;
};

void dicom_plan_init(struct dicom_plan *p, struct arena *arena);
/* n bytes copied into the plan.  Fails: NOMEM. */
PIXL_MUST_CHECK bool dicom_plan_bytes(struct dicom_plan *p, const void *bytes, size_t n, struct pixl_error *err);
/* n bytes that stay the caller's and live as long as the plan; joins the piece before it when it continues there.
 * Fails: NOMEM. */
PIXL_MUST_CHECK bool dicom_plan_borrowed(struct dicom_plan *p, const uint8_t *bytes, uint64_t n,
                                         struct pixl_error *err);
/* A range of the source; joins the piece before it when it continues there. */
PIXL_MUST_CHECK bool dicom_plan_range(struct dicom_plan *p, uint64_t offset, uint64_t n, struct pixl_error *err);
/* A range of the source that is native pixel data, with zeros where the mask says so.  Whoever writes the plan reads it
 * in blocks and masks them: neither memory nor the number of pieces grows with rows or frames.  mask is borrowed. */
PIXL_MUST_CHECK bool dicom_plan_masked(struct dicom_plan *p, uint64_t offset, uint64_t n, const struct dicom_mask *mask,
                                       struct pixl_error *err);

/* How elements are coded in what is written. */
struct dicom_coding { bool is_explicit, is_big_endian; };
struct dicom_coding dicom_coding_of(const struct dicom_syntax *s);
/* How the header of an element of f is coded in the source, and with it the numbers in its value: file meta explicit
 * little endian, what stands inside a sequence of UN implicit little endian, else as the syntax says. */
struct dicom_coding dicom_coding_at(const struct dicom_file *f, uint32_t index);

/* Size of an element's header: 8 or 12 bytes. */
uint32_t dicom_header_bytes(struct dicom_coding c, enum dicom_vr vr);
/* Header of an element (tag, VR, length; length may be DICOM_UNDEFINED_LENGTH), item or delimiter (vr DICOM_VR_NONE).
 * Fails: LIMIT when value_bytes does not fit the length field of the VR (16 bits for short ones). */
PIXL_MUST_CHECK bool dicom_plan_header(struct dicom_plan *p, struct dicom_coding c, uint32_t tag, enum dicom_vr vr,
                                       uint64_t value_bytes, struct pixl_error *err);
/* A whole element with the value padded to even length as its VR wants. */
PIXL_MUST_CHECK bool dicom_plan_element(struct dicom_plan *p, struct dicom_coding c, uint32_t tag, enum dicom_vr vr,
                                        struct str value, struct pixl_error *err);

/* Preamble of zeros, "DICM" and a fresh file meta group (PS3.10 section 7.1) in explicit little endian: version, the
 * two SOP UIDs, the transfer syntax, pixl's implementation class UID and version name.  Nothing of the source's meta
 * passes. */
PIXL_MUST_CHECK bool dicom_plan_meta(struct dicom_plan *p, struct str sop_class_uid, struct str sop_instance_uid,
                                     struct str transfer_syntax, struct pixl_error *err);

/* Gives the pieces' bytes in order to sink(), source ranges read in blocks through a buffer of block_bytes that the
 * caller owns.  Fails: INVALID when a range reaches beyond the source; as read() and sink() do. */
PIXL_MUST_CHECK bool dicom_plan_each(const struct dicom_plan *p, const struct dicom_source *source, void *block,
                                     size_t block_bytes,
                                     bool (*sink)(void *ctx, const void *bytes, size_t n, struct pixl_error *err),
                                     void *ctx, struct pixl_error *err);
/* The bytes of the plan into to, which has room for its size_bytes; long ranges are read right into their place.
 * Fails: as source->read; INVALID when the plan reaches beyond the source. */
PIXL_MUST_CHECK bool dicom_plan_gather(const struct dicom_plan *p, const struct dicom_source *source, void *to,
                                       struct pixl_error *err);
/* Writes all pieces to fd at its position, long ranges by copy_file_range where that works.  Fails: INVALID as above;
 * CORRUPT (source shrank), NO_SPACE, IO. */
PIXL_MUST_CHECK bool dicom_plan_write_fd(const struct dicom_plan *p, const struct dicom_source *source, int fd,
                                         struct pixl_error *err);

#endif

/* file.h - reads the structure of a DICOM instance (PS3.10, PS3.5 section 7) without holding its pixels.
 *
 * A parse is one pass with pread over a source: it gives a flat list of elements, each with where it stands; sequences
 * and items are entries whose descendants follow them.  In each data set tags ascend, as in the file or sorted.  Values
 * stay in the file until asked for.
 *
 *   (0008,0060)            parent=-, end=1
 *   (0008,1140) SQ         parent=-, end=6         end: index of the first entry that is not inside
 *     item                 parent=1, end=4
 *       (0008,1150)        parent=2, end=4
 *
 * The whole structure is read to the end of the source before anything is decided: a length that does not fit, a
 * truncated value, a missing delimiter is CORRUPT.  Nothing is mapped: a file that shrinks under us is a short read.
 * Owns: the element list and the values read so far (in the arena given).
 * Never: changes a byte; holds policy; allocates per element.
 * Threads: one file belongs to one thread. */
#ifndef PIXL_DICOM_FILE_H
#define PIXL_DICOM_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "dicom/tag.h"
#include "dicom/uid.h"

/* Where bytes come from.  read() gives exactly n bytes or fails. */
struct dicom_source {
    bool (*read)(const struct dicom_source *s, void *p, size_t n, uint64_t offset, struct pixl_error *err);
    uint64_t size_bytes;
    int fd;                      /* for dicom_source_fd; -1 else */
    const uint8_t *bytes;        /* for dicom_source_bytes */
    struct timespec mtime, ctime;/* of fd, with inode: what dicom_source_unchanged() compares */
    uint64_t inode;
};
/* fd stays the caller's; its size and times are taken now.  Fails: IO. */
PIXL_MUST_CHECK bool dicom_source_fd(int fd, struct dicom_source *out, struct pixl_error *err);
/* Is the file still what it was at dicom_source_fd()?  To be asked when its bytes were used for the last time: one that
 * was rewritten in place may hold what nobody checked.  Fails: CORRUPT (changed), IO. */
PIXL_MUST_CHECK bool dicom_source_unchanged(const struct dicom_source *s, struct pixl_error *err);
struct dicom_source dicom_source_bytes(const void *p, size_t n);     /* borrowed */

struct dicom_limits {
    uint32_t max_elements;       /* entries, items included; 2,000,000 */
    uint32_t max_depth;          /* nesting of sequences; 32 */
    uint32_t max_value_bytes;    /* the most that dicom_value() loads; 16 MiB */
    uint32_t max_inflated_bytes; /* of a deflated data set, all of it in memory; 64 MiB */
};
#define DICOM_LIMITS_DEFAULT ((struct dicom_limits){ 2000000, 32, 16u << 20, 64u << 20 })

enum dicom_element_flags {
    DICOM_IS_ITEM         = 1u << 0,    /* an item of a sequence (tag DICOM_TAG_ITEM) */
    DICOM_IS_SEQUENCE     = 1u << 1,    /* its items follow as entries */
    DICOM_IS_UNDEFINED    = 1u << 2,    /* length was undefined in the file; a delimiter ends it */
    DICOM_IS_ENCAPSULATED = 1u << 3,    /* pixel data in fragments: value_offset..+value_bytes spans all fragment items,
                                         * without the closing delimiter */
    DICOM_IS_IMPLICIT     = 1u << 4,    /* it and what is inside is coded implicit LE.  A sequence written as UN in an
                                         * explicit syntax has it too, for what is inside: its own header is explicit
                                         * (PS3.5 section 6.2.2); dicom_coding_at() tells */
    DICOM_IS_HIDDEN       = 1u << 5,    /* a sequence that was written as a value of defined length: UN, or OB where no VR
                                         * is written.  Its bytes are items from the first to the last */
    DICOM_IS_DUPLICATE    = 1u << 6,    /* its tag was there before in the same data set: not what a reader looks at */
    DICOM_IS_UNORDERED    = 1u << 7,    /* of an item: its tags do not ascend in the file, or one is there twice */
};

enum { DICOM_LONG_HEADER_BYTES = 12, DICOM_RESERVED_AT = 6, DICOM_RESERVED_BYTES = 2 };
#define DICOM_NO_PARENT 0xFFFFFFFFu

struct dicom_element {
    uint32_t tag;
    uint8_t vr;                  /* enum dicom_vr: as written, or the dictionary's when implicit; UN for two characters
                                  * that are no VR */
    uint8_t flags;
    uint16_t depth;              /* sequences around it; 0: main data set or file meta.  An item and what it holds are
                                  * one deeper than their sequence */
    uint32_t parent;             /* index of the enclosing item; DICOM_NO_PARENT */
    uint32_t end;                /* index behind its last descendant; index + 1 when it has none */
    uint64_t offset;             /* of its tag in the source */
    uint64_t value_offset;
    uint64_t value_bytes;        /* of a sequence or item: all that is inside, without its own delimiter */
    uint64_t next_offset;        /* behind it, its delimiter included */
};

struct dicom_file {
    struct dicom_source source; /* the one given, or the inflated bytes of a deflated data set behind a copy of what
                                      * stands before it: what all offsets mean, and what a plan of f is written from */
    struct dicom_source given;  /* to parse it again */
    struct arena *arena;
    struct dicom_limits limits;
    const struct dicom_syntax *syntax;
    bool has_preamble;
    bool has_meta;
    bool has_reserved;           /* bytes that long headers reserve (PS3.5 section 7.1.2) are not all zero */
    uint32_t meta_end;           /* elements[0..meta_end) are group 0002 */
    uint64_t data_offset;        /* of the main data set */
    struct dicom_element *elements;
    uint32_t n_elements;
    struct dicom_window *window_;    /* what was read so far */
};

/* Parses the whole source.  Everything lives in arena.
 *   Every native, encapsulated and deflated syntax of PS3.6 Table A-1 is read.  Behind the stream of a deflated data set
 *   anything may stand; one that is cut off is CORRUPT.
 *   Without preamble or file meta a data set is accepted when it begins with group 0008, of either byte order, and parses
 *   to its end.
 *   Two characters that are no VR are read as DCMTK reads them: capital letters before a length of 32 bits, others that
 *   can be printed before one of 16; an element without VR in an explicit syntax is CORRUPT.  Odd lengths are read as they
 *   are.
 *   A data set whose tags do not ascend is sorted; of elements that are there twice the first counts and the others are
 *   marked.
 *   Up to 64 KiB of zeros behind the last element are let pass.
 * Fails: CORRUPT (not DICOM, or a structure that does not fit, with the byte offset, never a value), UNSUPPORTED
 * (transfer syntax that is none: its UID is named where it cannot be an instance's), LIMIT, NOMEM, IO. */
PIXL_MUST_CHECK bool dicom_parse(const struct dicom_source *source, const struct dicom_limits *limits,
                                 struct arena *arena, struct dicom_file *out, struct pixl_error *err);

/* Only what an index needs: parses elements of the main data set up to and including last_tag, or all when one was out of
 * order by then, and stops; what stands behind is neither read nor checked, nor inflated but for a little. */
PIXL_MUST_CHECK bool dicom_parse_until(const struct dicom_source *source, const struct dicom_limits *limits,
                                       uint32_t last_tag, struct arena *arena, struct dicom_file *out,
                                       struct pixl_error *err);

/* Index of a tag among the children of `item` (DICOM_NO_PARENT: the main data set; file meta is found by its group), of
 * several the one that is no duplicate, or -1. */
int64_t dicom_find(const struct dicom_file *f, uint32_t item, uint32_t tag);

/* The bytes of a value, loaded when they are not yet: borrowed from the arena, or from a source of bytes.
 * Fails: LIMIT, IO, CORRUPT (file shrank), NOMEM. */
PIXL_MUST_CHECK bool dicom_value(struct dicom_file *f, uint32_t index, struct str *out, struct pixl_error *err);

/* n bytes of the source at offset, as the parser or dicom_value() read them; borrowed from the arena.  NULL: not read, or
 * not in one piece. */
const uint8_t *dicom_bytes_read(const struct dicom_file *f, uint64_t offset, uint64_t n);

/* The text value of a tag in the main data set, trailing padding trimmed (blanks and NULs); *found tells absent from
 * empty. */
PIXL_MUST_CHECK bool dicom_text(struct dicom_file *f, uint32_t tag, struct str *out, bool *found,
                                struct pixl_error *err);

/* The creator of a private element: index of the (gggg,00bb) element in the same data set or item that reserves its
 * block, or -1. */
int64_t dicom_private_creator(const struct dicom_file *f, uint32_t index);

#endif

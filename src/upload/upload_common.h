/* upload_common.h - what all destinations that hold files agree on: temporary names and the marker of the hashing key.
 *
 *   .<final name>.<writer>.<fence>.part     a study under construction, by the store called writer, under a claim
 *   .<final name>.<writer>.table.part       a table; .key.part: the marker
 *   .pixl-key                               the check value on its first line, then a note for people
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_UPLOAD_UPLOAD_COMMON_H
#define PIXL_UPLOAD_UPLOAD_COMMON_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#define UPLOAD_MARKER ".pixl-key"

enum {
    UPLOAD_WRITER_MAX = 32,
    UPLOAD_SUFFIX_SIZE = UPLOAD_WRITER_MAX + 32,
    UPLOAD_MARKER_MAX = 4096,            /* bytes of a marker that are looked at */
};

/* "<writer>.<fence>", what comes between the final name and ".part". */
void upload_study_suffix(const char *writer, int64_t fence, char out[UPLOAD_SUFFIX_SIZE]);

/* The fence in ".<final>.<writer>.<fence>.part"; -1 when file is of another form, final or writer. */
int64_t upload_part_fence(const char *file, const char *final, const char *writer);

/* A marker that says check_value.  false: no room in *out. */
bool upload_marker_add(struct buf *out, struct str check_value);

/* text, from the beginning of a marker, must say check_value.  Fails: EXISTS, with what to do. */
PIXL_MUST_CHECK bool upload_marker_agrees(struct str text, struct str check_value, struct pixl_error *err);

#endif

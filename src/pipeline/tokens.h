/* tokens.h - the token bucket of an archive, kept as a row of the store, so that all processes share it and a restart keeps it.
 * Owns: nothing.  Never: waits.  Threads: any. */
#ifndef PIXL_PIPELINE_TOKENS_H
#define PIXL_PIPELINE_TOKENS_H

#include "store/store.h"

#define TOKENS_CAPACITY 5.0

/* Sets the rate of an archive (studies/s; 0 stops it), settling what has passed at the old one; a new bucket is full.
 * Fails: INVALID on a rate that is none. */
PIXL_MUST_CHECK bool tokens_set_rate(struct store *s, const char *archive, double rate_per_s, int64_t now_us, struct pixl_error *err);
/* The same for one archive that has a bucket, or (archive empty) for all.  Fails: NOT_FOUND when there is none such. */
PIXL_MUST_CHECK bool tokens_set_rates(struct store *s, struct str archive, double rate_per_s, int64_t now_us,
                                      struct pixl_error *err);
/* *is_set: is there a bucket at all?  *rate_per_s then. */
PIXL_MUST_CHECK bool tokens_rate(struct store *s, const char *archive, double *rate_per_s, bool *is_set, struct pixl_error *err);
/* All buckets of the store, by name, in the arena. */
struct tokens_bucket {
    const char *archive;
    double rate_per_s, tokens;   /* that could be taken at now_us; below 0: so many are reserved ahead */
};
PIXL_MUST_CHECK bool tokens_list(struct store *s, int64_t now_us, struct arena *a, struct tokens_bucket **out, size_t *n,
                                 struct pixl_error *err);
/* Reserves a token: *granted false when stopped; *wait_us is how long to wait before the archive is asked.
 * most_per_s: the rate just now, when the bucket's own is higher (negative: none). */
PIXL_MUST_CHECK bool tokens_reserve(struct store *s, const char *archive, double most_per_s, int64_t now_us,
                                    bool *granted, int64_t *wait_us, struct pixl_error *err);
/* Gives an unused reservation back. */
PIXL_MUST_CHECK bool tokens_refund(struct store *s, const char *archive, int64_t now_us, struct pixl_error *err);

#endif

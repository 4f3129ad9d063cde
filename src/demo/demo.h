/* demo.h - a made-up hospital: an archive of identifiable images, two cohorts, two projects, and the knowledge of
 * what must come of them.
 *
 *   <dir>/hospital/archive/...               DICOM files, identities in many places
 *   <dir>/hospital/omop-extract/{public,private}/..., extract_summary.json
 *   <dir>/hospital/cohort.csv
 *   <dir>/configs/<slug>.yaml, configs/tag-operations/...
 *   <dir>/safe-haven/                        the destination
 *   <dir>/.pixl-demo                         says that the folder is a demo's
 * Everything is computed from a seed: the same call makes the same bytes.  No person in it exists.
 * Owns: what struct demo points to (its arena).  Never: uses anything but pixl's own writer and DuckDB.
 * Threads: one call at a time. */
#ifndef PIXL_DEMO_DEMO_H
#define PIXL_DEMO_DEMO_H

#include "base/arena.h"
#include "base/error.h"
#include "pipeline/site.h"

struct demo_study {
    const char *project; /* slug */
    int64_t procedure_occurrence_id;
    enum study_state expect; /* how it must end */
    enum study_reason expect_reason;
    int64_t expect_instances;  /* delivered; 0 when it is not */
    uint8_t expect_pixels[32]; /* the SHA-256 of the pixel data of each delivered instance, all combined by XOR */
    const char *what;          /* "CT of the chest, 24 slices", "X-ray whose comment names the patient" */
};
struct demo {
    struct arena arena;
    const char *dir, *archive_dir, *omop_dir, *csv_path, *configs_dir, *safe_haven_dir, *exports_dir;
    const char *omop_project, *csv_project;
    struct demo_study *studies;
    size_t n_studies;
    const char *const *needles; /* every identity that was planted, NULL-terminated: none may be in what comes out */
    const char *sample_path;    /* an identifiable file whose header is worth showing before and after */
    const char *sample_project; /* the project that it is delivered to */
};

/* Makes the hospital below dir, which must not exist, or be empty, or hold an earlier demo and nothing else: that is
 * replaced, with what its extraction wrote (state, exports).  n_studies >= 8; the special ones are always
 * there: missing, skipped, damaged, leaking, asked for twice, found by accession number, asked for by series.
 * temp_dir: where DuckDB may spill. *out zeroed by the caller, freed with demo_done(); every path in it is
 * absolute.
 * Fails: INVALID (n_studies), EXISTS (dir holds something else), BUSY (the earlier demo still runs), UNSUPPORTED (no
 * DuckDB), IO, NO_SPACE, DENIED, NOMEM. */
PIXL_MUST_CHECK bool demo_make(const char *dir, size_t n_studies, const char *temp_dir, struct demo *out,
                               struct pixl_error *err);
void demo_done(struct demo *d);

/* Compares what the store says and what lies in the safe haven with what must be: say() is told each difference.
 * *right: there was none.  Every delivered zip is inflated: its instances are counted, parsed, their pixels
 * compared with what was drawn, and their bytes searched for planted identities; so are all other files, and all
 * file names, of the safe haven and the exports. s: opened with SITE_STORE.  Fails: when it cannot look (IO,
 * NOMEM, UNSUPPORTED). */
PIXL_MUST_CHECK bool demo_verify(const struct demo *d, struct site *s, void (*say)(void *ctx, const char *difference),
                                 void *ctx, bool *right, struct pixl_error *err);

/* A header before and after, line by line: element, name, value before, value after ("removed"), of the sample,
 * for a person to look at.
 * Elements inside sequences are shown by their path, "(0040,0275)[1].(0040,0007)".  s: opened with SITE_STORE and
 * SITE_SECRETS.
 * Fails: NOT_FOUND when the sample was not delivered; CORRUPT, IO, NOMEM. */
PIXL_MUST_CHECK bool demo_show_header(const struct demo *d, struct site *s,
                                      void (*line)(void *ctx, const char *element, const char *name, const char *before,
                                                   const char *after),
                                      void *ctx, struct pixl_error *err);

#endif

/* show.h - how results look: counts, sizes, durations, the progress line, tables of states; for people and as JSON. */
#ifndef PIXL_CLI_SHOW_H
#define PIXL_CLI_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "pipeline/rounds.h"
#include "pipeline/run.h"

/* "1.4 GB", "3 min 12 s" into a buffer of 32. */
const char *show_bytes(int64_t bytes, char out[32]);
const char *show_duration(int64_t us, char out[32]);

/* Progress of work: one line rewritten on a terminal, a plain line every ten seconds elsewhere; to stderr. */
struct show_progress {
    bool is_terminal, is_line_open;
    int64_t last_us;
    int last_step;
};
void show_progress_init(struct show_progress *p);
void show_step(void *p, enum run_step step, int64_t done, int64_t of);           /* struct show_progress *; fits run_options.step */
void show_work(void *p, const struct work_progress *w);                          /* fits run_options.progress */
void show_rounds(void *p, const struct rounds_progress *r);                      /* fits rounds_options.progress */
void show_rounds_end(enum rounds_end end, const struct rounds_progress *r);
void show_end_line(struct show_progress *p);                                     /* before anything else is printed */

/* States with their numbers and, below, the reasons of studies that did not arrive and of instances that were left out. */
void show_counts(FILE *to, const struct store_counts *c);
json_t *show_counts_json(const struct store_counts *c);          /* given */
/* Instances by the reason why they were left out; nothing when there are none. */
void show_skipped(FILE *to, const int64_t by_reason[STUDY_REASON_COUNT]);
json_t *
show_reasons_json(const int64_t by_reason[STUDY_REASON_COUNT]);  /* { reason: number }, those that occur; given */
json_t *show_image_json(const struct store_image *i);            /* pseudonyms and numbers only; given */
/* detail, or empty where it only says the reason again. */
struct str show_detail(enum study_reason reason, struct str detail);
/* One line: number, project, state, reason, since when. */
void show_image(FILE *to, const struct store_image *i);
/* Prints and frees. */
void show_json(json_t *j);

/* Tables that were written, what is open in them, what was withheld, and where they went. */
void show_extracts(const struct publish_extract *e, size_t n);
json_t *show_extracts_json(const struct publish_extract *e, size_t n); /* given */

/* What a populate did, or would do: a line that begins with a name, and one for what a person has to know. */
void show_populated(struct str name, const struct populate_counts *n);
json_t *show_populated_json(const struct populate_counts *n);   /* given */

/* The end of a run, for a person or as JSON. */
void show_summary(const struct run_summary *r, const struct settings *set, bool json);

#endif

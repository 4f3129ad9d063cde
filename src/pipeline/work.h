/* work.h - works off what is due: claims rows, runs attempts on threads, makes the moves, until all is done or it is told to stop.
 *
 *   a lane for each archive:   look for the next row, take a token, claim  >  retrieve, de-identify into the spool
 *   a lane for deliveries:     look for the next zip of a destination that takes one, claim  >  deliver
 * The lanes do not wait for each other, but for the spool's quota.
 * A row whose claim ended in a crash before is a suspect: it is worked alone, in a child process, and only a crash there
 * makes it `failed: crashed`.
 * Owns: its threads.  Never: acknowledges or moves a row because of an unexpected error other than back to where it was.
 * Threads: work_run() is called by one thread, which is also the one that is told about progress. */
#ifndef PIXL_PIPELINE_WORK_H
#define PIXL_PIPELINE_WORK_H

#include <signal.h>

#include "pipeline/site.h"

/* What can be told at any time without asking the store. */
struct work_progress {
    int64_t total;                       /* rows in all states when work began, and those found since */
    int64_t by_state[STUDY_STATE_COUNT];
    int64_t done_here;                   /* rows that reached an end in this run */
    int64_t instances, bytes;            /* delivered into zips in this run */
    int64_t elapsed_us;
    int in_hand;
    double rate_per_s;                   /* of the token bucket; < 0: unlimited */
    char trouble[256];                   /* the first thing that stands in the way, for people; "" when all is well */
    int troubles;                        /* how many do */
};

enum work_does { WORK_RETRIEVES = 1u << 0, WORK_DELIVERS = 1u << 1 };

struct work_options {
    unsigned does;                       /* enum work_does; 0: both */
    bool stays; /* a service: it is never done, has no end of patience, works beside others, and when told to stop
                                            gives back after PIXL_STOP_S what it could not finish; where PIXL_QUEUE_URL is set it follows hints,
                                            and stands by to be the dispatcher */
    int64_t patience_us;                 /* give up when breakers kept everything from moving for so long */
    const struct str *without_projects;  /* rows of these are left alone */
    size_t n_without;
    const char *program;                 /* path of the pixl program, for children; NULL: suspects are worked in this process */
    void (*progress)(void *ctx, const struct work_progress *p);      /* twice a second, and once at the end; may be NULL */
    void *ctx;
};

enum work_end {
    WORK_DONE,                           /* nothing is left to do */
    WORK_STOPPED,                        /* told to stop; what was in hand is finished or given back */
    WORK_GAVE_UP,                        /* patience ran out */
};

/* Signals SIGINT and SIGTERM are taken while it runs: the first lets workers finish what they have, the second makes them give it back.
 * Fails: only when the store cannot be used any more. */
PIXL_MUST_CHECK bool work_run(struct site *s, const struct work_options *o, enum work_end *end, struct pixl_error *err);

/* "closed until Mon 20:00", of an archive that opens at that wall time; INT64_MAX: not soon. */
enum { WORK_CLOSED_SIZE = 48 };
void work_say_closed(int64_t opens_us, char out[WORK_CLOSED_SIZE]);

/* One claimed row, in this process (a child of work_run for a suspect): retrieves it and makes the move. */
PIXL_MUST_CHECK bool work_one(struct site *s, int64_t image, int64_t fence, struct pixl_error *err);

#endif

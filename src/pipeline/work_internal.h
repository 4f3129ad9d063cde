/* work_internal.h - what the files of work share: threads and waiting (work.c), lanes (work_lane.c), what they do
 * (work_retrieve.c, work_deliver.c), suspects (work_child.c), what is told (work_progress.c).
 *
 * A lane is one kind of work: retrieving from one archive, or delivering.  Of its threads one has the lead: it looks for the next row and
 * claims it, hands the lead to the next thread, and works; a thread is started when none is left to take the lead.  So a store is
 * asked by few, and nothing that is slow holds up a look. */
#ifndef PIXL_PIPELINE_WORK_INTERNAL_H
#define PIXL_PIPELINE_WORK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "pipeline/extract.h"
#include "pipeline/gate.h"
#include "pipeline/held.h"
#include "pipeline/lease.h"
#include "pipeline/settle.h"
#include "pipeline/work.h"

#define SECOND_US INT64_C(1000000)
#define WORK_THREADS_ENDED SIGUSR1       /* blocked in every thread; sent from outside it only wakes the watcher */

struct work;

/* A breaker that was asked, and whether this is its probe.  Whoever holds one reports or gives it back. */
struct pass {
    struct work *work;
    struct breaker *breaker;             /* NULL: none is held */
    const char *what;
    bool is_probe;
};
bool pass_take(struct work *w, struct breaker *b, const char *what, struct pass *p);
void pass_unused(struct pass *p);
void pass_report(struct pass *p, bool worked, const struct pixl_error *why);

/* What a lane could do just now. */
enum did {
    DID_WORK,                            /* a row was claimed */
    DID_NOTHING,                         /* nothing is due */
    DID_WAIT,                            /* something is due, but may not be taken now */
};

struct hand;
struct lane {
    struct work *work;
    const char *name;                    /* "primary archive", "secondary archive", "delivery" */
    int which;                           /* of the archives */
    enum store_work kind;
    unsigned archives;                   /* whose rows it takes, as in struct store_claim */
    int threads_max;
    /* With the lead: claims a row into the hand.  *again_us, mono: when it is worth looking again, if that is known.
     * Fails: the store's error; nothing is claimed then. */
    bool (*look)(struct hand *h, enum did *did, int64_t *again_us, struct pixl_error *err);
    void (*run)(struct hand *h);         /* works on it and settles */

    struct breaker source;               /* the archive's */
    bool is_local;
    atomic_bool is_due;                  /* a row waits for it */
    atomic_bool is_stopped;              /* its rate is 0 */
    const struct windows *windows;       /* the hours in which it may be asked */
    _Atomic int64_t opens_us;            /* wall: closed until then; 0: it is open */
    pthread_mutex_t refreshing;          /* held while its index is looked through; guards the next two */
    int64_t refreshed_us;                /* mono: when that began last */
    int64_t refreshed_up_to;             /* the newest image at that time */

    int threads, followers;              /* guarded by work.lock, as is the next one */
    bool is_led;
    pthread_cond_t turn;                 /* the lead is free, or it is time to end */
};

/* One thread of a lane, and what it has in hand. */
struct hand {
    struct lane *lane;
    struct hand *next;
    pthread_t thread;
    struct extract x;
    struct arena arena;                  /* of a look and of the row */
    struct store_image image;
    struct held held;                    /* of image, while it is in hand */
    struct pass source, spool;           /* of the archive or destination; of the spool */
    struct site_project *project;        /* a delivery's; NULL: it cannot be used */
};

enum { WORK_LANES = STORE_ARCHIVES + 1 };

struct work {
    struct site *site;
    const struct work_options *options;
    atomic_bool stop, cancel;            /* finish what is in hand; give it back */
    atomic_bool done, gave_up;
    struct breaker spool, store;
    struct lease lease;
    struct gate cores;
    struct work_hints *hints; /* work_hints.c; NULL: rows are looked for in the store */
    struct lane lanes[WORK_LANES];
    size_t n_lanes;

    int64_t weighed_us;                  /* the watcher's: when the spool was last weighed */

    pthread_mutex_t lock;                /* guards what follows */
    pthread_cond_t changed;              /* something was settled, or it is time to end */
    struct work_progress progress;
    int64_t last_moved_us;               /* mono: when a row last went forward, or nothing stood in its way */
    int64_t spool_bytes;
    int in_hand, retrieving, suspects_in_hand, running;
    pthread_t watcher;                   /* waits for signals; the last thread to end sends it a signal */
    struct hand *hands;                  /* all that were started, newest first */
    int busy;                            /* threads that may hold a row which nobody sees as due */
    uint64_t began;                      /* how often one of them began */
    int hopeful;                         /* threads that rest, and for which it is the end once none is busy */
    struct work_left_out {               /* projects that cannot be used here; entries stay as long as the work */
        char *name;                      /* its slug; malloc */
        size_t n;
        int64_t until_us;                /* mono: tried again then */
        struct work_left_out *next;
    } *left_out;
    bool failed;
    struct pixl_error fatal;
};

static inline bool work_is_ending(struct work *w)
{
    return atomic_load(&w->stop) || atomic_load(&w->cancel) || atomic_load(&w->done);
}
/* So many studies are de-identified at once. */
int work_cores(const struct settings *set);
void work_wake_all(struct work *w);
/* Waits until something changes, at most until the monotonic time given. */
void work_wait_until(struct work *w, int64_t mono_us);
void work_wait_locked(struct work *w, int64_t mono_us);
void work_end_badly(struct work *w, const struct pixl_error *err);
/* Does the error pass by itself, so that it is waited for? */
bool work_passes(const struct pixl_error *err);

/* --- lanes ------------------------------------------------------------------------------------------------------ */

/* Starts the first thread of a lane. */
PIXL_MUST_CHECK bool lane_start(struct lane *l, struct pixl_error *err);
/* The claim that a lane would make, but for suspects; its list of projects in the hand's arena.  Fails: NOMEM. */
PIXL_MUST_CHECK bool lane_claim(struct hand *h, const struct lane *of, struct store_claim *c, struct pixl_error *err);
/* The one place where a row is taken: the next that is due for c. */
PIXL_MUST_CHECK bool lane_next_row(struct hand *h, const struct store_claim *c, bool *got, struct pixl_error *err);
/* When is a row due for c?  Wall time; 0: now; INT64_MAX: none waits. */
PIXL_MUST_CHECK bool lane_next_due(struct work *w, const struct store_claim *c, int64_t *due_us, struct pixl_error *err);
/* A project that cannot be used here: its rows are not taken for some minutes. */
void work_leave_out(struct work *w, struct str slug, const struct pixl_error *why);
bool work_is_left_out(struct work *w, struct str slug);

void work_retrieves(struct work *w, struct lane *l, int which);
void work_delivers(struct work *w, struct lane *l);

/* --- hints (work_hints.c) --------------------------------------------------------------------------------------- */

/* Before the threads start, and after they ended; nothing but in a service with a queue. */
PIXL_MUST_CHECK bool work_hints_begin(struct work *w, struct pixl_error *err);
void work_hints_end(struct work *w);
/* The row that the next hint leads to; waits for one for half a second. */
PIXL_MUST_CHECK bool work_hints_next(struct hand *h, const struct store_claim *c, bool *got, struct pixl_error *err);
/* Keeps connections alive that no lane looks at. */
void work_hints_serve(struct work *w);
/* What is wrong with the broker; NULL: nothing, or there is none. */
const char *work_hints_trouble(const struct work *w);

/* --- what becomes of a row ---------------------------------------------------------------------------------------- */

void work_note_settled(struct work *w, const struct store_image *image, const struct extract_result *r, const struct settled *s);
/* Writes the move; a store that is away is waited for, as the work is done and would be lost.  b: the breaker that this row's outage
 * opened. */
void work_settle(struct hand *h, const struct extract_result *r, struct breaker *b);
bool work_spool_is_full(struct work *w);

/* Runs `program work-one` for a claimed suspect and waits for it.  The child retrieves and makes the move itself.
 * *r says what must be settled if the row shows that the child did not.
 * x: when it must end the child is killed and the study given back.  Fails only when no child can be started. */
PIXL_MUST_CHECK bool work_in_child(const char *program, const struct store_image *image, const struct extract *x, struct extract_result *r,
                                   struct pixl_error *err);

/* Tells the progress, and whether anything stands in the way. */
void work_tell(struct work *w, int64_t began_us);

#endif

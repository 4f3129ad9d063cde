/* queue_backend.h - what a queue must provide; for this room and its tests only.  All slots required.
 * The front door has checked names, sizes, priorities and reasons, and resolved queue_per_priority. */
#ifndef PIXL_QUEUE_QUEUE_BACKEND_H
#define PIXL_QUEUE_QUEUE_BACKEND_H

#include "queue/queue.h"

/* What is consumed: queue `name`, of which the caller speaks as `label` (the same but with a queue per priority). */
struct queue_source {
    const char *name, *label;
    unsigned rank;               /* 0..QUEUE_PRIORITY_MAX: of what is here, the highest is taken first */
    unsigned prefetch;
};

struct queue_ops {
    const char *scheme;
    bool (*check_url)(struct str url, struct pixl_error *err); /* NULL: any that has the scheme */
    unsigned caps;
    bool (*open)(struct str url, const struct queue_options *o, const struct queue_wait *w, struct queue **out,
                 struct pixl_error *err);
    void (*close)(struct queue *q);
    const char *(*place)(const struct queue *q);
    bool (*is_connected)(const struct queue *q);
    bool (*reconnect)(struct queue *q, const struct queue_wait *w, struct pixl_error *err);
    bool (*declare)(struct queue *q, const char *name, bool priorities, const struct queue_wait *w,
                    struct pixl_error *err);
    bool (*depth)(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *ready,
                  struct pixl_error *err);
    bool (*purge)(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *purged,
                  struct pixl_error *err);
    bool (*publish)(struct queue *q, const struct queue_message *m, const struct queue_wait *w, struct pixl_error *err);
    bool (*confirmed)(struct queue *q, struct queue_result *out);
    size_t (*outstanding)(const struct queue *q);
    bool (*flush)(struct queue *q, const struct queue_wait *w, struct pixl_error *err);
    bool (*consume_start)(struct queue *q, const struct queue_source *s, const struct queue_wait *w,
                          struct pixl_error *err);
    bool (*consume_stop)(struct queue *q, const char *name, const struct queue_wait *w, struct pixl_error *err);
    bool (*take)(struct queue *q, const struct queue_wait *w, bool *got, struct queue_delivery *out,
                 struct pixl_error *err);
    bool (*settle)(struct queue *q, uint64_t tag, enum queue_verdict v, const char *reason, const struct queue_wait *w,
                   struct pixl_error *err);
    bool (*pump)(struct queue *q, const struct queue_wait *w, struct pixl_error *err);
};
/* First member of every backend; queue_open() sets per_priority. */
struct queue {
    const struct queue_ops *ops;
    bool per_priority;
};

extern const struct queue_ops queue_amqp, queue_amqps, queue_memory;

/* What a reason may be made of. */
#define QUEUE_REASON_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789 _.:-"

/* A slice of a wait: cancelling is looked at this often. */
enum { QUEUE_SLICE_US = 50000 };
/* What is left of the wait, in us; 0: the deadline is there. */
int64_t queue_wait_left(const struct queue_wait *w);
bool queue_wait_is_cancelled(const struct queue_wait *w);

/* --- memory: for tests of what uses a queue.  Queues opened as "memory:" have a broker each. */

/* Another queue on the broker of q. */
PIXL_MUST_CHECK bool queue_memory_share(struct queue *q, struct queue **out, struct pixl_error *err);
/* Loses the connection of q, as a broken cable would. */
void queue_memory_cut(struct queue *q);
/* true: what q publishes is stored, but its confirm stays away until false. */
void queue_memory_hold(struct queue *q, bool hold);

#endif

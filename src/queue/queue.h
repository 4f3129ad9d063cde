/* queue.h - the queue of study messages: RabbitMQ (AMQP 0-9-1), or a queue in this process for tests.
 *
 * The store is the truth and a message is a hint, so everything here is "at least once": a publish whose confirm was
 * lost is published again by the caller, and a delivery that was not settled comes again.
 *
 * A publisher:  queue_publish() hands a message over and returns before the broker has it on disk; what became of it
 *   comes back from queue_confirmed(), by the caller's own tag, in any order.  Only QUEUE_CONFIRMED counts.
 * A consumer:   queue_consume_start(), then queue_take() and queue_settle() for each delivery.  Settle before long work
 *   begins: the broker ends the connection of a consumer that holds a delivery, or only has it prefetched, for longer
 *   than its consumer_timeout (30 min by default); what is taken late wants a prefetch of 1.
 * Either:       an owner with nothing to do calls queue_pump(), at least once per half of the heartbeat; heartbeats are
 *   answered only inside calls.  Publishers and consumers want a queue object each: where the broker has a memory or
 *   disk alarm it stops reading from connections that publish, their acknowledgements included.
 *
 * A lost connection: the call that meets it fails with UNAVAILABLE (DENIED where the broker refused a right, NOMEM),
 *   so do all later ones, until queue_reconnect(); queue_is_connected() tells.  What was outstanding becomes
 *   QUEUE_UNCONFIRMED, what was in flight is given back by the broker, nothing is consumed any more.
 *
 * Owns: its connection, and every delivery until it is settled.
 * Never: reads a body, waits beyond its deadline, decides about retries, reconnects by itself, passes on what a
 *        broker says in words.
 * Threads: one queue belongs to one thread; two queues share nothing. */
#ifndef PIXL_QUEUE_QUEUE_H
#define PIXL_QUEUE_QUEUE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/phi.h"

struct queue;

enum {
    QUEUE_NAME_MAX = 200,           /* bytes of a queue's name, UTF-8 without control characters */
    QUEUE_BODY_MAX = 64 * 1024,     /* bytes of a body; of a longer one, which others may publish, these are kept */
    QUEUE_REASON_MAX = 100,
    QUEUE_PRIORITY_MAX = 5,         /* priorities are 1 (default) to 5 (first) */
    QUEUE_PREFETCH_MAX = 1000,
    QUEUE_WINDOW_DEFAULT = 1000,
    QUEUE_WINDOW_MAX = 32768,
};

enum queue_cap {
    QUEUE_CAP_DURABLE = 1u << 0,    /* what is confirmed outlives the process and the broker's restart */
};

/* How long a call may wait: until deadline_us (clock_mono_us), or until *cancel is true, when it fails with CANCELLED
 * (looked at every 50 ms; NULL: no cancelling).  A call that need not wait looks at neither: a deadline in the past is
 * a try. */
struct queue_wait {
    int64_t deadline_us;
    const atomic_bool *cancel;
};
struct queue_wait queue_wait_ms(int64_t ms, const atomic_bool *cancel);     /* ms from now */

struct queue_options {
    uint32_t window;                /* most publishes that wait for their confirm; 0: QUEUE_WINDOW_DEFAULT */
    /* For brokers whose queues know no priorities (quorum queues): NAME stands for NAME.p1 to NAME.p5 in every call but
     * dead-lettering, and what is prefetched is taken by priority.  Depths and counts are sums, a prefetch is for each. */
    bool queue_per_priority;
};

/* url    amqp://[USER[:PASSWORD]@]HOST[:PORT][/VHOST][?PARAMETER=VALUE&...], amqps:// the same over TLS, or memory:
 *        USER, PASSWORD, VHOST and values are percent-decoded.  Defaults: guest:guest, 5672 (amqps 5671), vhost "/",
 *        which is written /%2f.  HOST: name, IPv4, or [IPv6].  Parameters:
 *          heartbeat=S             1 to 3600, default 30
 *          connection_timeout=MS   100 to 600000, default 10000; of connecting and logging in together
 *          cacertfile=PATH         amqps: the only CAs to trust, PEM; without it those of the system
 *        Certificate and host name are always verified, TLS is 1.2 or later.
 * options  copied; NULL: defaults
 * Cancelling is looked at before connecting only.  The lookup of the host name is the system's and knows no deadline.
 * Given: queue_close().
 * Fails: INVALID (url, CA file), UNAVAILABLE, DENIED (user, password, vhost, certificate), NOMEM.
 * No error holds any part of the URL but host, port and vhost. */
PIXL_MUST_CHECK bool queue_open(struct str url, const struct queue_options *options, const struct queue_wait *w,
                                struct queue **out, struct pixl_error *err);
/* The address alone: connects to nothing, reads no file.  Fails: INVALID, NOMEM. */
PIXL_MUST_CHECK bool queue_check_url(struct str url, struct pixl_error *err);
/* Ends the connection; waits for the broker's goodbye for at most 2 s.  Outstanding publishes are lost sight of, what
 * is in flight is given back.  NULL is fine. */
void queue_close(struct queue *q);
PIXL_DEFINE_CLEANUP(queue, queue_close)
#define queue_auto PIXL_CLEANUP(queue_freep) struct queue

unsigned queue_caps(const struct queue *q);                 /* of enum queue_cap */
/* For a person: "amqps localhost:5671 vhost /"; never a user or password. */
const char *queue_place(const struct queue *q);
bool queue_is_connected(const struct queue *q);

/* Ends the connection if there is one and makes a new one; a single attempt.  Results not yet taken stay, deliveries in
 * flight are gone (their tags STALE), nothing is consumed.  Fails: as queue_open(). */
PIXL_MUST_CHECK bool queue_reconnect(struct queue *q, const struct queue_wait *w, struct pixl_error *err);

/* The next four, and starting and stopping to consume, ask the broker a question: when its answer is not there at the
 * deadline (UNAVAILABLE), or the wait is cancelled, the connection is given up. */

/* Makes sure that queue `name` is there: as found, whatever its kind and arguments, else made durable with
 * x-max-priority QUEUE_PRIORITY_MAX (without it when there is a queue per priority).  RabbitMQ writes a new queue's
 * definition down a moment later: one that is killed right after (3.10: within some 15 ms) has lost the queue with all
 * that it confirmed.  Fails: DENIED, BUSY (exclusive to another), UNAVAILABLE. */
PIXL_MUST_CHECK bool queue_declare(struct queue *q, const char *name, const struct queue_wait *w,
                                   struct pixl_error *err);
/* Messages ready for a consumer: neither in flight nor prefetched.  Fails: NOT_FOUND, DENIED, BUSY, UNAVAILABLE. */
PIXL_MUST_CHECK bool queue_depth(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *ready,
                                 struct pixl_error *err);
/* Throws the ready messages away.  Fails: as queue_depth(). */
PIXL_MUST_CHECK bool queue_purge(struct queue *q, const char *name, const struct queue_wait *w, uint64_t *purged,
                                 struct pixl_error *err);

struct queue_message {
    const char *queue;
    struct phi_text body;           /* 1..QUEUE_BODY_MAX bytes */
    unsigned priority;              /* 1..QUEUE_PRIORITY_MAX */
    uint64_t tag;                   /* the caller's own; comes back with the result */
};
/* Hands *m over (copied): persistent, mandatory.  Waits for room in the window and for a broker that is blocked by an
 * alarm.  true: one result with m->tag will come, whatever happens.  false: none will, publish it again later.
 * Fails: UNAVAILABLE (lost, or no room at the deadline), INVALID, LIMIT (2 windows of results are open or not taken:
 * who takes what is known after each publish never meets it). */
PIXL_MUST_CHECK bool queue_publish(struct queue *q, const struct queue_message *m, const struct queue_wait *w,
                                   struct pixl_error *err);

enum queue_fate {
    QUEUE_CONFIRMED,                /* the broker has it, on disk if the queue is durable */
    QUEUE_REFUSED,                  /* the broker could not take it (a full queue, a disk) */
    QUEUE_RETURNED,                 /* there is no such queue */
    QUEUE_UNCONFIRMED,              /* the connection was lost first: it may be there or not */
};
struct queue_result {
    uint64_t tag;
    enum queue_fate fate;
};
/* Takes the next result that is known; false: none is.  Reads nothing: publish, flush, take, pump do. */
bool queue_confirmed(struct queue *q, struct queue_result *out);
/* Publishes whose fate is open. */
size_t queue_outstanding(const struct queue *q);
/* Waits until none is outstanding.
 * Fails: UNAVAILABLE (lost: then none is outstanding either; or the deadline: they still are). */
PIXL_MUST_CHECK bool queue_flush(struct queue *q, const struct queue_wait *w, struct pixl_error *err);

/* Begins to consume; several queues may be consumed at once.  prefetch, 1..QUEUE_PREFETCH_MAX: most deliveries of this
 * queue here at one time, taken or not.  Fails: NOT_FOUND, EXISTS (already consumed), DENIED, BUSY, UNAVAILABLE. */
PIXL_MUST_CHECK bool queue_consume_start(struct queue *q, const char *name, unsigned prefetch,
                                         const struct queue_wait *w, struct pixl_error *err);
/* Ends it.  What was prefetched is given back; what was taken is still to be settled.  Not consumed: nothing to do. */
PIXL_MUST_CHECK bool queue_consume_stop(struct queue *q, const char *name, const struct queue_wait *w,
                                        struct pixl_error *err);

struct queue_delivery {
    uint64_t tag;                   /* for queue_settle(); never used twice, also after a reconnect */
    struct phi_text body;           /* borrowed, as queue is: until settled, queue_reconnect() or queue_close() */
    struct str queue;               /* the name that consuming was started with */
    unsigned priority;              /* as published; 0: none */
    bool redelivered;               /* was delivered before, to somebody */
    const char *reason;             /* of a dead letter, as it was settled; borrowed as body; "": none */
    int64_t buried_us;              /* of a dead letter: when it was settled, wall; 0: not known */
    bool cut;                       /* the body was longer than QUEUE_BODY_MAX; this is its beginning */
};
/* Waits for a delivery.  *got false: none came until the deadline.  Fails: UNAVAILABLE; NOT_FOUND, once, when the
 * broker has ended the consuming of a queue (it was deleted). */
PIXL_MUST_CHECK bool queue_take(struct queue *q, const struct queue_wait *w, bool *got, struct queue_delivery *out,
                                struct pixl_error *err);

enum queue_verdict {
    QUEUE_ACK,     /* done with */
    QUEUE_REQUEUE, /* given back; it comes again at once */
    QUEUE_DEAD,    /* to NAME.dead, made when absent, with headers x-pixl-reason and x-pixl-queue, and the time */
};
/* Ends a delivery.  reason: for DEAD, 1..QUEUE_REASON_MAX of a-z 0-9 blank _ . : -; else NULL.
 * DEAD waits until the broker has confirmed the copy and acknowledges only then; after a failure that leaves the
 * connection, the delivery is still in flight and may be settled again.
 * Fails: STALE (no such delivery: settled, or of an earlier connection), UNAVAILABLE, DENIED. */
PIXL_MUST_CHECK bool queue_settle(struct queue *q, uint64_t tag, enum queue_verdict verdict, const char *reason,
                                  const struct queue_wait *w, struct pixl_error *err);

/* Serves the connection until the deadline: heartbeats, confirms, deliveries into the prefetch.  Fails: UNAVAILABLE. */
PIXL_MUST_CHECK bool queue_pump(struct queue *q, const struct queue_wait *w, struct pixl_error *err);

#endif

/* amqp_internal.h - the parts of the AMQP queue, for amqp*.c only.
 *
 * One connection, three channels, so that a refusal on one does not take the others' work with it:
 *   1 deliveries    2 publishing, in confirm mode    3 questions: declare, depth, purge
 * Every frame is read in one place (amqp_conn.c) and handed to the part that it belongs to.  Nothing of the library's
 * own waiting is used after the login: its waits have no cancel, and its writes no deadline. */
#ifndef PIXL_QUEUE_AMQP_INTERNAL_H
#define PIXL_QUEUE_AMQP_INTERNAL_H

#include <amqp.h>

#include "queue/amqp_url.h"
#include "queue/queue_backend.h"

enum { CHANNEL_DELIVER = 1, CHANNEL_PUBLISH = 2, CHANNEL_ASK = 3 };

/* A question to the broker; one at a time. */
struct amqp_question {
    amqp_channel_t channel;
    amqp_method_number_t want;   /* the answer that it waits for; 0: none open */
    unsigned refused;            /* the code of a channel.close that came instead */
    uint32_t count;              /* messages, in the answers that have it */
};

/* A publish that waits for its confirm, at seq & ring_mask. */
struct amqp_slot {
    uint64_t tag;
    struct amqp_record *dead;    /* of a dead letter: the delivery that waits for it; NULL: it was settled otherwise */
    bool open, returned, is_dead; /* is_dead: the caller hears nothing of it */
};

/* A name that was used, kept until close: deliveries refer to it. */
struct amqp_label {
    struct amqp_label *next;
    bool has_dead_queue;         /* <name>.dead was seen on this connection */
    char name[];
};

struct amqp_consumer {
    struct amqp_consumer *next;
    struct amqp_label *label;
    unsigned rank, number;       /* its consumer tag is the number */
    bool active, ended;          /* ended: by the broker, and the caller does not know yet */
    char name[];
};

enum amqp_dead { DEAD_NONE, DEAD_SENT, DEAD_CONFIRMED, DEAD_REFUSED, DEAD_RETURNED };

struct amqp_record {             /* a delivery that is here */
    struct amqp_record *next;    /* in the list of its rank, until it is taken */
    struct amqp_consumer *consumer;
    uint64_t tag, broker_tag;
    unsigned priority;
    bool redelivered, cut;
    enum amqp_dead dead;
    uint64_t dead_seq;           /* of its copy while that is DEAD_SENT */
    int64_t buried_us;           /* of one that is a dead letter itself; and why: */
    char reason[QUEUE_REASON_MAX + 1];
    size_t n;
    char body[];
};

struct amqp_ready { struct amqp_record *first, *last; };

/* The message that is just coming in on a channel: a method, a header, bodies. */
struct amqp_incoming {
    enum { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY } state;
    struct amqp_record *record;  /* NULL: its bytes are passed over */
    struct amqp_consumer *consumer;
    uint64_t broker_tag, left_bytes;
    bool redelivered;
};

struct amqp {
    struct queue base;
    struct amqp_url url;
    char place[AMQP_URL_HOST_MAX + AMQP_URL_NAME_MAX + 32];
    uint32_t window;

    amqp_connection_state_t conn;        /* NULL: lost or never there; why then says what happened */
    struct pixl_error why;
    bool blocked;                        /* the broker has an alarm and reads nothing that publishers write */
    bool can_ask;                        /* CHANNEL_ASK is open */
    int64_t served_us;                   /* when frames were last looked for */
    size_t credit;                       /* bytes that may be written before the socket is asked for room again */
    struct amqp_question question;

    struct amqp_slot *ring;              /* amqp_publish.c */
    uint64_t ring_mask, head, tail;      /* sequence numbers: tail is the oldest that may be open, head the next */
    size_t outstanding;                  /* without dead letters */
    struct queue_result *results;        /* a ring of results_max: 2 windows, of which one may be open */
    size_t results_at, results_n, results_max;
    struct amqp_incoming returned;

    struct amqp_consumer *consumers;     /* amqp_consume.c */
    struct amqp_label *labels;
    struct amqp_record **records;        /* of those in flight or ready, by the low bits of their tag */
    size_t records_cap, records_free;    /* records_free: where the search for a free place begins */
    uint64_t serial;
    unsigned consumers_n;
    struct amqp_ready ready[QUEUE_PRIORITY_MAX + 1];
    struct amqp_incoming delivered;
};

static inline amqp_bytes_t amqp_text(const char *s) { return amqp_cstring_bytes(s); }

/* --- amqp_conn.c: the connection */
bool amqp_connect(struct amqp *a, const struct queue_wait *w, struct pixl_error *err);
void amqp_disconnect(struct amqp *a);                    /* with a goodbye where that is possible */
/* The connection is of no more use: ends it, and makes every outstanding publish UNCONFIRMED. */
void amqp_lose(struct amqp *a, enum pixl_code code, int sys, const char *what);
bool amqp_fail_lost(const struct amqp *a, struct pixl_error *err);
/* Reads frames until done(a, arg), the deadline (*in_time false) or a failure: CANCELLED, or what the connection was
 * lost by. */
bool amqp_wait(struct amqp *a, bool (*done)(const struct amqp *, const void *), const void *arg,
               const struct queue_wait *w, bool *in_time, struct pixl_error *err);
/* Reads what has come, if that was not done just now.  Fails: the connection is lost. */
bool amqp_serve(struct amqp *a, struct pixl_error *err);
/* Waits until bytes can be written without waiting, and, for a publish, until the broker is not blocked. */
bool amqp_room(struct amqp *a, size_t bytes, bool publish, const struct queue_wait *w, struct pixl_error *err);
/* After a write: status of the library.  Fails: the connection is lost. */
bool amqp_sent(struct amqp *a, int status, struct pixl_error *err);
/* Sends a method and waits for its answer; a->question.refused is set when the broker closed CHANNEL_ASK instead. */
bool amqp_ask(struct amqp *a, amqp_channel_t channel, amqp_method_number_t method, void *decoded,
              amqp_method_number_t want, const struct queue_wait *w, struct pixl_error *err);

/* --- amqp_publish.c */
bool amqp_publish_init(struct amqp *a, struct pixl_error *err);
void amqp_publish_done(struct amqp *a);
void amqp_publish_reset(struct amqp *a);                 /* a new channel counts from 1 */
void amqp_publish_lost(struct amqp *a);
void amqp_publish_on_method(struct amqp *a, const amqp_method_t *m);
void amqp_publish_on_content(struct amqp *a, const amqp_frame_t *f);
bool amqp_publish(struct queue *q, const struct queue_message *m, const struct queue_wait *w, struct pixl_error *err);
/* The delivery r ends; the fate of its copy is of no more interest. */
void amqp_publish_forget(struct amqp *a, const struct amqp_record *r);
/* Sends the body of r to the dead-letter queue of its label; r->dead becomes DEAD_SENT, later its fate. */
bool amqp_publish_dead(struct amqp *a, struct amqp_record *r, const char *reason, const struct queue_wait *w,
                       struct pixl_error *err);
bool amqp_confirmed(struct queue *q, struct queue_result *out);
size_t amqp_outstanding(const struct queue *q);
bool amqp_flush(struct queue *q, const struct queue_wait *w, struct pixl_error *err);

/* --- amqp_consume.c */
void amqp_consume_done(struct amqp *a);
void amqp_consume_reset(struct amqp *a);                 /* nothing is in flight, nothing consumed */
void amqp_consume_on_method(struct amqp *a, const amqp_method_t *m);
void amqp_consume_on_content(struct amqp *a, const amqp_frame_t *f);
bool amqp_consume_start(struct queue *q, const struct queue_source *s, const struct queue_wait *w,
                        struct pixl_error *err);
bool amqp_consume_stop(struct queue *q, const char *name, const struct queue_wait *w, struct pixl_error *err);
bool amqp_take(struct queue *q, const struct queue_wait *w, bool *got, struct queue_delivery *out,
               struct pixl_error *err);
bool amqp_settle(struct queue *q, uint64_t tag, enum queue_verdict v, const char *reason, const struct queue_wait *w,
                 struct pixl_error *err);

/* --- amqp.c */
bool amqp_declare(struct queue *q, const char *name, bool priorities, const struct queue_wait *w,
                  struct pixl_error *err);
/* A passive declare: fails with NOT_FOUND where there is no such queue. */
bool amqp_look(struct amqp *a, const char *name, const struct queue_wait *w, uint64_t *ready, struct pixl_error *err);
struct amqp *amqp_of(struct queue *q);
const struct amqp *amqp_of_const(const struct queue *q);

#endif

/* Publishing with confirms.  The broker counts what is published on the channel from 1 and confirms by that number,
 * alone or all up to it, in any order; a ring of slots by number knows whose it was.  A returned message comes back
 * before its confirm, and carries its number as message-id, as nothing else in a basic.return says which one it is. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp_internal.h"
#include "base/clock.h"

enum { PERSISTENT = 2, SEQ_TEXT_SIZE = 21 };

bool amqp_publish_init(struct amqp *a, struct pixl_error *err)
{
    uint64_t size = 1;
    while (size < 2 * (uint64_t)a->window) /* numbers may be apart: the oldest may be the last one confirmed */
        size *= 2;
    a->ring_mask = size - 1;
    a->ring = calloc(size, sizeof *a->ring);
    a->results_max = 2 * (size_t)a->window;
    a->results = calloc(a->results_max, sizeof *a->results);
    a->head = a->tail = 1;
    return (a->ring && a->results) || pixl_fail(err, PIXL_E_NOMEM, 0, "queue: a window of %u", a->window);
}

void amqp_publish_done(struct amqp *a)
{
    free(a->ring);
    free(a->results);
}

static struct amqp_slot *slot_of(struct amqp *a, uint64_t seq)
{
    return &a->ring[seq & a->ring_mask];
}

static void end_slot(struct amqp *a, struct amqp_slot *s, enum queue_fate fate)
{
    if (!s->open)
        return;
    if (fate == QUEUE_CONFIRMED && s->returned)
        fate = QUEUE_RETURNED;
    s->open = false;
    if (s->is_dead) {
        if (s->dead != NULL)
            s->dead->dead = fate == QUEUE_CONFIRMED  ? DEAD_CONFIRMED
                            : fate == QUEUE_RETURNED ? DEAD_RETURNED
                                                     : DEAD_REFUSED;
        return;
    }
    assert(a->outstanding > 0 && a->results_n < a->results_max); /* a place was kept when it was published */
    a->results[(a->results_at + a->results_n++) % a->results_max] = (struct queue_result){ s->tag, fate };
    a->outstanding--;
}

/* The broker's word on number seq, or on all up to it. */
static void end_seq(struct amqp *a, uint64_t seq, bool multiple, enum queue_fate fate)
{
    if (multiple && seq == 0) /* AMQP 0-9-1, 1.8.3.13: all outstanding */
        seq = a->head - 1;
    if (seq < a->tail || seq >= a->head)
        return;
    for (uint64_t s = multiple ? a->tail : seq; s <= seq; s++)
        end_slot(a, slot_of(a, s), fate);
    while (a->tail < a->head && !slot_of(a, a->tail)->open)
        a->tail++;
}

void amqp_publish_lost(struct amqp *a)
{
    end_seq(a, 0, true, QUEUE_UNCONFIRMED);
}

void amqp_publish_reset(struct amqp *a)
{
    assert(a->tail == a->head && a->outstanding == 0);
    a->head = a->tail = 1;
    a->returned = (struct amqp_incoming){ 0 };
}

void amqp_publish_on_method(struct amqp *a, const amqp_method_t *m)
{
    if (m->id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = m->decoded;
        end_seq(a, ack->delivery_tag, ack->multiple, QUEUE_CONFIRMED);
    } else if (m->id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = m->decoded;
        end_seq(a, nack->delivery_tag, nack->multiple, QUEUE_REFUSED);
    } else if (m->id == AMQP_BASIC_RETURN_METHOD) {
        a->returned = (struct amqp_incoming){ .state = CONTENT_HEADER };
    }
}

void amqp_publish_on_content(struct amqp *a, const amqp_frame_t *f)
{
    struct amqp_incoming *in = &a->returned;
    if (f->frame_type == AMQP_FRAME_HEADER && in->state == CONTENT_HEADER) {
        const amqp_basic_properties_t *p = f->payload.properties.decoded;
        struct str id = { p->message_id.bytes, p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG ? p->message_id.len : 0 };
        uint64_t seq;
        if (str_to_u64(id, &seq) && seq >= a->tail && seq < a->head)
            slot_of(a, seq)->returned = true;
        in->left_bytes = f->payload.properties.body_size;
        in->state = in->left_bytes > 0 ? CONTENT_BODY : CONTENT_NONE;
    } else if (f->frame_type == AMQP_FRAME_BODY && in->state == CONTENT_BODY &&
               f->payload.body_fragment.len <= in->left_bytes) {
        in->left_bytes -= f->payload.body_fragment.len;
        if (in->left_bytes == 0)
            in->state = CONTENT_NONE;
    } else {
        amqp_lose(a, PIXL_E_UNAVAILABLE, AMQP_STATUS_BAD_AMQP_DATA, "the broker sent frames out of order");
    }
}

/* Publishes as number a->head; the caller has seen to a free slot and to room.  The slot is open afterwards. */
static bool send(struct amqp *a, const char *name, struct str body, amqp_basic_properties_t p, struct amqp_slot slot,
                 struct pixl_error *err)
{
    char id[SEQ_TEXT_SIZE];
    int n = snprintf(id, sizeof id, "%llu", (unsigned long long)a->head);
    p._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
    p.delivery_mode = PERSISTENT;
    p.message_id = (amqp_bytes_t){ (size_t)n, id };
    union {
        const char *p;
        void *for_the_library;
    } bytes = { body.p }; /* which only reads it */
    if (!amqp_sent(a,
                   amqp_basic_publish(a->conn, CHANNEL_PUBLISH, amqp_empty_bytes, amqp_text(name), 1, 0, &p,
                                      (amqp_bytes_t){ body.n, bytes.for_the_library }),
                   err))
        return false;
    slot.open = true;
    *slot_of(a, a->head++) = slot;
    return true;
}

static bool has_slot(const struct amqp *a, const void *arg)
{
    (void)arg;
    return a->head - a->tail <= a->ring_mask;
}

static bool has_place(const struct amqp *a, const void *arg)
{
    return has_slot(a, arg) && a->outstanding < a->window;
}

/* Waits for has(): confirms make places. */
static bool wait_for_place(struct amqp *a, bool (*has)(const struct amqp *, const void *), const struct queue_wait *w,
                           struct pixl_error *err)
{
    bool in_time;
    if (a->conn != NULL && has(a, NULL))
        return true;
    return amqp_wait(a, has, NULL, w, &in_time, err) &&
           (in_time || pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "%s: the broker confirms nothing", a->place));
}

bool amqp_publish(struct queue *q, const struct queue_message *m, const struct queue_wait *w, struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    struct str body = phi_reveal(m->body);
    if (!wait_for_place(a, has_place, w, err) || !amqp_room(a, body.n, true, w, err))
        return false;
    if (a->outstanding + a->results_n >= a->results_max)
        return pixl_fail(err, PIXL_E_LIMIT, 0, "queue: %zu results wait to be taken", a->results_n);
    amqp_basic_properties_t p = { ._flags = AMQP_BASIC_PRIORITY_FLAG, .priority = (uint8_t)m->priority };
    if (!send(a, m->queue, body, p, (struct amqp_slot){ .tag = m->tag }, err))
        return false;
    a->outstanding++;
    return true;
}

bool amqp_publish_dead(struct amqp *a, struct amqp_record *r, const char *reason, const struct queue_wait *w,
                       struct pixl_error *err)
{
    char name[QUEUE_NAME_MAX + sizeof ".dead"];
    (void)snprintf(name, sizeof name, "%s.dead", r->consumer->label->name);
    if (!r->consumer->label->has_dead_queue && !amqp_declare(&a->base, name, false, w, err))
        return false;
    r->consumer->label->has_dead_queue = true;
    if (!wait_for_place(a, has_slot, w, err) || !amqp_room(a, r->n, true, w, err))
        return false;
    amqp_table_entry_t headers[] = {
        { amqp_text("x-pixl-reason"), { AMQP_FIELD_KIND_UTF8, { .bytes = amqp_text(reason) } } },
        { amqp_text("x-pixl-queue"), { AMQP_FIELD_KIND_UTF8, { .bytes = amqp_text(r->consumer->label->name) } } },
    };
    amqp_basic_properties_t p = { ._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_TIMESTAMP_FLAG,
                                  .headers = { ARRAY_LEN(headers), headers },
                                  .timestamp = (uint64_t)(clock_wall_us() / 1000000) };
    if (r->priority > 0) {
        p._flags |= AMQP_BASIC_PRIORITY_FLAG;
        p.priority = (uint8_t)r->priority;
    }
    if (!send(a, name, (struct str){ r->body, r->n }, p, (struct amqp_slot){ .is_dead = true, .dead = r }, err))
        return false;
    r->dead_seq = a->head - 1;
    r->dead = DEAD_SENT;
    return true;
}

void amqp_publish_forget(struct amqp *a, const struct amqp_record *r)
{
    if (r->dead == DEAD_SENT)
        slot_of(a, r->dead_seq)->dead = NULL;
}

bool amqp_confirmed(struct queue *q, struct queue_result *out)
{
    struct amqp *a = amqp_of(q);
    if (a->results_n == 0)
        return false;
    *out = a->results[a->results_at];
    a->results_at = (a->results_at + 1) % a->results_max;
    a->results_n--;
    return true;
}

size_t amqp_outstanding(const struct queue *q)
{
    return amqp_of_const(q)->outstanding;
}

static bool is_flushed(const struct amqp *a, const void *arg)
{
    (void)arg;
    return a->outstanding == 0;
}

bool amqp_flush(struct queue *q, const struct queue_wait *w, struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    bool in_time;
    return amqp_wait(a, is_flushed, NULL, w, &in_time, err) &&
           (in_time ||
            pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "%s: %zu publishes are not confirmed", a->place, a->outstanding));
}

/* Consuming: deliveries are put together from their frames, wait in a list per rank until they are taken, and stay here
 * until they are settled.  A delivery's tag is a serial number over a place in a->records: never used twice. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp_internal.h"

enum { TAG_PLACE_BITS = 16, RECORDS_MAX = 1 << TAG_PLACE_BITS };

/* --- records */

/* Gives r a place and a tag.  false: no memory, or too many. */
static bool add_record(struct amqp *a, struct amqp_record *r)
{
    size_t i = a->records_free;
    while (i < a->records_cap && a->records[i] != NULL)
        i++;
    if (i == a->records_cap) {
        size_t cap = i ? i * 2 : 64;
        struct amqp_record **grown = cap <= RECORDS_MAX ? realloc(a->records, cap * sizeof(*grown)) : NULL;
        if (grown == NULL)
            return false;
        memset(grown + i, 0, (cap - i) * sizeof(*grown));
        a->records = grown;
        a->records_cap = cap;
    }
    a->records[i] = r;
    a->records_free = i + 1;
    r->tag = ++a->serial << TAG_PLACE_BITS | i;
    return true;
}

static struct amqp_record *find_record(struct amqp *a, uint64_t tag)
{
    size_t place = tag & (RECORDS_MAX - 1);
    struct amqp_record *r = place < a->records_cap ? a->records[place] : NULL;
    return r != NULL && r->tag == tag ? r : NULL;
}

static void free_record(struct amqp *a, struct amqp_record *r)
{
    size_t place = r->tag & (RECORDS_MAX - 1);
    a->records[place] = NULL;
    if (place < a->records_free)
        a->records_free = place;
    amqp_publish_forget(a, r);
    explicit_bzero(r->body, r->n); /* it names a patient */
    free(r);
}

static void drop_incoming(struct amqp *a)
{
    if (a->delivered.record != NULL)
        free_record(a, a->delivered.record);
    a->delivered = (struct amqp_incoming){ 0 };
}

void amqp_consume_reset(struct amqp *a)
{
    drop_incoming(a);
    for (size_t i = 0; i < a->records_cap; i++)
        if (a->records[i] != NULL)
            free_record(a, a->records[i]);
    memset(a->ready, 0, sizeof a->ready);
    for (struct amqp_consumer *c = a->consumers; c != NULL; c = c->next)
        c->active = c->ended = false;
    for (struct amqp_label *l = a->labels; l != NULL; l = l->next)
        l->has_dead_queue = false;
}

void amqp_consume_done(struct amqp *a)
{
    amqp_consume_reset(a);
    free(a->records);
    for (struct amqp_consumer *c = a->consumers, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    for (struct amqp_label *l = a->labels, *next; l != NULL; l = next) {
        next = l->next;
        free(l);
    }
}

/* --- frames */

static struct amqp_consumer *consumer_by_tag(struct amqp *a, amqp_bytes_t tag)
{
    uint64_t number;
    if (str_to_u64((struct str){ tag.bytes, tag.len }, &number))
        for (struct amqp_consumer *c = a->consumers; c != NULL; c = c->next)
            if (c->number == number)
                return c;
    return NULL;
}

static void out_of_order(struct amqp *a)
{
    amqp_lose(a, PIXL_E_UNAVAILABLE, AMQP_STATUS_BAD_AMQP_DATA, "the broker sent frames out of order");
}

void amqp_consume_on_method(struct amqp *a, const amqp_method_t *m)
{
    if (m->id == AMQP_BASIC_DELIVER_METHOD) {
        const amqp_basic_deliver_t *d = m->decoded;
        struct amqp_consumer *c = consumer_by_tag(a, d->consumer_tag);
        if (c == NULL || a->delivered.state != CONTENT_NONE)
            out_of_order(a);
        else
            a->delivered = (struct amqp_incoming){
                .state = CONTENT_HEADER, .consumer = c, .broker_tag = d->delivery_tag, .redelivered = d->redelivered
            };
    } else if (m->id == AMQP_BASIC_CANCEL_METHOD) {
        struct amqp_consumer *c = consumer_by_tag(a, ((const amqp_basic_cancel_t *)m->decoded)->consumer_tag);
        if (c != NULL && c->active) {
            c->active = false;
            c->ended = true;
        }
    }
}

static void complete(struct amqp *a)
{
    struct amqp_record *r = a->delivered.record;
    struct amqp_ready *list = &a->ready[r->consumer->rank];
    a->delivered = (struct amqp_incoming){ 0 };
    if (list->last != NULL)
        list->last->next = r;
    else
        list->first = r;
    list->last = r;
}

/* Anybody may have written the header: what is no reason of ours is none. */
static void read_burial(struct amqp_record *r, const amqp_basic_properties_t *p)
{
    const int64_t max_s = INT64_MAX / 1000000;
    if (p->_flags & AMQP_BASIC_TIMESTAMP_FLAG && p->timestamp <= (uint64_t)max_s)
        r->buried_us = (int64_t)p->timestamp * 1000000;
    for (int i = 0; p->_flags & AMQP_BASIC_HEADERS_FLAG && i < p->headers.num_entries; i++) {
        const amqp_table_entry_t *e = &p->headers.entries[i];
        const amqp_bytes_t text = e->value.value.bytes;
        struct str key = { e->key.bytes, e->key.len };
        if (e->value.kind != AMQP_FIELD_KIND_UTF8 || !str_eq(key, STR("x-pixl-reason")) || text.len == 0 ||
            text.len > QUEUE_REASON_MAX)
            continue;
        memcpy(r->reason, text.bytes, text.len);
        r->reason[text.len] = '\0';
        if (strspn(r->reason, QUEUE_REASON_CHARACTERS) != text.len)
            r->reason[0] = '\0';
    }
}

static void on_header(struct amqp *a, uint64_t size, const amqp_basic_properties_t *p)
{
    struct amqp_incoming *in = &a->delivered;
    size_t keep = size < QUEUE_BODY_MAX ? (size_t)size : QUEUE_BODY_MAX;
    struct amqp_record *r = malloc(sizeof *r + keep);
    if (r != NULL)
        *r = (struct amqp_record){ .consumer = in->consumer,
                                   .broker_tag = in->broker_tag,
                                   .redelivered = in->redelivered,
                                   .priority = p->_flags & AMQP_BASIC_PRIORITY_FLAG ? p->priority : 0,
                                   .cut = size > keep };
    if (r == NULL || !add_record(a, r)) { /* the broker gives everything back */
        free(r);
        amqp_lose(a, PIXL_E_NOMEM, 0, "no memory for a delivery");
        return;
    }
    read_burial(r, p);
    in->record = r;
    in->left_bytes = size;
    in->state = CONTENT_BODY;
    if (size == 0)
        complete(a);
}

void amqp_consume_on_content(struct amqp *a, const amqp_frame_t *f)
{
    struct amqp_incoming *in = &a->delivered;
    if (f->frame_type == AMQP_FRAME_HEADER && in->state == CONTENT_HEADER) {
        on_header(a, f->payload.properties.body_size, f->payload.properties.decoded);
    } else if (f->frame_type == AMQP_FRAME_BODY && in->state == CONTENT_BODY &&
               f->payload.body_fragment.len <= in->left_bytes) {
        size_t n = f->payload.body_fragment.len, room = QUEUE_BODY_MAX - in->record->n;
        size_t keep = n < room ? n : room; /* the record was made for what is kept of the announced size */
        memcpy(in->record->body + in->record->n, f->payload.body_fragment.bytes, keep);
        in->record->n += keep;
        in->left_bytes -= n;
        if (in->left_bytes == 0)
            complete(a);
    } else {
        out_of_order(a);
    }
}

/* --- consumers */

static struct amqp_consumer *consumer_by_name(struct amqp *a, const char *name)
{
    for (struct amqp_consumer *c = a->consumers; c != NULL; c = c->next)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static struct amqp_label *label_of(struct amqp *a, const char *name)
{
    for (struct amqp_label *l = a->labels; l != NULL; l = l->next)
        if (strcmp(l->name, name) == 0)
            return l;
    size_t n = strlen(name) + 1;
    struct amqp_label *l = calloc(1, sizeof *l + n);
    if (l != NULL) {
        memcpy(l->name, name, n);
        l->next = a->labels;
        a->labels = l;
    }
    return l;
}

/* The consumer of s, made when it is new; numbers are not used again, so that what is late finds nobody. */
static struct amqp_consumer *consumer_of(struct amqp *a, const struct queue_source *s)
{
    struct amqp_consumer *c = consumer_by_name(a, s->name);
    if (c == NULL) {
        size_t n = strlen(s->name) + 1;
        c = calloc(1, sizeof *c + n);
        if (c == NULL)
            return NULL;
        memcpy(c->name, s->name, n);
        c->label = label_of(a, s->label);
        if (c->label == NULL) {
            free(c);
            return NULL;
        }
        c->next = a->consumers;
        a->consumers = c;
    }
    c->rank = s->rank;
    c->number = ++a->consumers_n;
    return c;
}

static amqp_bytes_t consumer_tag(const struct amqp_consumer *c, char out[16])
{
    int n = snprintf(out, 16, "%u", c->number);
    return (amqp_bytes_t){ (size_t)n, out };
}

bool amqp_consume_start(struct queue *q, const struct queue_source *s, const struct queue_wait *w,
                        struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    struct amqp_consumer *c = consumer_by_name(a, s->name);
    uint64_t ready;
    if (a->conn != NULL && c != NULL && c->active)
        return pixl_fail(err, PIXL_E_EXISTS, 0, "queue %s: is consumed already", s->name);
    /* Looked at first: consuming what is not there closes the channel with everything on it. */
    if (!amqp_look(a, s->name, w, &ready, err))
        return false;
    c = consumer_of(a, s);
    if (c == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "queue %s", s->label);
    amqp_basic_qos_t qos = { .prefetch_count = (uint16_t)s->prefetch };
    if (!amqp_ask(a, CHANNEL_DELIVER, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD, w, err))
        return false;
    char tag[16];
    amqp_basic_consume_t m = { .queue = amqp_text(c->name), .consumer_tag = consumer_tag(c, tag) };
    c->active = true;
    c->ended = false;
    if (amqp_ask(a, CHANNEL_DELIVER, AMQP_BASIC_CONSUME_METHOD, &m, AMQP_BASIC_CONSUME_OK_METHOD, w, err))
        return true;
    c->active = false;
    return false;
}

/* Gives back what was prefetched and not taken. */
static bool give_back(struct amqp *a, const struct amqp_consumer *c, const struct queue_wait *w, struct pixl_error *err)
{
    struct amqp_ready *list = &a->ready[c->rank], kept = { 0 };
    bool ok = true;
    for (struct amqp_record *r = list->first, *next; r != NULL; r = next) {
        next = r->next;
        if (ok && r->consumer == c && amqp_room(a, 0, false, w, err) &&
            amqp_sent(a, amqp_basic_reject(a->conn, CHANNEL_DELIVER, r->broker_tag, 1), err)) {
            free_record(a, r);
            continue;
        }
        ok = ok && r->consumer != c;
        r->next = NULL;
        if (kept.last != NULL)
            kept.last->next = r;
        else
            kept.first = r;
        kept.last = r;
    }
    *list = kept;
    return ok;
}

bool amqp_consume_stop(struct queue *q, const char *name, const struct queue_wait *w, struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    struct amqp_consumer *c = consumer_by_name(a, name);
    if (a->conn == NULL)
        return amqp_fail_lost(a, err);
    if (c == NULL)
        return true;
    if (c->active) {
        char tag[16];
        amqp_basic_cancel_t m = { .consumer_tag = consumer_tag(c, tag) };
        if (!amqp_ask(a, CHANNEL_DELIVER, AMQP_BASIC_CANCEL_METHOD, &m, AMQP_BASIC_CANCEL_OK_METHOD, w, err))
            return false;
    }
    c->active = c->ended = false;
    return give_back(a, c, w, err);
}

/* --- deliveries */

static struct amqp_record *take_ready(struct amqp *a)
{
    for (unsigned rank = QUEUE_PRIORITY_MAX + 1; rank-- > 0;) {
        struct amqp_ready *list = &a->ready[rank];
        struct amqp_record *r = list->first;
        if (r == NULL)
            continue;
        list->first = r->next;
        if (list->first == NULL)
            list->last = NULL;
        r->next = NULL;
        return r;
    }
    return NULL;
}

static struct amqp_consumer *ended_consumer(const struct amqp *a)
{
    for (struct amqp_consumer *c = a->consumers; c != NULL; c = c->next)
        if (c->ended)
            return c;
    return NULL;
}

static bool has_news(const struct amqp *a, const void *arg)
{
    (void)arg;
    for (unsigned rank = 0; rank <= QUEUE_PRIORITY_MAX; rank++)
        if (a->ready[rank].first != NULL)
            return true;
    return ended_consumer(a) != NULL;
}

bool amqp_take(struct queue *q, const struct queue_wait *w, bool *got, struct queue_delivery *out,
               struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    bool in_time;
    if (!amqp_serve(a, err) || !amqp_wait(a, has_news, NULL, w, &in_time, err))
        return false;
    struct amqp_record *r = take_ready(a);
    struct amqp_consumer *ended = r == NULL ? ended_consumer(a) : NULL;
    if (ended != NULL) {
        ended->ended = false;
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "queue %s: the broker has ended its consuming", ended->name);
    }
    *got = r != NULL;
    if (r != NULL)
        *out = (struct queue_delivery){ .tag = r->tag,
                                        .body = phi_text((struct str){ r->body, r->n }),
                                        .queue = str_of(r->consumer->label->name),
                                        .priority = r->priority,
                                        .redelivered = r->redelivered,
                                        .reason = r->reason,
                                        .buried_us = r->buried_us,
                                        .cut = r->cut };
    return true;
}

static bool has_fate(const struct amqp *a, const void *record)
{
    (void)a;
    return ((const struct amqp_record *)record)->dead != DEAD_SENT;
}

/* Has a confirmed copy made.  A copy that was sent by an earlier try is waited for, not sent again. */
static bool bury(struct amqp *a, struct amqp_record *r, const char *reason, const struct queue_wait *w,
                 struct pixl_error *err)
{
    bool in_time;
    if (r->dead != DEAD_SENT && r->dead != DEAD_CONFIRMED && !amqp_publish_dead(a, r, reason, w, err))
        return false;
    if (!amqp_wait(a, has_fate, r, w, &in_time, err))
        return false;
    if (r->dead == DEAD_RETURNED)
        r->consumer->label->has_dead_queue = false;
    return r->dead == DEAD_CONFIRMED ||
           pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "queue %s.dead: %s", r->consumer->label->name,
                     r->dead == DEAD_SENT ? "no confirm came in time" : "the broker did not take a dead letter");
}

bool amqp_settle(struct queue *q, uint64_t tag, enum queue_verdict v, const char *reason, const struct queue_wait *w,
                 struct pixl_error *err)
{
    struct amqp *a = amqp_of(q);
    struct amqp_record *r = find_record(a, tag);
    if (a->conn == NULL)
        return amqp_fail_lost(a, err);
    if (r == NULL)
        return pixl_fail(err, PIXL_E_STALE, 0, "queue: the delivery was settled, or is of an earlier connection");
    if ((v == QUEUE_DEAD && !bury(a, r, reason, w, err)) || !amqp_room(a, 0, false, w, err))
        return false;
    int status = v == QUEUE_REQUEUE ? amqp_basic_reject(a->conn, CHANNEL_DELIVER, r->broker_tag, 1)
                                    : amqp_basic_ack(a->conn, CHANNEL_DELIVER, r->broker_tag, 0);
    if (!amqp_sent(a, status, err))
        return false;
    free_record(a, r);
    return true;
}

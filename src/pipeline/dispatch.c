#include "dispatch.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    WINDOW = 8192,  /* hints that wait for the broker or for the store at one time */
    BATCH = 2048,   /* rows read at once, and the most that are noted at once */
    NOTED = 1024,   /* hints that are worth a way to the store while there are rows to read */
    TURN_MS = 1000, /* the longest that one turn goes on publishing */
    LOOK_MS = 50,   /* between two looks for rows while the broker has something to confirm */
    ANSWER_MS = 10 * 1000,
    LOCK_EVERY_MS = 1000,
    PAUSE_MIN_MS = 250,
    PAUSE_MAX_MS = 30 * 1000,
    ALL_ARCHIVES = (1 << STORE_ARCHIVES) - 1,
};
#define BATCH_BYTES ((size_t)64 << 20)

enum slot_state { SLOT_FREE, SLOT_SENT, SLOT_CONFIRMED };
struct slot {
    struct store_hint hint;
    enum slot_state state;
};

/* Hints that were read and are to be published. */
struct letter {
    struct store_hint hint;
    struct str body; /* in the arena */
    unsigned priority;
    int archive;
};

/* The other side is away: since when it was said, and when to try again. */
struct pause {
    bool was_said;
    int64_t ms, until_us;
};

struct dispatch {
    struct store *store;
    const struct hint_route *route;
    struct queue *queue;
    bool must_look; /* at the queues: the connection is new, or a message came back */
    int64_t next_lock_us, next_sweep_us;
    struct pause broker, database;
    struct slot slots[WINDOW];
    size_t n_free, n_sent, n_confirmed;
    int64_t heard_us;          /* mono: when the broker last told of a hint, or had none to tell of */
    int64_t in_flight[WINDOW]; /* numbers of rows in a slot, sorted, while a batch is read */
    size_t n_in_flight;
    struct letter letters[BATCH];
    size_t n_letters;
    struct arena bodies;
    struct buf body; /* the one that is being written */
    pthread_t thread;
    bool has_thread;
    atomic_bool stop;   /* of the thread */
    atomic_ullong idle; /* looks that found every row hinted */
    atomic_bool leads, is_connected, is_silent;
    atomic_llong hinted, forgotten;
};

/* --- where to --------------------------------------------------------------------------------------------------- */

bool hint_route_of(const struct settings *set, struct hint_route *out, bool *is_set, struct pixl_error *err)
{
    const bool none = strcmp(set->queue_url, "none:") == 0;
    if (!none && strncmp(set->queue_url, "memory:", 7) != 0 && strncmp(set->store_url, "postgresql:", 11) != 0)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "PIXL_QUEUE_URL names a broker, which needs a store that all who follow it can reach: set "
                         "PIXL_STORE_URL to postgresql://..., or PIXL_QUEUE_URL to none:");
    if (!none && strcmp(set->queue_name, set->queue_secondary) == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "PIXL_QUEUE_NAME and PIXL_QUEUE_NAME_SECONDARY are the same");
    if (!none && !queue_check_url(str_of(set->queue_url), err))
        return pixl_wrap(err, "PIXL_QUEUE_URL");
    *out =
        (struct hint_route){ .url = set->queue_url,
                             .queues = { set->queue_name, set->queue_secondary },
                             .queue_per_priority = set->queue_per_priority != 0,
                             .form = strcmp(set->message_format, "jsonpickle") == 0 ? MESSAGE_JSONPICKLE : MESSAGE_JSON,
                             .sweep_us = set->sweep_s * 1000000,
                             .silence_us = ANSWER_MS * 1000 };
    *is_set = !none;
    return true;
}

/* --- waiting ---------------------------------------------------------------------------------------------------- */

static void rest(int64_t ms, const atomic_bool *stop)
{
    const int64_t until = clock_mono_us() + ms * 1000;
    for (int64_t left; !atomic_load(stop) && (left = until - clock_mono_us()) > 0;)
        (void)poll(NULL, 0, left < 50000 ? (int)(left / 1000) + 1 : 50);
}

static void say_once(struct pause *p, const char *what, const struct pixl_error *why)
{
    if (!p->was_said)
        log_event(LOG_WARN, "dispatch.waits", "for=%s code=%s error=%s", what, pixl_code_name(why->code), why->msg);
    p->was_said = true;
}

static void went_wrong(struct pause *p, const char *what, const struct pixl_error *why)
{
    say_once(p, what, why);
    p->ms = p->ms == 0 ? PAUSE_MIN_MS : p->ms * 2 < PAUSE_MAX_MS ? p->ms * 2 : PAUSE_MAX_MS;
    p->until_us = clock_mono_us() + p->ms * 1000;
}

static void went_well(struct pause *p, const char *what)
{
    if (p->was_said)
        log_event(LOG_INFO, "dispatch.goes_on", "after=%s", what);
    *p = (struct pause){ .ms = 0 };
}

/* --- slots ------------------------------------------------------------------------------------------------------ */

static void free_slots(struct dispatch *d)
{
    memset(d->slots, 0, sizeof d->slots);
    d->n_free = WINDOW;
    d->n_sent = d->n_confirmed = 0;
}

static void take_results(struct dispatch *d)
{
    struct queue_result r;
    while (queue_confirmed(d->queue, &r)) {
        struct slot *s = &d->slots[r.tag % WINDOW];
        assert(s->state == SLOT_SENT);
        d->n_sent--;
        d->heard_us = clock_mono_us();
        s->state = r.fate == QUEUE_CONFIRMED ? SLOT_CONFIRMED : SLOT_FREE;
        d->n_confirmed += s->state == SLOT_CONFIRMED;
        d->n_free += s->state == SLOT_FREE;
        d->must_look = d->must_look || r.fate == QUEUE_RETURNED;
    }
}

static void disconnect(struct dispatch *d)
{
    queue_close(d->queue);
    d->queue = NULL;
    atomic_store(&d->is_connected, false);
    atomic_store(&d->is_silent, false);
    for (size_t i = 0; i < WINDOW; i++)
        if (d->slots[i].state == SLOT_SENT) {
            d->slots[i].state = SLOT_FREE;
            d->n_free++;
        }
    d->n_sent = 0;
}

/* The broker does not do what was asked of it: a connection that still stands waits for it, another is made later. */
static void broker_failed(struct dispatch *d, const struct pixl_error *why)
{
    if (why->code == PIXL_E_CANCELLED)
        return;
    went_wrong(&d->broker, "broker", why);
    if (d->queue == NULL)
        return;
    take_results(d);
    if (!queue_is_connected(d->queue))
        disconnect(d);
}

/* --- leading ---------------------------------------------------------------------------------------------------- */

/* Another may lead from now on: what it finds without a hint it hints again. */
static void stop_leading(struct dispatch *d)
{
    if (atomic_exchange(&d->leads, false))
        log_event(LOG_INFO, "dispatch.ended", "hinted=%lld", (long long)atomic_load(&d->hinted));
    disconnect(d);
    free_slots(d);
    store_dispatch_unlock(d->store);
}

static void store_failed(struct dispatch *d, const struct pixl_error *why)
{
    went_wrong(&d->database, "store", why);
    stop_leading(d);
}

static bool begin_leading(struct dispatch *d)
{
    struct pixl_error err = { 0 };
    bool got = false;
    const int64_t now = clock_mono_us();
    if (now < d->next_lock_us || now < d->database.until_us)
        return false;
    d->next_lock_us = now + LOCK_EVERY_MS * 1000;
    if (!store_dispatch_lock(d->store, &got, &err)) {
        store_failed(d, &err);
        return false;
    }
    went_well(&d->database, "store");
    if (got) {
        log_event(LOG_INFO, "dispatch.leads", "queue=%s", d->route->queues[0]);
        atomic_store(&d->leads, true);
        d->next_sweep_us = now + d->route->sweep_us;
    }
    return got;
}

/* The lock went with its connection, if that was lost: somebody else may lead already. */
static bool still_leads(struct dispatch *d)
{
    struct pixl_error err = { 0 };
    bool holds = false;
    if (!store_dispatch_holds(d->store, &holds, &err))
        store_failed(d, &err);
    else if (!holds)
        stop_leading(d);
    return atomic_load(&d->leads);
}

/* --- queues ----------------------------------------------------------------------------------------------------- */

static bool forget(struct dispatch *d, unsigned archives, int64_t before_us)
{
    struct pixl_error err = { 0 };
    int64_t n = 0;
    if (archives == 0)
        return true;
    if (!store_forget_hints(d->store, archives, before_us, &n, &err)) {
        store_failed(d, &err);
        return false;
    }
    if (n > 0)
        log_event(LOG_WARN, "dispatch.hints_again", "n=%lld", (long long)n);
    atomic_fetch_add(&d->forgotten, n);
    return true;
}

/* Which queues are empty, made where they are not there (*made). */
static bool look_at_queues(struct dispatch *d, unsigned *empty, unsigned *made, const atomic_bool *stop)
{
    *empty = *made = 0;
    for (unsigned a = 0; a < STORE_ARCHIVES; a++) {
        struct pixl_error err = { 0 };
        struct queue_wait w = queue_wait_ms(ANSWER_MS, stop);
        uint64_t ready = 0;
        bool ok = queue_depth(d->queue, d->route->queues[a], &w, &ready, &err);
        if (!ok && err.code == PIXL_E_NOT_FOUND) {
            pixl_error_clear(&err);
            *made |= 1u << a;
            ok = queue_declare(d->queue, d->route->queues[a], &w, &err);
        }
        if (!ok) {
            broker_failed(d, &err);
            return false;
        }
        *empty |= ready == 0 ? 1u << a : 0;
    }
    return true;
}

/* A queue that is empty when the broker is reached again may have lost all that it had. */
static bool look_after_connecting(struct dispatch *d, const atomic_bool *stop)
{
    unsigned empty, made;
    if (!look_at_queues(d, &empty, &made, stop))
        return false;
    d->must_look = false;
    return forget(d, empty | made, clock_wall_us() + 1);
}

static bool sweep(struct dispatch *d, const atomic_bool *stop)
{
    unsigned empty, made;
    const int64_t now = clock_mono_us();
    if (now < d->next_sweep_us)
        return true;
    d->next_sweep_us = now + d->route->sweep_us / 4;
    return look_at_queues(d, &empty, &made, stop) && forget(d, made, clock_wall_us() + 1) &&
           forget(d, empty, clock_wall_us() - d->route->sweep_us);
}

static bool connect_broker(struct dispatch *d, const atomic_bool *stop)
{
    struct pixl_error err = { 0 };
    if (d->queue != NULL)
        return true;
    if (clock_mono_us() < d->broker.until_us)
        return false;
    const struct queue_options o = { .window = WINDOW, .queue_per_priority = d->route->queue_per_priority };
    const struct queue_wait w = queue_wait_ms(ANSWER_MS, stop);
    if (!queue_open(str_of(d->route->url), &o, &w, &d->queue, &err)) {
        d->queue = NULL;
        broker_failed(d, &err);
        return false;
    }
    d->must_look = true;
    return true;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void list_in_flight(struct dispatch *d)
{
    d->n_in_flight = 0;
    for (size_t i = 0; i < WINDOW; i++)
        if (d->slots[i].state != SLOT_FREE)
            d->in_flight[d->n_in_flight++] = d->slots[i].hint.image;
    qsort(d->in_flight, d->n_in_flight, sizeof *d->in_flight, by_number);
}

struct reading {
    struct dispatch *d;
    struct store_hint bad[8]; /* rows that no message can tell of */
    size_t n_bad;
    bool no_memory;
};

/* Runs inside a query: what is read is published after it. */
static bool write_letter(void *ctx, const struct store_unhinted *u)
{
    struct reading *r = ctx;
    struct dispatch *d = r->d;
    struct pixl_error err = { 0 };
    assert(d->n_letters < BATCH);
    buf_clear(&d->body);
    bool is_long = phi_reveal(u->request.series_uids).n > QUEUE_BODY_MAX / 2;
    if (is_long || !message_encode(&u->request, d->route->form, &d->body, &err)) {
        r->no_memory = err.code == PIXL_E_NOMEM;
        if (!r->no_memory && r->n_bad < ARRAY_LEN(r->bad))
            r->bad[r->n_bad++] = u->hint;
        return !r->no_memory;
    }
    struct letter l = { .hint = u->hint,
                        .body = arena_str(&d->bodies, buf_str(&d->body)),
                        .priority = (unsigned)u->request.priority,
                        .archive = u->archive };
    r->no_memory = l.body.p == NULL;
    if (!r->no_memory)
        d->letters[d->n_letters++] = l;
    return !r->no_memory;
}

static bool note(struct dispatch *d, const struct store_hint *hints, size_t n)
{
    struct pixl_error err = { 0 };
    if (n == 0 || store_set_hinted(d->store, hints, n, clock_wall_us(), &err))
        return true;
    store_failed(d, &err);
    return false;
}

/* Such a row would come first again and again: it is left to who looks into the store, and told. */
static bool leave_out(struct dispatch *d, const struct reading *r)
{
    for (size_t i = 0; i < r->n_bad; i++)
        log_event(LOG_ERROR, "dispatch.no_message", "image=%lld", (long long)r->bad[i].image);
    return note(d, r->bad, r->n_bad);
}

static bool read_batch(struct dispatch *d)
{
    struct pixl_error err = { 0 };
    struct reading r = { .d = d };
    d->n_letters = 0;
    arena_reset(&d->bodies);
    list_in_flight(d);
    if (!store_each_unhinted(d->store, clock_wall_us(), d->in_flight, d->n_in_flight, BATCH, write_letter, &r, &err) &&
        !r.no_memory) {
        store_failed(d, &err);
        return false;
    }
    return leave_out(d, &r); /* without memory: those that were read go first */
}

/* --- publishing ------------------------------------------------------------------------------------------------- */

static struct slot *free_slot(struct dispatch *d, size_t *from)
{
    while (d->slots[*from].state != SLOT_FREE)
        ++*from;
    return &d->slots[*from];
}

static bool publish_batch(struct dispatch *d, const atomic_bool *stop)
{
    size_t at = 0;
    assert(d->n_letters <= d->n_free);
    for (size_t i = 0; i < d->n_letters; i++) {
        const struct letter *l = &d->letters[i];
        struct pixl_error err = { 0 };
        struct slot *s = free_slot(d, &at);
        const struct queue_message m = { d->route->queues[l->archive], phi_text(l->body), l->priority,
                                         (uint64_t)(s - d->slots) };
        const struct queue_wait w = queue_wait_ms(TURN_MS, stop);
        if (!queue_publish(d->queue, &m, &w, &err)) {
            broker_failed(d, &err);
            return false;
        }
        *s = (struct slot){ l->hint, SLOT_SENT };
        if (d->n_sent++ == 0)
            d->heard_us = clock_mono_us();
        d->n_free--;
    }
    return true;
}

static bool note_confirmed(struct dispatch *d)
{
    static_assert(BATCH <= WINDOW, "");
    struct store_hint hints[BATCH];
    while (d->n_confirmed > 0) {
        size_t n = 0;
        for (size_t i = 0; i < WINDOW && n < BATCH; i++)
            if (d->slots[i].state == SLOT_CONFIRMED) {
                hints[n++] = d->slots[i].hint;
                d->slots[i].state = SLOT_FREE;
            }
        d->n_confirmed -= n;
        d->n_free += n;
        if (!note(d, hints, n))
            return false;
        atomic_fetch_add(&d->hinted, (int64_t)n);
    }
    return true;
}

/* Takes what the broker says until it has no more than most_sent to say; for patience_ms. */
static bool collect(struct dispatch *d, size_t most_sent, int64_t patience_ms, const atomic_bool *stop)
{
    const int64_t until = clock_mono_us() + patience_ms * 1000;
    for (;;) {
        struct pixl_error err = { 0 };
        take_results(d);
        if (d->n_sent <= most_sent || atomic_load(stop) || clock_mono_us() >= until)
            return true;
        const struct queue_wait w = queue_wait_ms(2, stop);
        if (!queue_pump(d->queue, &w, &err)) {
            broker_failed(d, &err);
            return false;
        }
    }
}

/* What there is to confirm is noted, whatever becomes of the connection. */
static bool collect_and_note(struct dispatch *d, size_t most_sent, int64_t patience_ms, const atomic_bool *stop)
{
    bool ok = collect(d, most_sent, patience_ms, stop);
    return note_confirmed(d) && ok;
}

/* Hints until nothing is left that has none, or the turn is over.  The broker has most of a window to work on while the
 * store is asked.  *did: something was published. */
static bool hint_rows(struct dispatch *d, bool *did, const atomic_bool *stop)
{
    const int64_t until = clock_mono_us() + TURN_MS * 1000;
    do {
        if (!collect(d, WINDOW - BATCH, TURN_MS, stop) || d->n_confirmed >= NOTED || d->n_free < BATCH)
            if (!note_confirmed(d) || d->queue == NULL)
                return false;
        if (d->n_free < BATCH)
            return true;
        if (!still_leads(d) || !read_batch(d))
            return false;
        if (d->n_letters == 0) {
            if (!collect_and_note(d, 0, LOOK_MS, stop))
                return false;
            if (d->n_free < WINDOW)
                continue;
            atomic_fetch_add(&d->idle, 1);
            return true;
        }
        *did = true;
        if (!publish_batch(d, stop))
            return false;
    } while (clock_mono_us() < until && !atomic_load(stop));
    return true;
}

/* --- turns ------------------------------------------------------------------------------------------------------ */

/* A broker with an alarm, of its disk or its memory, reads no further; its connection stands, and nothing fails. */
static bool confirms_nothing(const struct dispatch *d)
{
    return d->n_sent > 0 && clock_mono_us() - d->heard_us > d->route->silence_us;
}

static void tell_of_silence(struct dispatch *d)
{
    struct pixl_error why = { 0 };
    (void)pixl_fail(&why, PIXL_E_UNAVAILABLE, 0,
                    "%s: the broker confirms nothing: has it an alarm, of its disk or memory?", queue_place(d->queue));
    atomic_store(&d->is_connected, false);
    atomic_store(&d->is_silent, true);
    say_once(&d->broker, "broker", &why);
}

static bool dispatch_now(struct dispatch *d, bool *did, const atomic_bool *stop)
{
    if (!connect_broker(d, stop) || clock_mono_us() < d->broker.until_us)
        return false;
    if (d->must_look && !look_after_connecting(d, stop))
        return false;
    if (!hint_rows(d, did, stop) || !sweep(d, stop))
        return false;
    if (confirms_nothing(d)) {
        tell_of_silence(d);
        return false;
    }
    atomic_store(&d->is_connected, true);
    atomic_store(&d->is_silent, false);
    went_well(&d->broker, "broker");
    return true;
}

/* Heartbeats are answered meanwhile. */
static void wait_connected(struct dispatch *d, int64_t wait_ms, const atomic_bool *stop)
{
    struct pixl_error err = { 0 };
    const struct queue_wait w = queue_wait_ms(wait_ms, stop);
    if (!queue_pump(d->queue, &w, &err))
        broker_failed(d, &err);
}

void dispatch_turn(struct dispatch *d, int64_t wait_ms, const atomic_bool *stop)
{
    bool did = false;
    bool leads = atomic_load(&d->leads) ? still_leads(d) : begin_leading(d);
    if (leads && dispatch_now(d, &did, stop) && did)
        return;
    if (wait_ms <= 0 || atomic_load(stop))
        return;
    if (d->queue != NULL)
        wait_connected(d, wait_ms, stop);
    else
        rest(wait_ms, stop);
}

void dispatch_run(struct dispatch *d, const atomic_bool *stop)
{
    static const atomic_bool never = false;
    while (!atomic_load(stop))
        dispatch_turn(d, 200, stop);
    const int64_t until = clock_mono_us() + 2000000;
    while (d->queue != NULL && d->n_sent > 0 && clock_mono_us() < until && still_leads(d))
        if (!collect_and_note(d, 0, TURN_MS, &never))
            break;
    stop_leading(d);
}

bool dispatch_new(struct store *s, const struct hint_route *route, struct dispatch **out, struct pixl_error *err)
{
    struct dispatch *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "dispatcher");
    d->store = s;
    d->route = route;
    arena_init(&d->bodies, BATCH_BYTES);
    buf_init(&d->body, QUEUE_BODY_MAX);
    free_slots(d);
    *out = d;
    return true;
}

static void *run_thread(void *arg)
{
    struct dispatch *d = arg;
    dispatch_run(d, &d->stop);
    return NULL;
}

bool dispatch_start(struct dispatch *d, struct pixl_error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* it takes no signal of the process */
    int rc = pthread_create(&d->thread, NULL, run_thread, d);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    d->has_thread = rc == 0;
    return rc == 0 || pixl_fail_errno(err, rc, "starting the dispatcher");
}

/* The second look that begins from now on has seen all that is due now. */
void dispatch_drain(struct dispatch *d)
{
    enum { PATIENCE_US = 5000000 };
    const unsigned long long until = atomic_load(&d->idle) + 2;
    int64_t good_us = clock_mono_us();
    const int64_t began_us = good_us;
    while (atomic_load(&d->idle) < until && clock_mono_us() - good_us < PATIENCE_US) {
        if (atomic_load(&d->is_connected))
            good_us = clock_mono_us();
        if (!atomic_load(&d->leads) && clock_mono_us() - began_us > 2 * LOCK_EVERY_MS * 1000)
            return;
        (void)poll(NULL, 0, 20);
    }
}

void dispatch_free(struct dispatch *d)
{
    if (d == NULL)
        return;
    atomic_store(&d->stop, true);
    if (d->has_thread)
        (void)pthread_join(d->thread, NULL);
    stop_leading(d);
    arena_done(&d->bodies);
    if (d->body.p != NULL)
        explicit_bzero(d->body.p, d->body.n);
    buf_done(&d->body);
    free(d);
}

struct dispatch_state dispatch_state(const struct dispatch *d)
{
    return (struct dispatch_state){ .leads = atomic_load(&d->leads),
                                    .is_connected = atomic_load(&d->is_connected),
                                    .is_silent = atomic_load(&d->is_silent),
                                    .hinted = atomic_load(&d->hinted),
                                    .forgotten = atomic_load(&d->forgotten) };
}

void dispatch_use(struct dispatch *d, struct queue *q)
{
    disconnect(d);
    d->queue = q;
    d->must_look = true;
}

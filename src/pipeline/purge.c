#include "purge.h"

#include "base/clock.h"
#include "base/log.h"

enum { ANSWER_MS = 10 * 1000 };

static bool purge_queues(struct queue *q, const struct hint_route *route, uint64_t *messages, struct pixl_error *err)
{
    for (size_t a = 0; a < STORE_ARCHIVES; a++) {
        const struct queue_wait w = queue_wait_ms(ANSWER_MS, NULL);
        uint64_t n = 0;
        if (queue_purge(q, route->queues[a], &w, &n, err))
            *messages += n;
        else if (err->code == PIXL_E_NOT_FOUND)
            pixl_error_clear(err);
        else
            return false;
    }
    return true;
}

bool purge_queued(struct store *s, struct queue *q, const struct hint_route *route, struct purged *out,
                  struct pixl_error *err)
{
    struct purged p = { .held = 0 };
    if (!store_hold_queued(s, clock_wall_us(), &p.held, err))
        return false;
    bool ok = q == NULL || purge_queues(q, route, &p.messages, &p.broker);
    log_event(ok ? LOG_INFO : LOG_WARN, "queue.purged", "held=%lld messages=%llu code=%s", (long long)p.held,
              (unsigned long long)p.messages, pixl_code_name(p.broker.code));
    *out = p;
    return true;
}

#include "lease.h"

void lease_begin(struct lease *l, int64_t asked_us, int64_t lease_us)
{
    atomic_store(&l->epoch, 0);
    lease_prolonged(l, asked_us, lease_us);
}

void lease_prolonged(struct lease *l, int64_t asked_us, int64_t lease_us)
{
    atomic_store(&l->until_us, asked_us + lease_us - lease_us / 5);
}

bool lease_look(struct lease *l, int64_t now_us)
{
    if (now_us < atomic_load(&l->until_us))
        return false;
    (void)atomic_fetch_add(&l->epoch, 1);
    return true;
}

bool lease_holds(const struct lease *l, unsigned epoch, int64_t now_us)
{
    return now_us < atomic_load(&l->until_us) && atomic_load(&l->epoch) == epoch;
}

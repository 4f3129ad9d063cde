#include "ptr_map.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* Where this address is, or the free slot where it belongs: open addressing, never full. */
static struct ptr_map_slot *slot_of(struct ptr_map_slot *slots, size_t cap, const void *key)
{
    size_t i = (size_t)(((uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (cap - 1);
    while (slots[i].key != NULL && slots[i].key != key)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static bool grow(struct ptr_map *m, struct pixl_error *err)
{
    size_t cap = m->cap_ ? m->cap_ * 2 : 32;
    struct ptr_map_slot *slots = calloc(cap, sizeof *slots);
    if (slots == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "table of addresses");
    for (size_t i = 0; i < m->cap_; i++)
        if (m->slots_[i].key != NULL)
            *slot_of(slots, cap, m->slots_[i].key) = m->slots_[i];
    free(m->slots_);
    m->slots_ = slots;
    m->cap_ = cap;
    return true;
}

void *ptr_map_get(const struct ptr_map *m, const void *key)
{
    return m->cap_ > 0 ? slot_of(m->slots_, m->cap_, key)->value : NULL;
}

bool ptr_map_put(struct ptr_map *m, const void *key, void *value, struct pixl_error *err)
{
    assert(key != NULL && value != NULL);
    if (m->n + 1 > m->cap_ / 4 * 3 && !grow(m, err))
        return false;
    struct ptr_map_slot *s = slot_of(m->slots_, m->cap_, key);
    assert(s->key == NULL);
    *s = (struct ptr_map_slot){ key, value };
    m->n++;
    return true;
}

void *ptr_map_next(const struct ptr_map *m, size_t *at)
{
    while (*at < m->cap_)
        if (m->slots_[(*at)++].key != NULL)
            return m->slots_[*at - 1].value;
    return NULL;
}

void ptr_map_done(struct ptr_map *m)
{
    free(m->slots_);
    *m = (struct ptr_map){ 0 };
}

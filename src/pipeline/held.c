#include "held.h"

#include <assert.h>
#include <stdlib.h>

void held_list_init(struct held_list *l)
{
    *l = (struct held_list){ .n = 0 };
    int rc = pthread_mutex_init(&l->lock, NULL);
    assert(rc == 0);
}

void held_list_done(struct held_list *l)
{
    assert(l->n == 0);
    (void)pthread_mutex_destroy(&l->lock);
}

void held_take(struct held_list *l, struct held *h, int64_t image)
{
    (void)pthread_mutex_lock(&l->lock);
    *h = (struct held){ image, l->first };
    l->first = h;
    l->n++;
    (void)pthread_mutex_unlock(&l->lock);
}

void held_drop(struct held_list *l, struct held *h)
{
    (void)pthread_mutex_lock(&l->lock);
    struct held **at = &l->first;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    l->n--;
    (void)pthread_mutex_unlock(&l->lock);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool held_images(struct held_list *l, struct arena *a, int64_t **images, size_t *n, struct pixl_error *err)
{
    size_t used = 0;
    (void)pthread_mutex_lock(&l->lock);
    int64_t *list = arena_calloc(a, l->n + 1, sizeof *list);
    for (const struct held *h = l->first; list != NULL && h != NULL; h = h->next)
        list[used++] = h->image;
    (void)pthread_mutex_unlock(&l->lock);
    if (list == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of the rows in hand");
    qsort(list, used, sizeof *list, by_number);
    *images = list;
    *n = used;
    return true;
}

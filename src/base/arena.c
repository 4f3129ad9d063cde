#include "arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PIXL_ARENA_DEBUG
enum { BLOCK_MIN = 0 };             /* a block per object */
#else
enum { BLOCK_MIN = 16 * 1024 };
#endif

struct arena_block {
    struct arena_block *next;
    size_t cap, used;               /* of data[] */
    _Alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    assert(max_bytes >= 1);
    *a = (struct arena){ .max_bytes = max_bytes };
}

static bool add_block(struct arena *a, size_t need)
{
    size_t cap = need > BLOCK_MIN ? need : BLOCK_MIN;
    size_t left = a->max_bytes - a->used_bytes;
    if (cap > left - (left < sizeof(struct arena_block) ? left : sizeof(struct arena_block)))
        cap = need;                 /* near the ceiling a block is no larger than it must be */
    if (left < sizeof(struct arena_block) || cap > left - sizeof(struct arena_block)) {
        a->is_full = true;
        return false;
    }
    struct arena_block *b = malloc(sizeof *b + cap);
    if (b == NULL)
        return false;
    b->next = a->head;
    b->cap = cap;
    b->used = 0;
    a->head = b;
    a->used_bytes += sizeof *b + cap;
    return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = _Alignof(max_align_t);
    if (n > SIZE_MAX - align)
        return NULL;
    size_t size = (n + align - 1) / align * align;
    if (size == 0)
        size = align;
#ifdef PIXL_ARENA_DEBUG
    size = n ? n : 1;
    if (!add_block(a, size))
        return NULL;
#else
    if ((a->head == NULL || size > a->head->cap - a->head->used) && !add_block(a, size))
        return NULL;
#endif
    void *p = a->head->data + a->head->used;
    a->head->used += size;
    return memset(p, 0, size);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    return arena_alloc(a, n);
}

void *arena_grow(struct arena *a, void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    size_t more = *room > 0 ? *room * 2 : 16;
    void *wider = arena_calloc(a, more, size);
    if (wider == NULL)
        return NULL;
    if (n > 0)
        memcpy(wider, list, n * size);
    *room = more;
    return wider;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
    if (p == NULL)
        return (struct str){ 0 };
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return (struct str){ p, s.n };
}

char *arena_cstr(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = arena_alloc(a, n);
    return p ? memcpy(p, s, n) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    va_start(args, fmt);
    if (p != NULL)
        (void)vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return p;
}

static void free_blocks(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_reset(struct arena *a)
{
    a->is_full = false;
#ifndef PIXL_ARENA_DEBUG
    /* The first block has the ordinary size: it is the one worth keeping. */
    struct arena_block *last = a->head;
    while (last != NULL && last->next != NULL) {
        struct arena_block *next = last->next;
        free(last);
        last = next;
    }
    if (last != NULL && last->cap == BLOCK_MIN) {
        last->used = 0;
        a->head = last;
        a->used_bytes = sizeof *last + last->cap;
        return;
    }
    a->head = last;
#endif
    arena_done(a);
}

void arena_done(struct arena *a)
{
    free_blocks(a->head);
    a->head = NULL;
    a->used_bytes = 0;
}

void arena_wipe(struct arena *a)
{
    for (struct arena_block *b = a->head; b != NULL; b = b->next)
        explicit_bzero(b->data, b->cap);
    arena_done(a);
}

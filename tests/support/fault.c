#include "fault.h"

#include <stdatomic.h>
#include <stddef.h>

/* The linker's --wrap names. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

static atomic_long left = -1;       /* -1: no fault wanted */
static atomic_bool injected;

static bool is_the_one(void)
{
    long now = atomic_load(&left);
    while (now >= 0)
        if (atomic_compare_exchange_weak(&left, &now, now - 1)) {
            if (now == 0)
                atomic_store(&injected, true);
            return now == 0;
        }
    return false;
}

void *__wrap_malloc(size_t n) { return is_the_one() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t count, size_t n) { return is_the_one() ? NULL : __real_calloc(count, n); }
void *__wrap_realloc(void *p, size_t n) { return is_the_one() ? NULL : __real_realloc(p, n); }

void fault_alloc_after(long n)
{
    atomic_store(&injected, false);
    atomic_store(&left, n);
}

bool fault_alloc_stop(void)
{
    atomic_store(&left, -1);
    return atomic_load(&injected);
}

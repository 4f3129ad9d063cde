#include "sql_array.h"

#include <assert.h>
#include <string.h>

enum {
    BYTES_MAX = 64 << 20,
    EMPTY_BYTES = 12, /* an array without values has no dimension */
    OID_INT8 = 20,
    OID_TEXT = 25, /* pg_type.dat: fixed for ever */
};

void sql_array_init(struct sql_array *a, enum sql_element of)
{
    *a = (struct sql_array){ .of = of };
    buf_init(&a->bytes, BYTES_MAX);
}

void sql_array_done(struct sql_array *a)
{
    buf_done(&a->bytes);
}

void sql_array_clear(struct sql_array *a)
{
    buf_clear(&a->bytes);
    a->n = 0;
}

static bool add_u32(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    return buf_add(b, &v, sizeof v);
}

static bool add_header(struct sql_array *a)
{
    const uint32_t type = a->of == SQL_ELEMENT_I64 ? OID_INT8 : OID_TEXT;
    return add_u32(&a->bytes, 1) && add_u32(&a->bytes, 0) && add_u32(&a->bytes, type) && add_u32(&a->bytes, 0) &&
           add_u32(&a->bytes, 1);
}

static bool add(struct sql_array *a, const void *p, size_t n)
{
    if (n > BYTES_MAX || (a->n == 0 && !add_header(a)) || !add_u32(&a->bytes, (uint32_t)n) ||
        (n > 0 && !buf_add(&a->bytes, p, n)))
        return false;
    const uint32_t count = __builtin_bswap32(++a->n);
    memcpy(a->bytes.p + EMPTY_BYTES, &count, sizeof count);
    return true;
}

bool sql_array_add_i64(struct sql_array *a, int64_t v)
{
    const uint64_t bits = __builtin_bswap64((uint64_t)v);
    assert(a->of == SQL_ELEMENT_I64);
    return add(a, &bits, sizeof bits);
}

bool sql_array_add_str(struct sql_array *a, struct str v)
{
    assert(a->of == SQL_ELEMENT_STR);
    return add(a, v.p, v.n);
}

struct str sql_array_bytes(const struct sql_array *a)
{
    static const char no_i64[EMPTY_BYTES] = { [11] = OID_INT8 }, no_str[EMPTY_BYTES] = { [11] = OID_TEXT };
    if (a->n == 0)
        return (struct str){ a->of == SQL_ELEMENT_I64 ? no_i64 : no_str, EMPTY_BYTES };
    return buf_str(&a->bytes);
}

/* key_hash.h - 64 bits that stand for a row's key in an index (SipHash-1-3 with a fixed key).
 *
 * Stored: the function never changes without a migration.  Two keys may share a hash: who finds a row by it compares
 * the texts, and puts a second key at hash + 1 (see store_sqlite_schema.c).
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_STORE_KEY_HASH_H
#define PIXL_STORE_KEY_HASH_H

#include <stdint.h>

#include "base/str.h"

/* Of the parts one after the other, each with its length, so that ("ab","c") is not ("a","bc"). */
uint64_t store_key_hash(const struct str *parts, size_t n);

/* A number as such a part, lowest byte first. */
enum { STORE_KEY_NUMBER = 8 };
struct str store_key_number(int64_t v, char out[STORE_KEY_NUMBER]);

#endif

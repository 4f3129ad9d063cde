/* nearest.h - the known name that a mistyped one was most likely meant to be.
 *
 *   struct nearest near = nearest_to(typed);
 *   for (...) nearest_offer(&near, names[i]);
 *   if (near.name) ... "did you mean ..."
 *
 * Owns: nothing; name is borrowed from the offers.  Threads: any. */
#ifndef PIXL_CONFIG_NEAREST_H
#define PIXL_CONFIG_NEAREST_H

#include "base/str.h"

struct nearest {
    struct str typed;
    const char *name;           /* NULL: nothing offered is near enough to be worth naming */
    unsigned distance_;
};

struct nearest nearest_to(struct str typed);
/* The first of several equally near ones stays. */
void nearest_offer(struct nearest *near, const char *name);

/* Room for nearest_hint()'s text. */
struct nearest_text { char text[96]; };
/* "; did you mean x?" or the empty text. */
struct nearest_text nearest_hint(const struct nearest *near);
struct nearest_text nearest_hint_of(struct str typed, const char *const *names, size_t n);

#endif

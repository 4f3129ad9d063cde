/* attr.h - the compiler attributes that the house allows, under one name each.
 * Owns: nothing.  Never: includes another pixl header. */
#ifndef PIXL_BASE_ATTR_H
#define PIXL_BASE_ATTR_H

#define PIXL_MUST_CHECK      __attribute__((warn_unused_result))
#define PIXL_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define PIXL_CLEANUP(fn)     __attribute__((cleanup(fn)))
#define PIXL_NORETURN        __attribute__((noreturn))

/* Defines T_freep() for PIXL_CLEANUP: calls fn on *p when it is not NULL.  A type then says
 *   #define thing_auto PIXL_CLEANUP(thing_freep) struct thing
 * and a local is declared `thing_auto *t = NULL;`. */
#define PIXL_DEFINE_CLEANUP(T, fn) \
    static inline void T##_freep(struct T **p) { if (*p) fn(*p); }

/* Takes the pointer out of *pp, which becomes NULL: ownership leaves an _auto variable. */
#define PIXL_STEAL(pp) __extension__({ __typeof__(*(pp)) stolen_ = *(pp); *(pp) = NULL; stolen_; })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif

/* policy.h - what a compiled policy holds; the functions are declared in deid.h.
 * Owns: the scheme of the base rules.  Threads: immutable. */
#ifndef PIXL_DEID_POLICY_H
#define PIXL_DEID_POLICY_H

#include "deid/deid.h"
#include "deid/scheme.h"

struct deid_policy {
    const struct project *project;
    struct scheme *base;
    bool is_basic_profile;
    bool cleans_pixels;          /* by an image operation: only pixels of ultrasound regions stay */
};

/* Is the value of this element pixels, or an overlay upon them, of whatever kind? */
bool deid_holds_pixels(uint32_t tag);

#endif

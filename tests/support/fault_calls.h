/* fault_calls.h - makes the n-th call of the store, an archive or a destination fail, as a server does that goes away.
 * Linked with -Wl,--wrap=store_move,... so that the code under test has no hooks; FAULT_CALLS in tests/CMakeLists.txt lists them.
 *
 *   for (long n = 0;; n++) {
 *       fault_call_after(n, PIXL_E_UNAVAILABLE, FAULT_BEFORE);
 *       bool ok = operation(&err);
 *       const char *failed = fault_call_stop();   // "store_move"; NULL: there was no call n, the sweep is complete
 *   }
 * Threads: one; until it is told to, no call fails. */
#ifndef PIXL_TEST_FAULT_CALLS_H
#define PIXL_TEST_FAULT_CALLS_H

#include "base/error.h"

enum fault_when {
    FAULT_BEFORE, /* nothing was done */
    FAULT_AFTER   /* it was done, and the answer was lost; calls that change nothing are not counted */
};
void fault_call_after(long n, enum pixl_code code, enum fault_when when);
const char *fault_call_stop(void);

#endif

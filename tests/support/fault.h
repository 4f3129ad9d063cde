/* fault.h - makes the n-th allocation of pixl's own code fail, for sweeps over all of them.
 * Linked with -Wl,--wrap=malloc,... so that the code under test has no hooks.
 *
 *   for (long n = 0; ; n++) {
 *       fault_alloc_after(n);
 *       bool ok = operation(&err);
 *       bool reached = fault_alloc_stop();      // did allocation n happen at all?
 *       if (!reached) { CHECK(ok); break; }     // the sweep is complete
 *       CHECK(ok || err.code == PIXL_E_NOMEM); ... outs untouched, nothing leaked (ASan), nothing lost
 *   }
 *   CHECK(n > 10);                              // the sweep really ran
 * Threads: counts allocations of all threads. */
#ifndef PIXL_TEST_FAULT_H
#define PIXL_TEST_FAULT_H
#include <stdbool.h>

void fault_alloc_after(long n);     /* n allocations succeed, the next one fails, all later ones succeed */
bool fault_alloc_stop(void);        /* no more faults; true when one was injected */

#endif

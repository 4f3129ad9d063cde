/* gate.h - lets a number of threads in at once; others wait.  Studies that came from an archive wait here for a core.
 * Owns: nothing.  Threads: any; its mutex guards `free`. */
#ifndef PIXL_PIPELINE_GATE_H
#define PIXL_PIPELINE_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t left;
    int free;
};
void gate_init(struct gate *g, int n);
void gate_done(struct gate *g);
/* Waits for a place, at most until that monotonic time; false: there was none. */
bool gate_enter(struct gate *g, int64_t until_us);
void gate_leave(struct gate *g);

#endif

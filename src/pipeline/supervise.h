/* supervise.h - keeps long work going over its own crashes: the work runs in a child process, which is started again when it crashes.
 *
 * A crash costs the studies that were in hand one attempt each, not the night: they are suspects in the next life (work.h).
 * SIGINT and SIGTERM are handed on to the child, once each (it has a process group of its own, so that Ctrl-C does not reach it twice);
 * when this process dies, by whatever, the child dies with it.
 * Owns: the child.  Never: restarts a child that ended by itself or was told to stop.
 * Threads: called before any other thread exists. */
#ifndef PIXL_PIPELINE_SUPERVISE_H
#define PIXL_PIPELINE_SUPERVISE_H

/* Runs work(ctx) in a child; returns what it returned (0..255), 75 when it was told to stop and did not say, 70 when it crashed
 * restarts_max + 1 times or no process could be made.
 *   said  is told of each crash: the signal, and whether there will be another try */
int supervise(int (*work)(void *ctx), void *ctx, int restarts_max, void (*said)(int signal, int again));

#endif

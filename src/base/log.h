/* log.h - structured events: one line of key=value per change of state, on stderr.
 *
 *   2026-11-23T18:30:42.123456Z info study.exported image=4711 project=my-project instances=40
 *
 * Owns: the level, set once by main.  Never: takes struct phi_text or struct secret (the format
 * attribute refuses a struct), blocks on more than one write(2) of one whole line.
 * Threads: any; a line is never torn.
 * Used by pipeline, http and cli; other rooms return errors instead. */
#ifndef PIXL_BASE_LOG_H
#define PIXL_BASE_LOG_H

#include "attr.h"
#include "str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

/* Before any thread starts.  fd: where lines go (2 by default, level LOG_INFO). */
void log_setup(enum log_level level, int fd);

/* "debug", "info", "warn"/"warning", "error", "off", any case; false when it is none of them. */
bool log_level_parse(struct str s, enum log_level *out);

/* event: "room.what_happened"; fmt: "key=%s other=%d".  Control characters and line breaks in the
 * finished line become '?', so that no value can forge a line; lines are cut at 2,000 bytes. */
PIXL_PRINTF(3, 4)
void log_event(enum log_level level, const char *event, const char *fmt, ...);

#endif

/* message_internal.h - dates and times as Python pickles them; for this room only.
 *
 * jsonpickle numbers the objects that it writes, the message itself 0, each when its text begins; one that it meets
 * again is {"py/id": number}.  Objects here are the message, dates and times, time zones and their offsets. */
#ifndef PIXL_QUEUE_MESSAGE_INTERNAL_H
#define PIXL_QUEUE_MESSAGE_INTERNAL_H

#include "base/error.h"
#include "base/json_tree.h"
#include "study/iso_time.h"

#define PY_MESSAGE "core.patient_queue.message.Message"

enum py_kind { PY_KIND_MESSAGE, PY_KIND_TIME, PY_KIND_ZONE, PY_KIND_DELTA };
enum { MESSAGE_ITEMS_MAX = 64 }; /* series of a message, members of one object */
enum { PY_OBJECTS_MAX = 8 }; /* two times with a zone and an offset each, and the message: seven */
struct py_zone {
    int64_t seconds; /* east of UTC */
    struct str name; /* of the tz database, which knows the seconds of a time; "" where they are told */
};
struct py_objects {
    struct {
        enum py_kind kind;
        struct iso_time time;
        struct py_zone zone; /* of an offset, its seconds */
    } at[PY_OBJECTS_MAX];
    size_t n;
    struct arena *arena; /* for files of the tz database */
};

/* The one text of an object's "py/object"; "" when there is none. */
struct str py_class(const struct json_node *value);
/* A datetime.date (at midnight, without offset) or datetime.datetime.
 * Fails: INVALID (not as jsonpickle writes it, no such time), UNSUPPORTED (another type), NOT_FOUND (a zone), NOMEM. */
PIXL_MUST_CHECK bool py_read_time(struct py_objects *seen, const struct json_node *value, struct iso_time *out,
                                  struct pixl_error *err);
/* A datetime.date of the day, or a datetime.datetime, with offset where t has one. */
void py_write_date(struct buf *out, int year, int month, int day);
void py_write_time(struct buf *out, const struct iso_time *t);

#endif

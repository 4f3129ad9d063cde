/* message.h - a study message: one request as the body of a queue's message, in JSON of one of two forms.
 *
 *   ours        {"mrn": "..", "accession_number": "..", "study_uid": "..", "series_uid": "..", "study_date": "2020-05-23",
 *                "procedure_occurrence_id": 4, "project_name": "..", "extract_generated_timestamp": "2023-12-07T14:08:58"}
 *   jsonpickle  the same fields behind "py/object": "core.patient_queue.message.Message", date and time as Python pickles
 *               them: {"py/object": "datetime.date", "__reduce__": [{"py/type": "datetime.date"}, ["B+QFFw=="]]}
 *
 * A message holds neither priority nor participant_id: the first is a property of the delivery, the second the store's.
 * Owns: nothing.  Never: makes an object that a body names, as jsonpickle would: there is one type, and what is not
 * known is refused; names a value in an error.  Threads: any. */
#ifndef PIXL_QUEUE_MESSAGE_H
#define PIXL_QUEUE_MESSAGE_H

#include "base/arena.h"
#include "study/request.h"

enum message_form {
    MESSAGE_JSON,       /* ours */
    MESSAGE_JSONPICKLE, /* for a Python consumer; byte for byte what jsonpickle 3 and 4 write */
};

struct message_limits {
    size_t max_bytes;   /* of a body; 64 KiB */
    unsigned max_depth; /* of nested arrays and objects; 16 (jsonpickle's deepest has 12), at most 64 */
};
#define MESSAGE_LIMITS_DEFAULT ((struct message_limits){ 64 * 1024, 16 })

/* Adds the body to out, ASCII as Python's json.dumps writes it.  r must pass study_request_check(), have a day or 0 as its date
 * and a time as iso_time_parse() takes it; the time is written as iso_time_format() does.
 * Fails: INVALID (with the field's name), NOMEM (or out's ceiling); out is then as it was. */
PIXL_MUST_CHECK bool message_encode(const struct study_request *r, enum message_form form, struct buf *out,
                                    struct pixl_error *err);

/* Either form, and both ages of it: study_uid and series_uid may be absent.  Texts are trimmed, project_name becomes a slug,
 * the time what iso_time_format() gives; priority is 1.  *out passed study_request_check(); its texts are in the arena.
 * Refused are: an unknown, a doubled or a missing field, more than 64 of anything; a value of another type (a number of whole value and a text of
 * digits are both a procedure); any Python type but Message and those of a date and time.  A zone by name gives the offset that
 * this system's tz database has for that time, unless it is UTC, or pytz wrote the offset beside it.
 * Fails: CORRUPT (no JSON, no UTF-8), LIMIT, INVALID (a field), UNSUPPORTED (a Python type), NOT_FOUND (a zone that the tz
 * database does not have; or there is no database), NOMEM. */
PIXL_MUST_CHECK bool message_decode(struct phi_text body, const struct message_limits *limits, struct arena *a,
                                    struct study_request *out, struct pixl_error *err);

#endif

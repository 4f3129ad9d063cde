/* Bytes as a message: what is read passes the request's own check, and written in either form it is read as the same. */
#include "queue/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void same(const struct study_request *a, const struct study_request *b)
{
    require(str_eq(a->project, b->project) && phi_eq(a->mrn, b->mrn) &&
            phi_eq(a->accession_number, b->accession_number));
    require(phi_eq(a->study_uid, b->study_uid) && phi_eq(a->series_uids, b->series_uids));
    require(a->study_date == b->study_date && a->procedure_occurrence_id == b->procedure_occurrence_id);
    require(str_eq(a->extract_time, b->extract_time) && a->priority == b->priority);
    require(a->participant_id.n == 0 && b->participant_id.n == 0);
}

static void there_and_back(const struct study_request *r, enum message_form form)
{
    struct arena a;
    struct study_request back;
    struct pixl_error err = { 0 };
    buf_auto text;
    buf_init(&text, 1 << 16);
    arena_init(&a, 1 << 20);
    require(message_encode(r, form, &text, &err));
    require(message_decode(phi_text(buf_str(&text)), &MESSAGE_LIMITS_DEFAULT, &a, &back, &err));
    same(r, &back);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct study_request r = { .priority = 99 };
    struct pixl_error err = { 0 };
    const struct message_limits limits = { 4096, 16 };
    arena_init(&a, 1 << 20);
    bool ok = message_decode(phi_text((struct str){ (const char *)data, size }), &limits, &a, &r, &err);
    require(ok == (err.code == PIXL_OK));
    if (ok) {
        require(r.priority == 1 && study_request_check(&r, &err));
        there_and_back(&r, MESSAGE_JSON);
        there_and_back(&r, MESSAGE_JSONPICKLE);
    } else {
        require(r.priority == 99 && strncmp(err.msg, "message: ", 9) == 0);
        require(err.code == PIXL_E_CORRUPT || err.code == PIXL_E_INVALID || err.code == PIXL_E_UNSUPPORTED ||
                err.code == PIXL_E_LIMIT || err.code == PIXL_E_NOT_FOUND);
    }
    arena_done(&a);
    return 0;
}

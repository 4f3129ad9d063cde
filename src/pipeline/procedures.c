#include "procedures.h"

#include <stdlib.h>

#include "base/attr.h"
#include "store/key_hash.h"

enum { ROOM_AT_FIRST = 1024 };

void procedures_done(struct procedures *p)
{
    free(p->keys);
    free(p->mrns);
    *p = (struct procedures){ 0 };
}

static size_t slot_of(const uint64_t *keys, size_t room, uint64_t key)
{
    size_t i = key & (room - 1); /* it is a hash already */
    while (keys[i] != 0 && keys[i] != key)
        i = (i + 1) & (room - 1);
    return i;
}

static bool widen(struct procedures *p, struct pixl_error *err)
{
    struct procedures wider = { .n = p->n, .room = p->room > 0 ? 2 * p->room : ROOM_AT_FIRST };
    wider.keys = calloc(wider.room, sizeof *wider.keys);
    wider.mrns = calloc(wider.room, sizeof *wider.mrns);
    if (wider.keys == NULL || wider.mrns == NULL) {
        procedures_done(&wider);
        return pixl_fail(err, PIXL_E_NOMEM, 0, "procedures of the cohort");
    }
    for (size_t i = 0; i < p->room; i++)
        if (p->keys[i] != 0) {
            size_t at = slot_of(wider.keys, wider.room, p->keys[i]);
            wider.keys[at] = p->keys[i];
            wider.mrns[at] = p->mrns[i];
        }
    procedures_done(p);
    *p = wider;
    return true;
}

static bool note(struct procedures *p, const struct str *of_key, size_t n, struct phi_text mrn, bool *differs,
                 struct pixl_error *err)
{
    const struct str of_mrn = phi_reveal(mrn);
    if (4 * (p->n + 1) > 3 * p->room && !widen(p, err))
        return false;
    const uint64_t key = store_key_hash(of_key, n) | UINT64_C(1) << 63; /* never 0 */
    const uint32_t hash = (uint32_t)(store_key_hash(&of_mrn, 1) >> 32);
    const size_t at = slot_of(p->keys, p->room, key);
    if (p->keys[at] == 0) {
        p->keys[at] = key;
        p->mrns[at] = hash;
        p->n++;
    }
    *differs = p->mrns[at] != hash;
    return true;
}

bool procedures_note(struct procedures *p, struct str project, struct str extract_time, int64_t procedure_occurrence_id,
                     struct phi_text mrn, bool *differs, struct pixl_error *err)
{
    char number[STORE_KEY_NUMBER];
    const struct str of_key[] = { project, extract_time, store_key_number(procedure_occurrence_id, number) };
    return note(p, of_key, ARRAY_LEN(of_key), mrn, differs, err);
}

bool procedures_note_participant(struct procedures *p, struct str project, struct str participant_id,
                                 struct phi_text mrn, bool *differs, struct pixl_error *err)
{
    const struct str of_key[] = { project, participant_id };
    return note(p, of_key, ARRAY_LEN(of_key), mrn, differs, err);
}

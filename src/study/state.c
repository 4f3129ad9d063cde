#include "state.h"

#include <assert.h>
#include <stdint.h>

#define BIT(s) (UINT32_C(1) << STUDY_##s)

static const struct { const char *name, *text; bool is_end; } states[STUDY_STATE_COUNT] = {
#define O false
#define E true
#define X(symbol, name, text, end) [STUDY_##symbol] = { name, text, end },
    STUDY_STATES(X)
#undef X
#undef E
#undef O
};

/* Where each state may lead.  `exported` leads nowhere: what was delivered is never undone by a move; `kept` only back, when the spool with
 * its zip is lost. */
static const uint32_t moves[STUDY_STATE_COUNT] = {
    [STUDY_QUEUED] = BIT(RETRIEVING) | BIT(HELD),
    [STUDY_RETRIEVING] = BIT(DEIDENTIFIED) | BIT(QUEUED) | BIT(MISSING) | BIT(SKIPPED) | BIT(FAILED) | BIT(WITHHELD),
    [STUDY_DEIDENTIFIED] = BIT(DELIVERING) | BIT(QUEUED) | BIT(FAILED) | BIT(HELD),
    [STUDY_DELIVERING] = BIT(EXPORTED) | BIT(KEPT) | BIT(DEIDENTIFIED) | BIT(QUEUED) | BIT(FAILED),
    [STUDY_KEPT] = BIT(QUEUED),
    [STUDY_FAILED] = BIT(QUEUED) | BIT(DEIDENTIFIED),
    [STUDY_MISSING] = BIT(QUEUED),
    [STUDY_SKIPPED] = BIT(QUEUED),
    [STUDY_WITHHELD] = BIT(QUEUED),
    [STUDY_HELD] = BIT(QUEUED) | BIT(DEIDENTIFIED),
    [STUDY_ADOPTED] = BIT(QUEUED),
};

static bool is_state(enum study_state s)
{
    return s < STUDY_STATE_COUNT;
}

const char *study_state_name(enum study_state s)
{
    assert(is_state(s));
    return states[s].name;
}

const char *study_state_text(enum study_state s)
{
    assert(is_state(s));
    return states[s].text;
}

bool study_state_parse(struct str name, enum study_state *out)
{
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        if (str_eq(name, str_of(states[i].name))) {
            *out = (enum study_state)i;
            return true;
        }
    return false;
}

bool study_state_is_end(enum study_state s)
{
    assert(is_state(s));
    return states[s].is_end;
}

bool study_can_move(enum study_state from, enum study_state to)
{
    return is_state(from) && is_state(to) && (moves[from] >> to & 1) != 0;
}

bool study_retry_target(enum study_state state, enum study_state failed_from, enum study_state *target)
{
    switch (state) {
    case STUDY_FAILED:          /* one that failed as it lay in the spool has no zip to trust */
        *target = failed_from == STUDY_DELIVERING ? STUDY_DEIDENTIFIED : STUDY_QUEUED;
        break;
    case STUDY_HELD:            /* failed_from: where it was when it was purged */
        *target =
            failed_from == STUDY_DEIDENTIFIED || failed_from == STUDY_DELIVERING ? STUDY_DEIDENTIFIED : STUDY_QUEUED;
        break;
    case STUDY_MISSING: case STUDY_SKIPPED: case STUDY_WITHHELD: case STUDY_ADOPTED:
        *target = STUDY_QUEUED;
        break;
    default:
        return false;
    }
    assert(study_can_move(state, *target));
    return true;
}

/* Written out for every code, without a default: a new code does not compile until somebody has said what it does. */
enum study_outcome study_outcome_of(enum pixl_code code)
{
    switch (code) {
    case PIXL_E_UNAVAILABLE:    /* the other side, or our disk: the next study would fare no better */
    case PIXL_E_NO_SPACE:
    case PIXL_E_DENIED:
        return STUDY_OUT_UNAVAILABLE;
    case PIXL_E_STALE:
        return STUDY_OUT_LOST;
    case PIXL_E_CANCELLED:
        return STUDY_OUT_CANCELLED;
    case PIXL_E_CORRUPT:        /* this study, and it will be the same tomorrow */
    case PIXL_E_LIMIT:
    case PIXL_E_UNSUPPORTED:
    case PIXL_E_EXISTS:
    case PIXL_E_INVALID:
        return STUDY_OUT_FAILED;
    case PIXL_E_PRIVACY:
        return STUDY_OUT_WITHHELD;
    case PIXL_E_NOT_FOUND:      /* a file that vanished while it was read; "in no archive" is no error */
    case PIXL_E_NOMEM:
    case PIXL_E_IO:
    case PIXL_E_BUSY:
    case PIXL_E_INTERNAL:
        return STUDY_OUT_RETRY;
    case PIXL_OK:
    case PIXL_CODE_COUNT:
        break;
    }
    assert(false && "an outcome was asked for without an error");
    return STUDY_OUT_RETRY;
}

static const struct { const char *name, *text; bool is_rule; } reasons[STUDY_REASON_COUNT] = {
#define S true
#define F false
#define X(symbol, name, text, end) [STUDY_WHY_##symbol] = { name, text, end },
    STUDY_REASONS(X)
#undef X
#undef F
#undef S
};

const char *study_reason_name(enum study_reason r)
{
    assert(r < STUDY_REASON_COUNT);
    return reasons[r].name;
}

const char *study_reason_text(enum study_reason r)
{
    assert(r < STUDY_REASON_COUNT);
    return reasons[r].text;
}

bool study_reason_is_rule(enum study_reason r)
{
    assert(r < STUDY_REASON_COUNT);
    return reasons[r].is_rule;
}

bool study_reason_parse(struct str name, enum study_reason *out)
{
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        if (str_eq(name, str_of(reasons[i].name))) {
            *out = (enum study_reason)i;
            return true;
        }
    return false;
}

#include "study/state.h"

#include <string.h>

#include "test.h"

/* The table as ARCHITECTURE's life of a study tells it, written a second time by hand: Q R D V E K M S F W H A. */
static void test_state__only_the_allowed_moves_are_allowed(void)
{
    static const char letters[] = "QRDVEKMSFWHA";
    static const char *const to[STUDY_STATE_COUNT] = {
        "RH", "DQMSFW", "VQFH", "EKDQF", "", "Q", "Q", "Q", "QD", "Q", "QD", "Q",
    };
    CHECK_INT(strlen(letters), STUDY_STATE_COUNT);
    for (int a = 0; a < STUDY_STATE_COUNT; a++)
        for (int b = 0; b < STUDY_STATE_COUNT; b++) {
            test_row("%c to %c", letters[a], letters[b]);
            CHECK_INT(study_can_move((enum study_state)a, (enum study_state)b), strchr(to[a], letters[b]) != NULL);
        }
    test_row("beyond the table");
    CHECK(!study_can_move(STUDY_STATE_COUNT, STUDY_QUEUED) && !study_can_move(STUDY_QUEUED, STUDY_STATE_COUNT));
}

static void test_state__names_and_reasons_are_unique_and_parse_back(void)
{
    for (int i = 0; i < STUDY_STATE_COUNT; i++) {
        enum study_state s = STUDY_STATE_COUNT;
        const char *name = study_state_name((enum study_state)i);
        test_row("%s", name);
        CHECK(study_state_parse(str_of(name), &s) && (int)s == i);
        CHECK(strlen(study_state_text((enum study_state)i)) > 0);
    }
    for (int i = 0; i < STUDY_REASON_COUNT; i++) {
        enum study_reason r = STUDY_REASON_COUNT;
        const char *name = study_reason_name((enum study_reason)i);
        test_row("%s", name);
        CHECK(study_reason_parse(str_of(name), &r) && (int)r == i);
        CHECK((strlen(study_reason_text((enum study_reason)i)) > 0) == (i != STUDY_WHY_NONE));
    }
    test_row("unknown");
    enum study_state s = STUDY_HELD;
    enum study_reason r = STUDY_WHY_CRASHED;
    CHECK(!study_state_parse(STR("Queued"), &s) && !study_state_parse(STR(""), &s) && s == STUDY_HELD);
    CHECK(!study_reason_parse(STR("no such reason"), &r) && r == STUDY_WHY_CRASHED);
}

/* What the project or the cohort asks for leaves nothing of a study without anything having gone wrong; all else has. */
static void test_state__rules_skip_and_all_else_fails(void)
{
    static const enum study_reason rules[] = {
        STUDY_WHY_NO_INSTANCES_LEFT, STUDY_WHY_SERIES_NOT_REQUESTED, STUDY_WHY_TOO_FEW_INSTANCES,
        STUDY_WHY_MODALITY,          STUDY_WHY_MANUFACTURER,         STUDY_WHY_SERIES_DESCRIPTION,
        STUDY_WHY_SERIES_NUMBER,     STUDY_WHY_NO_MANUFACTURER,      STUDY_WHY_BURNED_IN,
        STUDY_WHY_OVERLAY_IN_PIXELS, STUDY_WHY_PIXELS_NOT_CLEANED,   STUDY_WHY_SAME_STUDY,
        STUDY_WHY_DELIVERED_BEFORE,
    };
    for (int i = 0; i < STUDY_REASON_COUNT; i++) {
        bool want = false;
        for (size_t k = 0; k < ARRAY_LEN(rules); k++)
            want = want || (int)rules[k] == i;
        test_row("%s", study_reason_name((enum study_reason)i));
        CHECK_INT(study_reason_is_rule((enum study_reason)i), want);
    }
}

static void test_state__open_states_are_the_four_that_work_goes_through(void)
{
    for (int i = 0; i < STUDY_STATE_COUNT; i++)
        CHECK_INT(study_state_is_end((enum study_state)i), i > STUDY_DELIVERING);
}

static void test_state__retry_goes_back_to_where_work_is_left(void)
{
    static const struct { enum study_state state, failed_from; bool ok; enum study_state want; } rows[] = {
        { STUDY_FAILED, STUDY_DELIVERING, true, STUDY_DEIDENTIFIED },
        { STUDY_FAILED, STUDY_RETRIEVING, true, STUDY_QUEUED },
        { STUDY_FAILED, STUDY_DEIDENTIFIED, true, STUDY_QUEUED },
        { STUDY_HELD, STUDY_QUEUED, true, STUDY_QUEUED },
        { STUDY_HELD, STUDY_DEIDENTIFIED, true, STUDY_DEIDENTIFIED },
        { STUDY_MISSING, STUDY_QUEUED, true, STUDY_QUEUED },
        { STUDY_SKIPPED, STUDY_DELIVERING, true, STUDY_QUEUED },
        { STUDY_WITHHELD, STUDY_DELIVERING, true, STUDY_QUEUED },
        { STUDY_ADOPTED, STUDY_QUEUED, true, STUDY_QUEUED },
        { STUDY_QUEUED, STUDY_QUEUED, false, 0 },
        { STUDY_RETRIEVING, STUDY_QUEUED, false, 0 },
        { STUDY_DEIDENTIFIED, STUDY_QUEUED, false, 0 },
        { STUDY_DELIVERING, STUDY_QUEUED, false, 0 },
        { STUDY_EXPORTED, STUDY_DELIVERING, false, 0 },
        { STUDY_KEPT, STUDY_DELIVERING, false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s after %s", study_state_name(rows[i].state), study_state_name(rows[i].failed_from));
        enum study_state to = STUDY_STATE_COUNT;
        CHECK_INT(study_retry_target(rows[i].state, rows[i].failed_from, &to), rows[i].ok);
        CHECK_INT(to, rows[i].ok ? rows[i].want : STUDY_STATE_COUNT);
    }
}

static void test_state__each_error_code_has_its_outcome(void)
{
    static const struct { enum pixl_code code; enum study_outcome want; } rows[] = {
        { PIXL_E_UNAVAILABLE, STUDY_OUT_UNAVAILABLE }, { PIXL_E_NO_SPACE, STUDY_OUT_UNAVAILABLE },
        { PIXL_E_DENIED, STUDY_OUT_UNAVAILABLE },      { PIXL_E_STALE, STUDY_OUT_LOST },
        { PIXL_E_CANCELLED, STUDY_OUT_CANCELLED },     { PIXL_E_CORRUPT, STUDY_OUT_FAILED },
        { PIXL_E_LIMIT, STUDY_OUT_FAILED },            { PIXL_E_UNSUPPORTED, STUDY_OUT_FAILED },
        { PIXL_E_EXISTS, STUDY_OUT_FAILED },           { PIXL_E_INVALID, STUDY_OUT_FAILED },
        { PIXL_E_PRIVACY, STUDY_OUT_WITHHELD },        { PIXL_E_NOT_FOUND, STUDY_OUT_RETRY },
        { PIXL_E_NOMEM, STUDY_OUT_RETRY },             { PIXL_E_IO, STUDY_OUT_RETRY },
        { PIXL_E_BUSY, STUDY_OUT_RETRY },              { PIXL_E_INTERNAL, STUDY_OUT_RETRY },
    };
    CHECK_INT(ARRAY_LEN(rows), PIXL_CODE_COUNT - 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_row("%s", pixl_code_name(rows[i].code));
        CHECK_INT(study_outcome_of(rows[i].code), rows[i].want);
    }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_state__only_the_allowed_moves_are_allowed),
        TEST(test_state__names_and_reasons_are_unique_and_parse_back),
        TEST(test_state__rules_skip_and_all_else_fails),
        TEST(test_state__open_states_are_the_four_that_work_goes_through),
        TEST(test_state__retry_goes_back_to_where_work_is_left),
        TEST(test_state__each_error_code_has_its_outcome),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

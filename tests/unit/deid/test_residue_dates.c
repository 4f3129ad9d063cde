/* Ways to write the 4th of July 1961, and other days and numbers that look like it; each with the needle before and
 * behind the text. */
#include "residue_rig.h"

#define BORN(text, found)                                    \
    {                                                        \
        IDENTITY_DATE, "19610704", text, RESIDUE_TEXT, found \
    }
#define DAY(born, text, found)                         \
    {                                                  \
        IDENTITY_DATE, born, text, RESIDUE_TEXT, found \
    }

static const struct residue_row forms[] = {
    BORN("19610704", true),
    BORN("1961-07-04", true),
    BORN("04.07.1961", true),
    BORN("4.7.1961", true),
    BORN("7/4/1961", true),
    BORN("04071961", true),
    BORN("04/07/61", true),
    BORN("4/7/61", true),
    BORN("4.7.61", true),
    BORN("b. 07-04-61", true),
    BORN("61/7/4", true),
    BORN("04-Jul-61", true),
    BORN("4 Jul 61", true),
    BORN("04JUL61", true),
    BORN("4JUL61", true),
    BORN("Jul 4, 61", true),
    BORN("4th July 1961", true),
    BORN("July 4th, 1961", true),
    BORN("the 4th of July, 1961", true),
    BORN("July the 4th 1961", true),
    BORN("1961 July 4", true),
    BORN("4. Juli 1961", true),
    BORN("04.Juli.1961", true),
    BORN("4 juillet 1961", true),
    BORN("4 de julio de 1961", true),
    BORN("4 de julio del 1961", true),
    BORN("julio 4 de 1961", true),
    BORN("4 luglio 1961", true),
    BORN("4 juli 1961", true),
    BORN("4 de julho de 1961", true),
    BORN("4 lipca 1961", true),
    BORN("4.VII.1961", true),
    BORN("4 juli 61", true),
    BORN("1961年7月4日", true),
    BORN("１９６１年７月４日", true),
    BORN("生年月日 1961年07月04日生", true),
    BORN("1961년 7월 4일", true),
    BORN("昭和36年7月4日", true),
    BORN("S36.7.4", true),
    BORN("民國50年7月4日", true),
    BORN("4/7/2504", true),
    DAY("19610101", "1er janvier 1961", true),
    DAY("19610101", "1st January 1961", true),
    DAY("19610322", "22. März 1961", true),
    DAY("19610322", "22. Maerz 1961", true),
    DAY("19610322", "22 marca 1961", true),
    DAY("19610223", "23rd of February 1961", true),
    DAY("19610811", "11th August 1961", true),
    DAY("19611204", "4 grudnia 1961", true),
    DAY("19860510", "昭和61年5月10日", true),
    BORN("b 19610704120000", true),
    BORN("196107041200", true),
    DAY("04.07.1961", "4/7/1961", true),
    DAY("04.07.1961", "19610704", true),
    DAY("4.7.1961", "4 Jul 1961", true),
    DAY("07/23/1961", "23 Jul 1961", true),
    DAY("04071961", "19610704", true),
    DAY("04071961", "1961-07-04", true),
    DAY("1961-7-4", "19610704", true),
    DAY("1961.07.04", "4 Jul 1961", true),
    /* Others. */
    BORN("1961070412000", false), /* no time */
    BORN("19610704120000123", false),
    BORN("11961070412000", false),
    DAY("04.07.1961", "5 Jul 1961", false),
    DAY("45071961", "19610745", false),
    DAY("4.7.61", "4 Jul 1961", false), /* of which century? */
    BORN("4th July 1962", false),
    BORN("14th July 1961", false),
    BORN("4 June 1961", false),
    BORN("July 1961", false),
    BORN("4 de julio de 1962", false),
    BORN("1961年7月14日", false),
    BORN("昭和37年7月4日", false),
    BORN("47.61", false),
    BORN("4 7 61", false),
    BORN("47/6/1", false),
    BORN("610704", false),
    BORN("04:07:61", false),
    BORN("version 4.7.61.2", false),
    DAY("19501112", "at 11:12:50", false),
    DAY("19501112", "11.12.50", true),
};

static void test_dates__are_found_as_people_write_them(void)
{
    residue_rig_check(forms, ARRAY_LEN(forms));
}

#define MRN(id, text, found)                        \
    {                                               \
        IDENTITY_MRN, id, text, RESIDUE_TEXT, found \
    }

static void test_dates__and_numbers_with_letters_around(void)
{
    static const struct residue_row rows[] = {
        MRN("4711-0815", "x4711-0815", true),
        MRN("4711-0815", "MRN4711-0815a", true),
        MRN("4711-0815", "4711-0815x", true),
        MRN("47110815", "no4711.0815", true),
        MRN("4711-08", "x4711-08", true),
        MRN("4711-0815", "x4711-0816", false),
        MRN("4711-0815", "x4711-081", false),
        MRN("4711-0815", "x4711a0815", false),
        MRN("4711-0815", "1x4711-0815", false),
        MRN("47110815", "no\302\2404711\302\2400815", true), /* blanks and dashes of typesetters */
        MRN("47110815", "no 47\342\200\21111\342\200\2110815", true),
        MRN("47110815", "no 4711\342\200\2240815", true),
        MRN("47110815", "no 4711\343\200\2000815", true),
        MRN("47110815", "no 4 7 1 1 0 8 1 5", true),
        MRN("47110815", "no 4 7 1 1 0 8 1 5 6", false),
        MRN("47110815", "no 4 7 1 1  0 8 1 5", false),
        MRN("47110815", "no 4711-\r\n0815", true), /* at the end of a line */
        MRN("47110815", "no 4711\r\n0815", false),
        MRN("47-11", "x47-11", false), /* too short */
        BORN("DOB1961-07-04", true),
        BORN("DOB1961-07-05", false),
    };
    residue_rig_check(rows, ARRAY_LEN(rows));
}

#define WHOLE(id, text, found)                         \
    {                                                  \
        IDENTITY_MRN, id, text, RESIDUE_NUMBERS, found \
    }

static void test_dates__and_parts_of_numbers(void)
{
    static const struct residue_row rows[] = {
        MRN("K12345", "pt K 12345", true),
        MRN("K12345", "pt 12345", false),
        MRN("K1234", "pt K 1234", false),
        MRN("HOSP/12345678/A", "pt 12345678 knee", true),
        MRN("HOSP/19931231/A", "19931231", false), /* a day */
        MRN("HOSP/20240102103000", "20240102103000", false),
        MRN("1.2.3680043.99", "3680043", false), /* a maker's */
        MRN("HOSP/123456/A", "123456", false),
        WHOLE("123456", "+0123456", true),
        WHOLE("123456", "-123456", true),
        WHOLE("123456", "1\\123456.0 ", true),
        WHOLE("123456", "123456.", true),
        WHOLE("0123456", "0123456", true),
        WHOLE("123456", "123456.1", false),
        WHOLE("123456", "0.123456", false),
        WHOLE("123456", "0.00123456", false),
        WHOLE("123456", "1234560", false),
        WHOLE("12345", "00012345", false),
    };
    residue_rig_check(rows, ARRAY_LEN(rows));
}

/* The number behind an id's letters counts by itself, unless it could be when something was done. */
static void test_dates__of_no_calendar_are_numbers(void)
{
    static const struct residue_row rows[] = {
        MRN("UH19931361", "19931361", true),   MRN("UH19931331", "19931331", true),
        MRN("UH19930230", "19930230", true),   MRN("UH19930229", "19930229", true),
        MRN("UH19930001", "19930001", true),   MRN("UH21120101", "21120101", true),
        MRN("UH19931231", "19931231", false),  MRN("UH20240229", "20240229", false),
        MRN("UH19931231", "uh19931231", true), MRN("19931231", "19931231", true),
    };
    residue_rig_check(rows, ARRAY_LEN(rows));
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_dates__are_found_as_people_write_them),
        TEST(test_dates__and_numbers_with_letters_around),
        TEST(test_dates__and_parts_of_numbers),
        TEST(test_dates__of_no_calendar_are_numbers),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

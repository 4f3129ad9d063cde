/* recipe.c - image operation files: what is to be done to pixels.
 *
 * One thing can be asked for: everything outside the ultrasound regions of an image becomes zero.  That is said in the
 * recipe language of pydicom's deid,
 *
 *   FORMAT dicom
 *   %filter whitelist                    # exempts nobody, as no label here has coordinates
 *   LABEL Said to be clean
 *     contains BurnedInAnnotation No
 *   %filter graylist
 *   LABEL All
 *     coordinates all
 *   LABEL But the regions
 *     present SequenceOfUltrasoundRegions
 *     keepcoordinates from:SequenceOfUltrasoundRegions
 *
 * or by the one line `keep: SequenceOfUltrasoundRegions`.  The language can say much more; whoever wrote it counts on
 * it being done, so that every line that says something else is a problem. */
#include "project_internal.h"

#include <string.h>

#define REGIONS "SequenceOfUltrasoundRegions"

enum { WORDS_MAX = 4, LINES_MAX = 10000 };

enum section { SECTION_NONE, SECTION_WHITELIST, SECTION_GRAYLIST, SECTION_OTHER };
enum effect { EFFECT_NONE, EFFECT_BLANKS = 1, EFFECT_ASKS = 2, EFFECT_KEEPS = 4, EFFECT_TELLS = 8 };

struct reader {
    struct problems *ps;
    struct place at; /* of the line */
    struct str text; /* trimmed */
    struct str words[WORDS_MAX];
    size_t n_words;      /* of the line; only the first WORDS_MAX are held */
    size_t n_statements; /* before this one */
    enum section section;
    struct place label_at; /* line 0: no label is open */
    unsigned label;        /* enum effect, of the open label */
    bool label_is_wrong;   /* and was told */
    bool blanks, keeps;    /* what was said so far */
    bool is_short;         /* by the one line */
};

/* The criteria and actions that a label may hold; a word "" is any value. */
static const struct {
    const char *words[3];
    size_t n_words;
    enum section section;
    enum effect effect;
} lines[] = {
    { { "contains", "BurnedInAnnotation", "" }, 3, SECTION_WHITELIST, EFFECT_TELLS },
    { { "equals", "BurnedInAnnotation", "" }, 3, SECTION_WHITELIST, EFFECT_TELLS },
    { { "coordinates", "all" }, 2, SECTION_GRAYLIST, EFFECT_BLANKS },
    { { "present", REGIONS }, 2, SECTION_GRAYLIST, EFFECT_ASKS },
    { { "keepcoordinates", "from:" REGIONS }, 2, SECTION_GRAYLIST, EFFECT_KEEPS },
};

static void split_words(struct reader *r, struct str line, const char *line_start)
{
    r->n_words = 0;
    for (size_t i = 0; i < line.n;) {
        size_t from = i;
        while (i < line.n && line.p[i] != ' ' && line.p[i] != '\t')
            i++;
        if (i > from) {
            if (r->n_words == 0)
                r->at.column = (int)(line.p + from - line_start) + 1;
            if (r->n_words < WORDS_MAX)
                r->words[r->n_words] = (struct str){ line.p + from, i - from };
            r->n_words++;
        } else {
            i++;
        }
    }
}

static bool is_line(const struct reader *r, const char *first, const char *second)
{
    return r->n_words == 2 && str_eq_nocase(r->words[0], str_of(first)) && str_eq_nocase(r->words[1], str_of(second));
}

/* A label must do exactly one thing: a condition on what blanks, or two actions, say something else. */
static void end_label(struct reader *r)
{
    bool is_one_thing = r->label == EFFECT_TELLS || r->label == EFFECT_BLANKS || r->label == EFFECT_KEEPS ||
                        r->label == (EFFECT_ASKS | EFFECT_KEEPS);
    if (r->label_at.line != 0 && !r->label_is_wrong && !is_one_thing)
        (void)problem_at(r->ps, r->label_at,
                         "a label holds either `coordinates all` alone, or `present " REGIONS
                         "` with `keepcoordinates from:" REGIONS "`");
    r->label_at.line = 0;
    r->label = EFFECT_NONE;
    r->label_is_wrong = false;
}

static bool take_effect(struct reader *r, enum effect effect)
{
    if (r->label & effect)
        return problem_at(r->ps, r->at, "this stands in the label already");
    if (effect == EFFECT_BLANKS && r->keeps)
        return problem_at(r->ps, r->at, "this would blank the regions that a label above keeps; it must come first");
    if (effect == EFFECT_KEEPS && !r->blanks)
        return problem_at(r->ps, r->at, "nothing is blanked yet: a label with `coordinates all` must stand above");
    r->label |= effect;
    r->blanks = r->blanks || effect == EFFECT_BLANKS;
    r->keeps = r->keeps || effect == EFFECT_KEEPS;
    return true;
}

static bool take_criterion(struct reader *r)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        bool is_it = r->n_words == lines[i].n_words;
        for (size_t k = 0; is_it && k < lines[i].n_words; k++)
            is_it = lines[i].words[k][0] == '\0' || str_eq(r->words[k], str_of(lines[i].words[k]));
        if (!is_it)
            continue;
        if (lines[i].section == r->section)
            return take_effect(r, lines[i].effect);
        return problem_at(r->ps, r->at, "this is supported in a %s alone",
                          lines[i].section == SECTION_WHITELIST ? "whitelist" : "graylist");
    }
    return problem_at(r->ps, r->at, "'%s': not supported here; a label holds %s", problem_show(r->text).text,
                      r->section == SECTION_WHITELIST ? "`contains BurnedInAnnotation VALUE`"
                                                      : "`coordinates all`, `present " REGIONS
                                                        "` or `keepcoordinates from:" REGIONS "`");
}

static void take_filter(struct reader *r)
{
    end_label(r);
    bool is_white = is_line(r, "%filter", "whitelist");
    bool is_gray = is_line(r, "%filter", "graylist") || is_line(r, "%filter", "greylist");
    r->section = is_white ? SECTION_WHITELIST : is_gray ? SECTION_GRAYLIST : SECTION_OTHER;
    if (!is_white && !is_gray)
        (void)problem_at(r->ps, r->at,
                         "'%s': supported sections are `%%filter whitelist` and `%%filter graylist`; what "
                         "is done to tags is said in tag operation files",
                         problem_show(r->text).text);
}

/* One line that says something. */
static void take_statement(struct reader *r)
{
    bool is_first = r->n_statements++ == 0;
    if (r->is_short) {
        (void)problem_at(r->ps, r->at, "nothing may follow `keep: " REGIONS "`");
    } else if (is_first && is_line(r, "keep:", REGIONS)) {
        r->is_short = r->blanks = r->keeps = true;
    } else if (is_first && is_line(r, "FORMAT", "dicom")) {
        return;
    } else if (r->words[0].p[0] == '%') {
        take_filter(r);
    } else if (r->section == SECTION_OTHER) {
        return; /* told where it began */
    } else if (r->section == SECTION_NONE) {
        (void)problem_at(r->ps, r->at,
                         "'%s': not supported here; a recipe begins with `FORMAT dicom` and `%%filter "
                         "whitelist` or `%%filter graylist`, or is `keep: " REGIONS "`",
                         problem_show(r->text).text);
    } else if (str_eq_nocase(r->words[0], STR("LABEL"))) {
        end_label(r);
        r->label_at = r->at;
    } else if (r->label_at.line == 0) {
        (void)problem_at(r->ps, r->at, "'%s': stands in no LABEL", problem_show(r->text).text);
    } else if (!take_criterion(r)) {
        r->label_is_wrong = true;
    }
}

bool recipe_check(struct str text, const char *file, struct problems *ps)
{
    struct reader r = { .ps = ps, .at = { .file = file } };
    size_t before = ps->n;
    bool more = true;
    while (more && r.at.line < LINES_MAX) {
        struct str line, comment;
        more = str_split(text, '\n', &line, &text);
        const char *start = line.p;
        r.at.line++;
        (void)str_split(line, '#', &line, &comment);
        r.text = str_trim(line);
        split_words(&r, r.text, start);
        if (r.n_words > 0)
            take_statement(&r);
    }
    if (more)
        (void)problem_at(ps, (struct place){ .file = file }, "more than %d lines", LINES_MAX);
    end_label(&r);
    if (ps->n == before && !r.keeps)
        (void)problem_at(ps, (struct place){ .file = file },
                         "keeps no regions: a label with `keepcoordinates from:" REGIONS "` is wanted in a graylist");
    return ps->n == before;
}

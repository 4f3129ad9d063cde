#include "people.h"

#include <stdlib.h>
#include <string.h>

/* No word of a radiology report and no name in use: a hit is a leak. */
static const char *const families[] = {
    "Thistlewick",
    "Quillfeather",
    "Eskilstr\xC3\xB6mer",
    "Okonjimma",
    "Brambleforth",
    "Vanterpoole",
    "Wetherquist",
    "Zielonkawska",
    "Fennimoor",
    "Larkhollow",
    "Gr\xC3\xBCnew\xC3\xA4lder",
    "Ostrandine",
    "Pennywhistler",
    "Szczepkowna",
    "Tamberlaine",
    "Ubaldeschi",
    "Yarrowmead",
    "Dalhousten",
    "Iwaszkova",
    "Haverdasch",
    "Cazalettier",
    "Jorundsenn",
    "Kingsmarsh",
};
static const char *const givens[] = {
    "Amabellina", "Bartolomea",  "Corisandra", "Dominicko",  "Evangelyne", "Florimonde", "Gwendolyth", "Hildebrandt",
    "Isambardo",  "Jessamyne",   "Kunigunde",  "Leopoldina", "Maximianus", "Nathanaela", "Ottokarina", "Peregrinus",
    "Quintillus", "Rosamundine", "Seraphinus", "Theophania", "Ulrikeanne", "Valentinus", "Wilhelmyne", "Xanthippus",
    "Yolandette", "Zephyrinus",  "Archibalda", "Brunhildis", "Clothildea",
};
static const char *const middles[] = { "Mirabeau",   "Fairweather", "Tolliver",  "Ravenscar",
                                       "Underhilly", "Peppercorn",  "Goldfinchy" };
static const char *const streets[] = { "Nightingale Quay", "Barleymow Rise", "Saltmarsh Parade", "Weathercock Yard",
                                       "Turnpike Hollow" };

/* UTF-8 of U+0080..U+00FF, the only letters beyond ASCII above, to ISO 8859-1. */
static const char *to_latin1(struct arena *a, const char *utf8)
{
    char *out = arena_cstr(a, utf8);
    if (out == NULL)
        return NULL;
    size_t n = 0;
    for (const char *p = utf8; *p != '\0'; p++) {
        unsigned c = (unsigned char)*p;
        if (c >= 0xC0)
            c = (c & 3) << 6 | ((unsigned char)*++p & 0x3F);
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return out;
}

bool person_make(struct arena *a, size_t i, struct person *out)
{
    struct person p = { .sex = i % 2 ? "M" : "F" };
    unsigned year = 1931 + (unsigned)(i * 7 % 59), number = (unsigned)i;
    p.family = families[i % ARRAY_LEN(families)];
    p.given = givens[i % ARRAY_LEN(givens)];
    p.middle = middles[i % ARRAY_LEN(middles)];
    bool is_latin1 = i % 4 == 2;
    p.charset = is_latin1 ? "ISO_IR 100" : "ISO_IR 192";
    p.family_in_file = is_latin1 ? to_latin1(a, p.family) : p.family;
    p.mother = is_latin1 ? "" : families[(i + 9) % ARRAY_LEN(families)];
    p.mrn = arena_printf(a, "4%07u", 1290017 + number * 613 % 8000000);
    p.nhs_number = arena_printf(a, "999%07u", 2104417 + number * 917 % 7000000);
    p.old_mrn = arena_printf(a, "NM-%06u-K", 301177 + number * 31 % 600000);
    p.birth_date = arena_printf(a, "%04u%02u%02u", year, 1 + number * 5 % 12, 1 + number * 11 % 28);
    p.street = arena_printf(a, "%u %s", 3 + number * 17 % 180, streets[i % ARRAY_LEN(streets)]);
    p.postcode = arena_printf(a, "NQ%u %uZY", 2 + number % 7, 1 + number % 9);
    p.phone = arena_printf(a, "+44 1632 960%03u", number * 37 % 400);
    p.age = 2026 - (int)year;
    if (p.family_in_file == NULL || p.mrn == NULL || p.nhs_number == NULL || p.old_mrn == NULL ||
        p.birth_date == NULL || p.street == NULL || p.postcode == NULL || p.phone == NULL)
        return false;
    *out = p;
    return true;
}

void needles_add(struct needles *l, const char *text)
{
    if (l->failed || text == NULL) {
        l->failed = true;
        return;
    }
    const char **texts = arena_grow(l->arena, l->texts, l->n, &l->cap, sizeof *texts);
    l->failed = texts == NULL;
    if (l->failed)
        return;
    l->texts = texts;
    l->texts[l->n++] = text;
}

void needles_add_person(struct needles *l, const struct person *p)
{
    const char *d = p->birth_date;
    const char *const texts[] = {
        p->family,
        p->family_in_file,
        p->given,
        p->middle,
        p->mrn,
        p->nhs_number,
        p->old_mrn,
        d,
        arena_printf(l->arena, "%.4s-%.2s-%.2s", d, d + 4, d + 6),
        arena_printf(l->arena, "%.2s/%.2s/%.4s", d + 6, d + 4, d),
        arena_printf(l->arena, "%.2s.%.2s.%.4s", d + 6, d + 4, d),
        p->street,
        p->phone,
        p->postcode,
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        needles_add(l, texts[i]);
    if (p->mother[0] != '\0')
        needles_add(l, p->mother);
}

void needles_add_hospital(struct needles *l)
{
    static const char *const texts[] = {
        HOSPITAL_SHORT, HOSPITAL_TOWN, HOSPITAL_STREET, STAFF_PHONE, "Drummelzier", "Agatha",
        "Pfefferkorn",  "Ignaz",       "Abernethwyn",   "Lorcan",    "Vandersloot", "Mieke",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        needles_add(l, texts[i]);
}

static int by_text(const void *left, const void *right)
{
    const char *const *l = left, *const *r = right;
    return strcmp(*l, *r);
}

bool needles_finish(struct needles *l, const char *const **out, struct pixl_error *err)
{
    needles_add(l, ""); /* makes room for the NULL; sorts first */
    if (l->failed)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of planted identities");
    qsort(l->texts, l->n, sizeof *l->texts, by_text);
    size_t kept = 0;
    for (size_t i = 1; i < l->n; i++)
        if (kept == 0 || strcmp(l->texts[i], l->texts[kept - 1]) != 0)
            l->texts[kept++] = l->texts[i];
    l->texts[kept] = NULL;
    *out = l->texts;
    return true;
}

#include "show.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/count.h"

const char *show_bytes(int64_t bytes, char out[32])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1000 && u + 1 < ARRAY_LEN(units)) {
        v /= 1000;
        u++;
    }
    (void)snprintf(out, 32, u == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[u]);
    return out;
}

const char *show_duration(int64_t us, char out[32])
{
    long long s = us / 1000000;
    if (s < 10)
        (void)snprintf(out, 32, "%.1f s", (double)us / 1e6);
    else if (s < 60)
        (void)snprintf(out, 32, "%lld s", s);
    else if (s < 3600)
        (void)snprintf(out, 32, "%lld min %lld s", s / 60, s % 60);
    else
        (void)snprintf(out, 32, "%lld h %lld min", s / 3600, s % 3600 / 60);
    return out;
}

void show_progress_init(struct show_progress *p)
{
    *p = (struct show_progress){ .is_terminal = isatty(STDERR_FILENO), .last_us = INT64_MIN, .last_step = -1 };
}

void show_end_line(struct show_progress *p)
{
    if (p->is_line_open)
        (void)fputc('\n', stderr);
    p->is_line_open = false;
}

/* A terminal's line is rewritten and cut to its width; elsewhere one plain line every ten seconds (or at once: now). */
static void put_line(struct show_progress *p, const char *text, bool now)
{
    int64_t t = clock_mono_us();
    if (p->is_terminal) {
        struct winsize size = { 0 };
        int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col - 1 : 100;
        (void)fprintf(stderr, "\r\033[K%.*s", width, text);
        p->is_line_open = true;
    } else if (now || p->last_us == INT64_MIN || t - p->last_us >= INT64_C(10) * 1000000) {
        (void)fprintf(stderr, "%s\n", text);
        p->last_us = t;
    }
    (void)fflush(stderr);
}

void show_step(void *ctx, enum run_step step, int64_t done, int64_t of)
{
    static const char *const words[] = {
        [RUN_INDEXING] = "reading the archive's index",
        [RUN_POPULATING] = "reading the cohort",
        [RUN_WORKING] = "working",
        [RUN_PUBLISHING] = "writing the tables",
        [RUN_READING_REPORTS] = "reading the reports",
    };
    struct show_progress *p = ctx;
    char line[160];
    if (of > 0)
        (void)snprintf(line, sizeof line, "%s: %lld DICOM of %lld %s", words[step], (long long)done, (long long)of,
                       count_word(of, "file", "files"));
    else if (done > 0)
        (void)snprintf(line, sizeof line, "%s: %lld %s", words[step], (long long)done, count_word(done, "row", "rows"));
    else
        (void)snprintf(line, sizeof line, "%s ...", words[step]);
    if (p->last_step != (int)step)
        show_end_line(p);
    put_line(p, line, p->last_step != (int)step);
    p->last_step = (int)step;
}

void show_rounds(void *ctx, const struct rounds_progress *r)
{
    struct show_progress *p = ctx;
    char line[160];
    if (r->pause_s >= 0)
        (void)snprintf(line, sizeof line, "retry %d of %d in %lld s: %lld arrived, %lld failed or missing", r->round,
                       r->rounds, (long long)r->pause_s, (long long)r->exported, (long long)r->failed);
    else
        (void)snprintf(line, sizeof line, "in work: %lld open, %lld arrived, %lld failed or missing",
                       (long long)r->open, (long long)r->exported, (long long)r->failed);
    put_line(p, line, false);
}

void show_rounds_end(enum rounds_end end, const struct rounds_progress *r)
{
    static const char *const words[] = {
        [ROUNDS_DONE] = "nothing is left that another try could change",
        [ROUNDS_UNCHANGED] = "the last round brought nothing",
        [ROUNDS_USED_UP] = "no further round was asked for",
        [ROUNDS_STANDS_STILL] = "archives stand still at rate 0: `pixl start` lets them be asked",
        [ROUNDS_CANCELLED] = "interrupted; the services go on",
    };
    (void)fprintf(stderr, "%lld %s arrived, %lld failed or missing, %lld open: %s\n", (long long)r->exported,
                  count_word(r->exported, "study", "studies"), (long long)r->failed, (long long)r->open, words[end]);
}

static void describe(const struct work_progress *w, char *out, size_t n)
{
    const int64_t *s = w->by_state;
    int64_t ended = 0, bad = s[STUDY_MISSING] + s[STUDY_SKIPPED] + s[STUDY_FAILED] + s[STUDY_WITHHELD], left;
    char size[32], time[32];
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        if (study_state_is_end((enum study_state)i))
            ended += s[i];
    left = w->total - ended;
    double per_s = w->elapsed_us > 0 ? (double)w->done_here * 1e6 / (double)w->elapsed_us : 0;
    int len = snprintf(out, n, "%lld/%lld %s  %.1f/s  %s  delivered %lld", (long long)ended, (long long)w->total,
                       count_word(w->total, "study", "studies"), per_s, show_bytes(w->bytes, size),
                       (long long)(s[STUDY_EXPORTED] + s[STUDY_KEPT]));
    if (bad > 0 && len > 0 && (size_t)len < n)
        len += snprintf(out + len, n - (size_t)len, "  missing %lld, skipped %lld, failed %lld, withheld %lld", (long long)s[STUDY_MISSING],
                        (long long)s[STUDY_SKIPPED], (long long)s[STUDY_FAILED], (long long)s[STUDY_WITHHELD]);
    if (w->troubles == 0 && left > 0 && per_s > 0 && w->done_here >= 3 && len > 0 && (size_t)len < n)
        len += snprintf(out + len, n - (size_t)len, "  %s left", show_duration((int64_t)((double)left / per_s * 1e6), time));
    if (w->trouble[0] != '\0' && len > 0 && (size_t)len < n)
        len += snprintf(out + len, n - (size_t)len, "  waiting: %s", w->trouble);
    if (w->troubles > 1 && len > 0 && (size_t)len < n)
        (void)snprintf(out + len, n - (size_t)len, " (and %d more)", w->troubles - 1);
}

void show_work(void *ctx, const struct work_progress *w)
{
    struct show_progress *p = ctx;
    char line[600];
    describe(w, line, sizeof line);
    if (p->last_step != RUN_WORKING)
        show_end_line(p);
    put_line(p, line, p->last_step != RUN_WORKING);
    p->last_step = RUN_WORKING;
}

static void list_reasons(FILE *to, const char *head, const int64_t by_reason[STUDY_REASON_COUNT])
{
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++) {
        if (by_reason[i] <= 0 || i == STUDY_WHY_NONE)
            continue;
        if (head != NULL)
            (void)fprintf(to, "%s:\n", head);
        head = NULL;
        (void)fprintf(to, "  %8lld %-21s %s\n", (long long)by_reason[i], study_reason_name((enum study_reason)i),
                      study_reason_text((enum study_reason)i));
    }
}

json_t *show_reasons_json(const int64_t by_reason[STUDY_REASON_COUNT])
{
    json_t *reasons = json_object();
    for (size_t i = 0; i < STUDY_REASON_COUNT; i++)
        if (i != STUDY_WHY_NONE && by_reason[i] > 0)
            (void)json_object_set_new(reasons, study_reason_name((enum study_reason)i), json_integer(by_reason[i]));
    return reasons;
}

void show_skipped(FILE *to, const int64_t by_reason[STUDY_REASON_COUNT])
{
    list_reasons(to, "instances that were left out", by_reason);
}

void show_counts(FILE *to, const struct store_counts *c)
{
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        if (c->by_state[i] > 0)
            (void)fprintf(to, "  %8lld %-13s %s\n", (long long)c->by_state[i], study_state_name((enum study_state)i),
                          study_state_text((enum study_state)i));
    list_reasons(to, "why they did not arrive", c->by_reason);
    list_reasons(to, "why some wait", c->waiting_by);
    char size[32];
    (void)fprintf(to, "instances: %lld found, %lld delivered, %lld left out; %s in zips; %lld %s\n",
                  (long long)c->instances_found, (long long)c->instances_delivered, (long long)c->instances_skipped,
                  show_bytes(c->delivered_bytes, size), (long long)c->requests,
                  count_word(c->requests, "cohort row", "cohort rows"));
    show_skipped(to, c->skipped_by);
}

json_t *show_counts_json(const struct store_counts *c)
{
    json_t *states = json_object();
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        (void)json_object_set_new(states, study_state_name((enum study_state)i), json_integer(c->by_state[i]));
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:I}", "states", states, "reasons",
                     show_reasons_json(c->by_reason), "waiting", show_reasons_json(c->waiting_by), "requests", (json_int_t)c->requests, "instances_found",
                     (json_int_t)c->instances_found, "instances_delivered", (json_int_t)c->instances_delivered,
                     "instances_skipped", (json_int_t)c->instances_skipped, "instances_skipped_by",
                     show_reasons_json(c->skipped_by), "delivered_bytes", (json_int_t)c->delivered_bytes);
}

static json_t *text(struct str s)
{
    return s.n > 0 ? json_stringn(s.p, s.n) : json_null();
}

static json_t *time_of(int64_t wall_us)
{
    char iso[CLOCK_ISO_SIZE];
    if (wall_us <= 0)
        return json_null();
    clock_iso(wall_us, iso);
    return json_string(iso);
}

json_t *show_image_json(const struct store_image *i)
{
    return json_pack("{s:I, s:o, s:s, s:s, s:o, s:i, s:i, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
                     "image", (json_int_t)i->id, "project", text(i->project), "state", study_state_name(i->state),
                     "reason", study_reason_name(i->reason), "detail", text(i->detail), "attempts", i->attempts, "crashes", i->crashes,
                     "pseudo_study_uid", text(i->pseudo_study_uid), "instances_found", (json_int_t)i->instances_found,
                     "instances_delivered", (json_int_t)i->instances_delivered, "instances_skipped", (json_int_t)i->instances_skipped,
                     "zip_bytes", (json_int_t)i->zip_bytes, "created", time_of(i->created_us), "updated", time_of(i->updated_us),
                     "exported", time_of(i->exported_us));
}

struct str show_detail(enum study_reason reason, struct str detail)
{
    return str_eq(detail, str_of(study_reason_name(reason))) ? STR("") : detail;
}

void show_image(FILE *to, const struct store_image *i)
{
    char iso[CLOCK_ISO_SIZE];
    const struct str detail = show_detail(i->reason, i->detail);
    clock_iso(i->updated_us, iso);
    (void)fprintf(to, "image %-7lld %-30.*s %-12s %-21s %.*s%s since %.19sZ\n", (long long)i->id, STR_ARG(i->project), study_state_name(i->state),
                  i->reason == STUDY_WHY_NONE ? "-" : study_reason_name(i->reason), STR_ARG(detail), detail.n ? " " : "", iso);
}

void show_json(json_t *j)
{
    if (j != NULL && json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0)
        (void)fputc('\n', stdout);
    else
        (void)fprintf(stderr, "the result cannot be written as JSON\n");
    json_decref(j);
}

static const char *end_name(enum work_end e)
{
    return e == WORK_DONE ? "done" : e == WORK_STOPPED ? "stopped" : "gave-up";
}

static json_t *open_json(const struct export_counts *c)
{
    json_t *open = json_object();
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        if (c->open[i] > 0)
            (void)json_object_set_new(open, study_state_name((enum study_state)i), json_integer(c->open[i]));
    return open;
}

json_t *show_extracts_json(const struct publish_extract *extracts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct publish_extract *e = &extracts[i];
        if (e->unchanged) {
            (void)json_array_append_new(list, json_pack("{s:o, s:o, s:b, s:b}", "project", text(e->project), "extract",
                                                        text(e->time_slug), "unchanged", 1, "delivered", 1));
            continue;
        }
        (void)json_array_append_new(
            list, json_pack("{s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:I, s:b, s:o}", "project", text(e->project),
                            "extract", text(e->time_slug), "tables", e->dir ? e->dir : "", "destination",
                            e->place ? json_string(e->place) : json_null(), "linked", (json_int_t)e->counts.linked,
                            "outcomes", (json_int_t)e->counts.outcomes, "reports", (json_int_t)e->counts.reports,
                            "reports_withheld", (json_int_t)e->counts.reports_withheld, "open", open_json(&e->counts),
                            "files", (json_int_t)e->files, "delivered", e->delivered, "error",
                            e->error.code ? json_string(e->error.msg) : json_null()));
    }
    return list;
}

json_t *show_populated_json(const struct populate_counts *n)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)n->rows, "refused",
                     (json_int_t)n->refused, "new_studies", (json_int_t)n->new_studies, "new_requests",
                     (json_int_t)n->new_requests, "known", (json_int_t)n->known, "revived", (json_int_t)n->revived,
                     "too_late", (json_int_t)n->too_late, "delivered", (json_int_t)n->delivered, "participant_differs",
                     (json_int_t)n->participant_differs, "patient_differs", (json_int_t)n->patient_differs,
                     "participant_shared", (json_int_t)n->participant_shared);
}

void show_populated(struct str name, const struct populate_counts *n)
{
    const int64_t further = n->new_requests - n->new_studies;
    printf("%.*s: %lld %s, %lld refused: %lld new %s, %lld %s for studies already asked for, %lld known before, "
           "%lld queued again\n",
           STR_ARG(name), (long long)n->rows, count_word(n->rows, "row", "rows"), (long long)n->refused,
           (long long)n->new_studies, count_word(n->new_studies, "study", "studies"), (long long)further,
           count_word(further, "row", "rows"), (long long)n->known, (long long)n->revived);
    if (n->delivered > 0)
        printf("  %lld %s that are delivered already\n", (long long)n->delivered,
               count_word(n->delivered, "row asks for studies", "rows ask for studies"));
    if (n->too_late > 0)
        printf("  %lld %s for further series of studies that are delivered already: they are NOT delivered "
               "(delivered-before)\n",
               (long long)n->too_late, count_word(n->too_late, "row asks", "rows ask"));
    if (n->participant_differs > 0)
        printf("  %lld %s another participant_id than the study has; it was not changed\n",
               (long long)n->participant_differs, count_word(n->participant_differs, "row names", "rows name"));
    if (n->participant_shared > 0)
        printf("  %lld %s a participant_id that came with another MRN before; their images get one PatientID\n",
               (long long)n->participant_shared, count_word(n->participant_shared, "row has", "rows have"));
    if (n->patient_differs > 0)
        printf("  %lld %s procedure came with before; the tables give both under one number\n",
               (long long)n->patient_differs,
               count_word(n->patient_differs, "row names another patient than its",
                          "rows name another patient than their"));
}

static void summary_json(const struct run_summary *r, const struct settings *set)
{
    json_t *cohort = r->populated ? show_populated_json(&r->populate) : json_null();
    json_t *archive = json_pack("{s:I, s:I, s:I}", "unreadable", (json_int_t)r->archive.unreadable, "damaged",
                                (json_int_t)r->archive.damaged, "other", (json_int_t)r->archive.other);
    json_t *left_alone = r->left_alone ? json_string(r->left_alone) : json_null();
    show_json(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "end", end_name(r->end), "state_dir",
                        set->state_dir, "cohort", cohort, "archive", archive, "counts", show_counts_json(&r->counts),
                        "extracts", show_extracts_json(r->extracts, r->n_extracts), "left_alone", left_alone, "left",
                        (json_int_t)r->left));
}

static void show_open(const struct export_counts *c)
{
    int64_t n = 0;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        n += c->open[i];
    if (n == 0)
        return;
    printf("  %lld of these outcomes %s still open:", (long long)n, count_word(n, "is", "are"));
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        if (c->open[i] > 0)
            printf(" %lld %s", (long long)c->open[i], study_state_name((enum study_state)i));
    printf("\n");
}

static void show_withheld(const struct export_counts *c)
{
    if (c->reports_withheld == 0)
        return;
    printf("  %lld %s an identity:", (long long)c->reports_withheld,
           count_word(c->reports_withheld, "report is withheld, as it holds", "reports are withheld, as they hold"));
    for (int64_t i = 0; i < c->reports_withheld && i < EXPORT_WITHHELD_SHOWN; i++)
        printf("%s procedure %lld (request %lld)", i ? "," : "", (long long)c->withheld[i].procedure_occurrence_id,
               (long long)c->withheld[i].request);
    printf("%s\n", c->reports_withheld > EXPORT_WITHHELD_SHOWN ? ", ..." : "");
}

void show_extracts(const struct publish_extract *extracts, size_t n)
{
    int64_t unchanged = 0;
    for (size_t i = 0; i < n; i++) {
        const struct publish_extract *e = &extracts[i];
        unchanged += e->unchanged;
        if (e->unchanged)
            continue;
        printf("tables of %.*s, extract %.*s: %lld linked, %lld %s, %lld %s, in %s\n", STR_ARG(e->project),
               STR_ARG(e->time_slug), (long long)e->counts.linked, (long long)e->counts.outcomes,
               count_word(e->counts.outcomes, "outcome", "outcomes"), (long long)e->counts.reports,
               count_word(e->counts.reports, "report", "reports"), e->dir ? e->dir : "");
        show_open(&e->counts);
        show_withheld(&e->counts);
        if (!e->delivered)
            printf("  NOT delivered: %s\n", e->error.msg);
        else if (e->place != NULL)
            printf("  delivered to %s (%lld %s)\n", e->place, (long long)e->files,
                   count_word(e->files, "file", "files"));
    }
    if (unchanged > 0)
        printf(
            "tables of %lld %s as they were when they were delivered (`pixl export-patient-data` sends them again)\n",
            (long long)unchanged, count_word(unchanged, "extract are", "extracts are"));
}

void show_summary(const struct run_summary *r, const struct settings *set, bool json)
{
    if (json) {
        summary_json(r, set);
        return;
    }
    if (r->populated)
        show_populated(STR("cohort"), &r->populate);
    if (r->archive.unreadable + r->archive.damaged > 0)
        printf("archive: %llu %s cannot be read, %llu DICOM %s; studies asked for may lack them\n",
               (unsigned long long)r->archive.unreadable,
               count_word((int64_t)r->archive.unreadable, "file or folder", "files or folders"),
               (unsigned long long)r->archive.damaged,
               count_word((int64_t)r->archive.damaged, "file has a broken header or lacks a UID",
                          "files have a broken header or lack a UID"));
    if (r->archive.other > 0)
        printf("archive: %llu other %s no DICOM of a study\n", (unsigned long long)r->archive.other,
               count_word((int64_t)r->archive.other, "file is", "files are"));
    printf("all studies of %s:\n", set->state_dir);
    show_counts(stdout, &r->counts);
    show_extracts(r->extracts, r->n_extracts);
    if (r->left_alone != NULL)
        printf("left alone, as their configuration cannot be used:\n%s\n", r->left_alone);
    if (r->left > 0)
        printf("%lld %s left to do%s; the same command goes on where this one ended (state: %s)\n", (long long)r->left,
               count_word(r->left, "study is", "studies are"),
               r->end == WORK_GAVE_UP ? " because an archive or destination could not be reached" : "", set->state_dir);
    if (r->counts.by_state[STUDY_FAILED] + r->counts.by_state[STUDY_WITHHELD] > 0)
        printf("`pixl failed` lists what failed, `pixl trace N` tells a study's story, `pixl retry` tries again\n");
    else if (r->counts.by_state[STUDY_MISSING] + r->counts.by_state[STUDY_SKIPPED] > 0)
        printf("`pixl failed --all` lists what is missing or was skipped, `pixl trace N` tells a study's story\n");
}

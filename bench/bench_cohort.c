/* bench_cohort ROWS FOLDER NAME   writes an OMOP ES extract of ROWS imaging procedures, as the hospital's export has it:
 * three patients' procedures in ten, every fourth procedure a second one of a study, one study in three with its UID. */
#include <stdio.h>
#include <stdlib.h>

#include "base/duck.h"
#include "base/fs.h"

#define SUMMARY                                                                                                \
    "{\"datetime\": \"2023-12-07 14:08:58\", \"settings\": {\"cdm_source_name\": \"%s\", \"site\": \"bench\"}, " \
    "\"gitsha\": \"56e0eba\"}"

struct extract {
    const char *folder;
    struct duck *duck;
    int64_t rows;
};

static void fail(const struct pixl_error *err)
{
    (void)fprintf(stderr, "bench_cohort: %s\n", err->msg);
    exit(1);
}

/* select: the columns, of i = 0 .. rows - 1. */
static void write_table(const struct extract *x, const char *name, const char *select, int64_t rows)
{
    struct pixl_error err = { 0 };
    char sql[2048];
    int n = snprintf(sql, sizeof sql, "COPY (SELECT %s FROM range(%lld) t(i)) TO '%s/%s' (FORMAT parquet)", select,
                     (long long)rows, x->folder, name);
    if (n < 0 || (size_t)n >= sizeof sql || !duck_run(x->duck, sql, NULL, 0, &err))
        fail(&err);
}

static void make_folder(const struct extract *x, const char *name)
{
    struct pixl_error err = { 0 };
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", x->folder, name);
    if (!fs_make_dirs(path, 0700, &err))
        fail(&err);
}

static void write_summary(const struct extract *x, const char *project)
{
    struct pixl_error err = { 0 };
    char path[1024], text[1024];
    (void)snprintf(path, sizeof path, "%s/extract_summary.json", x->folder);
    (void)snprintf(text, sizeof text, SUMMARY, project);
    if (!fs_write_whole(path, str_of(text), 0600, &err))
        fail(&err);
}

int main(int argc, char **argv)
{
    struct pixl_error err = { 0 };
    struct extract x = { 0 };
    if (argc != 4 || !str_to_i64(str_of(argv[1]), &x.rows) || x.rows < 1) {
        (void)fprintf(stderr, "usage: bench_cohort ROWS FOLDER NAME\n");
        return 2;
    }
    x.folder = argv[2];
    make_folder(&x, "public/omop");
    make_folder(&x, "private");
    write_summary(&x, argv[3]);
    char spill[1024];
    (void)snprintf(spill, sizeof spill, "%s/.spill", x.folder);
    if (!duck_open(spill, 512, &x.duck, &err))
        fail(&err);
    write_table(&x, "private/PERSON_LINKS.parquet",
                "CAST(i AS INTEGER) AS person_id, printf('%08d', i * 7919 % 100000000) AS PrimaryMrn", x.rows * 3 / 10 + 1);
    write_table(&x, "public/omop/PROCEDURE_OCCURRENCE.parquet",
                "CAST(i AS INTEGER) AS procedure_occurrence_id, CAST((i - (i % 4 = 3)::INT) * 3 // 10 AS INTEGER) AS person_id, "
                "DATE '2010-01-01' + CAST(i * 7919 % 4000 AS INTEGER) AS procedure_date, 4210553 AS procedure_concept_id",
                x.rows);
    write_table(&x, "private/PROCEDURE_OCCURRENCE_LINKS.parquet",
                "CAST(i AS INTEGER) AS procedure_occurrence_id, printf('RRV%09d', 500000000 + i - (i % 4 = 3)::INT) AS AccessionNumber, "
                "CASE WHEN (i - (i % 4 = 3)::INT) % 3 = 0 THEN '1.2.840.99999.1.' || (i - (i % 4 = 3)::INT) END AS StudyUid_X",
                x.rows);
    duck_close(x.duck);
    if (!fs_remove_tree(spill, &err))
        fail(&err);
    return 0;
}

/* The two lists of who is asked for: parquet tables as an OMOP extraction system writes them, and a CSV by hand. */
#include "hospital.h"

#include <stdio.h>

#include "base/duck.h"
#include "base/fs.h"
#include "policies.h"

enum { PATHS_BYTES_MAX = 1024 * 1024, CSV_BYTES_MAX = 256 * 1024 * 1024, SQL_BYTES_MAX = 16 * 1024, DUCK_MIB = 128 };

static const char summary[] = "{\n"
                              "  \"datetime\": \"2026-11-02T06:30:00\",\n"
                              "  \"gestation_period_days\": 14,\n"
                              "  \"settings\": {\n"
                              "    \"cdm_source_name\": \"" POLICIES_OMOP_NAME "\",\n"
                              "    \"site\": \"demo\"\n"
                              "  }\n"
                              "}\n";

/* One table in DuckDB with all that the extract's tables have; each of them is a part of it.  Numbers are 32 bits
 * wide, as the real ones are. */
static const char make_rows[] = "CREATE TABLE rows (person BIGINT, mrn VARCHAR, nhs VARCHAR, birth_year BIGINT, sex "
                                "VARCHAR, procedure BIGINT, accession VARCHAR, "
                                "study_uid VARCHAR, day VARCHAR)";

static const struct {
    const char *folder, *name, *select;
} tables[] = {
    { "public/omop", "PROCEDURE_OCCURRENCE",
      "SELECT procedure::INTEGER AS procedure_occurrence_id, person::INTEGER AS person_id, 4058335::INTEGER AS "
      "procedure_concept_id, "
      "day::DATE AS procedure_date, (day || ' 10:15:30')::TIMESTAMP AS procedure_datetime, 32817::INTEGER AS "
      "procedure_type_concept_id "
      "FROM rows ORDER BY procedure" },
    { "public/omop", "PERSON",
      "SELECT DISTINCT person::INTEGER AS person_id, (CASE sex WHEN 'F' THEN 8532 ELSE 8507 END)::INTEGER AS "
      "gender_concept_id, "
      "birth_year::INTEGER AS year_of_birth FROM rows ORDER BY person" },
    { "private", "PERSON_LINKS",
      "SELECT DISTINCT person::INTEGER AS person_id, mrn AS PrimaryMrn, nhs AS NhsNumber FROM rows ORDER BY person" },
    { "private", "PROCEDURE_OCCURRENCE_LINKS",
      "SELECT procedure::INTEGER AS procedure_occurrence_id, accession AS AccessionNumber, study_uid AS StudyUid_X "
      "FROM rows "
      "ORDER BY procedure" },
};

static bool append_rows(const struct hospital *h, struct duck_appender *rows, struct pixl_error *err)
{
    for (size_t i = 0; i < h->n_asked_for; i++) {
        const struct hospital_study *s = &h->studies[i];
        char day[16];
        (void)snprintf(day, sizeof day, "%.4s-%.2s-%.2s", s->study_date, s->study_date + 4, s->study_date + 6);
        for (size_t k = 0; s->is_omop && k < s->n_procedures; k++) {
            const struct duck_value row[] = {
                { .type = DUCK_I64, .i64 = 500 + s->person_number },
                { .type = DUCK_STR, .str = str_of(s->person.mrn) },
                { .type = DUCK_STR, .str = str_of(s->person.nhs_number) },
                { .type = DUCK_I64, .i64 = 2026 - s->person.age },
                { .type = DUCK_STR, .str = str_of(s->person.sex) },
                { .type = DUCK_I64, .i64 = s->procedures[k] },
                { .type = DUCK_STR, .str = str_of(s->accession_number) },
                { .type = DUCK_STR, .str = str_of(s->study_uid) },
                { .type = DUCK_STR, .str = str_of(day) },
            };
            if (!duck_append(rows, row, ARRAY_LEN(row), err))
                return false;
        }
    }
    return true;
}

static bool fill_rows(const struct hospital *h, struct duck *d, struct pixl_error *err)
{
    struct duck_appender *rows;
    struct pixl_error other = { 0 };
    if (!duck_run(d, "SET threads = 1", NULL, 0, err) || !duck_run(d, make_rows, NULL, 0, err) ||
        !duck_append_begin(d, "rows", &rows, err))
        return false;
    bool added = append_rows(h, rows, err), ended = duck_append_end(rows, added ? err : &other);
    return added && ended;
}

static bool write_tables(const struct hospital *h, const char *omop_dir, const char *temp_dir, struct arena *a,
                         struct pixl_error *err)
{
    duck_auto *d = NULL;
    if (!duck_open(temp_dir, DUCK_MIB, &d, err) || !fill_rows(h, d, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        char name[64], sql[SQL_BYTES_MAX];
        (void)snprintf(name, sizeof name, "%s.parquet", tables[i].name);
        const char *folder = fs_path(a, omop_dir, tables[i].folder),
                   *path = fs_path3(a, omop_dir, tables[i].folder, name);
        const char *quoted = path ? duck_quote(a, str_of(path)) : NULL;
        if (folder == NULL || quoted == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "made-up extract");
        int n =
            snprintf(sql, sizeof sql, "COPY (%s) TO %s (FORMAT parquet, COMPRESSION snappy)", tables[i].select, quoted);
        if (n < 0 || (size_t)n >= sizeof sql)
            return pixl_fail(err, PIXL_E_LIMIT, 0, "made-up extract: its path is too long");
        if (!fs_make_dirs(folder, 0755, err) || !duck_run(d, sql, NULL, 0, err))
            return false;
    }
    return true;
}

bool hospital_write_omop(const struct hospital *h, const char *omop_dir, const char *temp_dir, struct pixl_error *err)
{
    struct arena a;
    arena_init(&a, PATHS_BYTES_MAX);
    const char *path = fs_path(&a, omop_dir, "extract_summary.json");
    bool ok = path != NULL || pixl_fail(err, PIXL_E_NOMEM, 0, "made-up extract");
    ok = ok && fs_make_dirs(omop_dir, 0755, err) && fs_write_whole(path, str_of(summary), 0644, err) &&
         write_tables(h, omop_dir, temp_dir, &a, err);
    arena_done(&a);
    return ok;
}

bool hospital_write_csv(const struct hospital *h, const char *path, struct pixl_error *err)
{
    buf_auto b;
    buf_init(&b, CSV_BYTES_MAX);
    (void)buf_add_cstr(&b, "procedure_id,mrn,accession_number,project_name,extract_generated_timestamp,study_date,"
                           "study_uid,participant_id,series_uid\n");
    for (size_t i = 0; i < h->n_asked_for; i++) {
        const struct hospital_study *s = &h->studies[i];
        for (size_t k = 0; !s->is_omop && k < s->n_procedures; k++)
            (void)buf_addf(&b, "%lld,\"%s\",%s," POLICIES_CSV_SLUG ",2026-11-03T07:15:00Z,%.4s-%.2s-%.2s,%s,%s,%s\n",
                           (long long)s->procedures[k], s->person.mrn, s->accession_number, s->study_date,
                           s->study_date + 4, s->study_date + 6, s->flags & HOSPITAL_BY_ACCESSION ? "" : s->study_uid,
                           s->participant_id, s->series_uid);
    }
    if (b.failed)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "made-up cohort");
    return fs_write_whole(path, buf_str(&b), 0644, err);
}

/* Which public tables may go out, as far as the names of their columns tell.  OMOP's own columns may all: what stands in
 * person_source_value or birth_datetime is answered for by who made the extract.  These are none of its own (CDM 5.4), and
 * say whom they name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/duck.h"
#include "base/fs.h"
#include "export_internal.h"

enum { DUCK_MIB = 256, NAME_BYTES_MAX = 64, MAGIC_BYTES = 4 };

/* Small letters and digits only, as they are compared. */
static const char identities[] = "mrn primarymrn patientmrn medicalrecordnumber hospitalnumber nhsnumber nhsno "
                                 "accession accessionno accessionnumber studyuid studyuidx studyinstanceuid "
                                 "patientname personname fullname firstname middlename lastname surname "
                                 "forename forenames givenname familyname maidenname "
                                 "dateofbirth dob birthdate patientbirthdate "
                                 "email emailaddress telephone telephonenumber phonenumber mobilenumber";

/* Empty: none. */
static struct str identity_of(struct str column)
{
    char name[NAME_BYTES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < column.n; i++) {
        const char c = column.p[i];
        const bool is_capital = c >= 'A' && c <= 'Z';
        if (!is_capital && (c < 'a' || c > 'z') && (c < '0' || c > '9'))
            continue;
        if (n == sizeof name)
            return (struct str){ 0 };
        name[n++] = is_capital ? (char)(c - 'A' + 'a') : c;
    }
    struct str rest = str_of(identities), one;
    bool more = true;
    while (more) {
        more = str_split(rest, ' ', &one, &rest);
        if (str_eq(one, (struct str){ name, n }))
            return one;
    }
    return (struct str){ 0 };
}

static bool refuse(struct str identity, const char *path, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_PRIVACY, 0,
                     "export: the public table '%.100s' has the column '%.*s': nothing is copied; have it left out of "
                     "the extract, or the table kept among its private ones",
                     path, STR_ARG(identity));
}

/* A folder "mrn=123" is a column too, for those who read the folder as one table; its value is not told. */
static bool check_partition(const char *path, struct pixl_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path, *equals = strchr(name, '=');
    const struct str identity = identity_of((struct str){ name, equals != NULL ? (size_t)(equals - name) : 0 });
    return identity.n == 0 || refuse(identity, "(the name of a folder)", err);
}

/* Any file that begins as parquet does, or is named so. */
static bool is_table(const char *path, int fd)
{
    const size_t n = strlen(path), n_end = strlen(".parquet");
    char magic[MAGIC_BYTES];
    return (n >= n_end && strcasecmp(path + n - n_end, ".parquet") == 0) ||
           (pread(fd, magic, sizeof magic, 0) == MAGIC_BYTES && memcmp(magic, "PAR1", sizeof magic) == 0);
}

static bool fail_table(const char *path, struct pixl_error *err)
{
    if (err->code != PIXL_E_CORRUPT && err->code != PIXL_E_INTERNAL)
        return pixl_wrap(err, "export: '%s'", path);
    pixl_error_clear(err);
    return pixl_fail(
        err, PIXL_E_CORRUPT, 0,
        "export: '%.100s' cannot be read as parquet, so that nobody knows what it holds: nothing is copied", path);
}

/* Fields of structures stand in the schema as columns do; no value is read. */
static bool check_columns(struct duck *d, const char *path, int fd, struct pixl_error *err)
{
    char file[64];
    (void)snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
    const struct duck_value name = { .type = DUCK_STR, .str = str_of(file) };
    duck_rows_auto *rows = NULL;
    if (!duck_query(d, "SELECT name FROM parquet_schema($1)", &name, 1, &rows, err))
        return fail_table(path, err);
    for (;;) {
        struct duck_value v = { 0 };
        bool got;
        if (!duck_rows_next(rows, &v, &got, err))
            return fail_table(path, err);
        if (!got)
            return true;
        const struct str identity = identity_of(v.str);
        if (identity.n > 0)
            return refuse(identity, path, err);
    }
}

static bool check_file(struct arena *a, const char *dir, const char *path, const char *temp_dir, struct duck **d,
                       struct pixl_error *err)
{
    const char *full = fs_path(a, dir, path);
    if (full == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "copy an extract");
    fs_fd_auto fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return pixl_fail_errno(err, errno, "export: '%s'", path);
    if (!is_table(path, fd))
        return true;
    if (*d == NULL && !duck_open(temp_dir, DUCK_MIB, d, err))
        return false;
    return check_columns(*d, path, fd, err);
}

bool export_check_columns(struct arena *a, const char *dir, const struct export_tree *tree, const char *temp_dir,
                          struct pixl_error *err)
{
    duck_auto *d = NULL;
    for (size_t i = 0; i < tree->n; i++) {
        const struct export_entry *e = &tree->entries[i];
        if (e->is_dir ? !check_partition(e->path, err) : !check_file(a, dir, e->path, temp_dir, &d, err))
            return false;
    }
    return true;
}

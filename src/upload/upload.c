#include "upload.h"

#include <assert.h>
#include <string.h>

#include "base/slug.h"
#include "dicom/uid.h"
#include "upload_backend.h"
#include "upload_common.h"

static const struct upload_ops *const backends[] = { &upload_directory, &upload_ftps, &upload_dicomweb, &upload_none };

enum { REMOTE_MAX_BYTES = 1024 };

/* A backend keeps the contract of error.h: true leaves err clean, false sets it. */
static bool kept(bool ok, const struct pixl_error *err)
{
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

static enum project_destination word_of(const struct project *p, bool parquet)
{
    return parquet ? p->parquet_destination : p->dicom_destination;
}

const char *const *upload_secrets(const struct project *p, bool parquet)
{
    static const char *const none[] = { NULL }, *const folder[] = { "directory--path", NULL },
                      *const ftps[] = { "ftp--host", "ftp--port", "ftp--username", "ftp--password", NULL },
                      *const dicomweb[] = { "dicomweb--url", "dicomweb--username", "dicomweb--password", NULL };
    switch (word_of(p, parquet)) {
    case PROJECT_TO_DIRECTORY: return p->destination_directory != NULL ? none : folder;
    case PROJECT_TO_FTPS:      return ftps;
    case PROJECT_TO_DICOMWEB:  return dicomweb;
    case PROJECT_TO_NONE: case PROJECT_DESTINATION_COUNT: break;
    }
    return none;
}

bool upload_open(const struct project *p, bool parquet, const struct upload_options *o, struct upload **out,
                 struct pixl_error *err)
{
    size_t n = strspn(o->writer, "0123456789abcdefghijklmnopqrstuvwxyz");
    if (n < 1 || n > UPLOAD_WRITER_MAX || o->writer[n] != '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "the writer of a destination is no plain word");
    enum project_destination word = word_of(p, parquet);
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (backends[i]->word == word)
            return kept(backends[i]->open(p, o, out, err), err);
    return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "destination '%s' is not available in this version",
                     project_destination_name(word));
}

void upload_close(struct upload *u)
{
    if (u != NULL)
        u->ops->close(u);
}

unsigned upload_caps(const struct upload *u)
{
    return u->ops->caps;
}

const char *upload_place(const struct upload *u)
{
    return u->ops->place(u);
}

bool upload_check(struct upload *u, struct pixl_error *err)
{
    return kept(u->ops->check(u, err), err);
}

static bool is_word(struct str check_value, struct pixl_error *err)
{
    if (check_value.n == 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "the check value of the hashing key is empty");
    for (size_t i = 0; i < check_value.n; i++)
        if (check_value.p[i] <= ' ' || check_value.p[i] >= 0x7F)
            return pixl_fail(err, PIXL_E_INVALID, 0, "the check value of the hashing key is not one printable word");
    return true;
}

bool upload_check_key(struct upload *u, struct str check_value, struct pixl_error *err)
{
    return is_word(check_value, err) && kept(u->ops->check_key(u, check_value, err), err);
}

void upload_expect_marker(struct upload *u)
{
    if (u->ops->expect_marker != NULL)
        u->ops->expect_marker(u);
}

bool upload_look_at_key(struct upload *u, struct str check_value, bool *is_marked, struct pixl_error *err)
{
    if (!is_word(check_value, err))
        return false;
    if (u->ops->look_at_key == NULL)
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "the marker there can only be compared by a run");
    return kept(u->ops->look_at_key(u, check_value, is_marked, err), err);
}

bool upload_study(struct upload *u, const struct upload_study *z, struct pixl_error *err)
{
    /* It becomes a file name. */
    if (!dicom_uid_is_plausible(str_of(z->pseudo_study_uid)))
        return pixl_fail(err, PIXL_E_INVALID, 0, "a study is delivered under a UID only");
    return kept(u->ops->study(u, z, err), err);
}

/* Relative, staying below where it begins, and of one line: it may become part of a command. */
static bool is_remote(const char *remote)
{
    struct str rest = str_of(remote), part;
    if (rest.n > REMOTE_MAX_BYTES)
        return false;
    for (size_t i = 0; i < rest.n; i++)
        if ((unsigned char)rest.p[i] < ' ' || rest.p[i] == 0x7F)
            return false;
    for (;;) {
        bool more = str_split(rest, '/', &part, &rest);
        if (part.n == 0 || part.p[0] == '.')
            return false;
        if (!more)
            return true;
    }
}

bool upload_table(struct upload *u, struct str time_slug, const char *path, const char *remote, struct pixl_error *err)
{
    if (!slug_is_valid(time_slug) || !is_remote(remote))
        return pixl_fail(err, PIXL_E_INVALID, 0, "a table is delivered under a plain relative path only");
    return kept(u->ops->table(u, time_slug, path, remote, err), err);
}

bool upload_withdraw_table(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err)
{
    if (!slug_is_valid(time_slug) || !is_remote(remote))
        return pixl_fail(err, PIXL_E_INVALID, 0, "a table is withdrawn by a plain relative path only");
    return kept(u->ops->withdraw_table(u, time_slug, remote, err), err);
}

#include "archive.h"

#include <assert.h>

#include "archive_backend.h"

static const struct archive_ops *const backends[] = { &archive_directory };

/* A backend keeps the contract of error.h: true leaves err clean, false sets it. */
static bool kept(bool ok, const struct pixl_error *err)
{
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

/* The URL itself is not shown: one of a remote archive holds a password. */
bool archive_open(const char *url, const char *state_dir, struct archive **out, struct pixl_error *err)
{
    struct str scheme, rest;
    if (!str_split(str_of(url), ':', &scheme, &rest))
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: not a URL; a folder is given as directory:/path");
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (str_eq(scheme, str_of(backends[i]->scheme)))
            return kept(backends[i]->open(rest.p, state_dir, out, err), err);
    if (str_is_prefix(scheme, STR("orthanc")) || str_is_prefix(scheme, STR("dicomweb")))
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "archive: only directory:/path is available in this version");
    return pixl_fail(err, PIXL_E_INVALID, 0, "archive: the URL begins with no known scheme; directory:/path is one");
}

void archive_close(struct archive *a)
{
    if (a != NULL)
        a->ops->close(a);
}

unsigned archive_caps(const struct archive *a)
{
    return a->ops->caps;
}

const char *archive_name(const struct archive *a)
{
    return a->ops->scheme;
}

bool archive_refresh(struct archive *a, bool (*say)(void *ctx, uint64_t looked_at, uint64_t dicom), void *ctx,
                     struct pixl_error *err)
{
    return kept(a->ops->refresh(a, say, ctx, err), err);
}

struct archive_health archive_health(struct archive *a)
{
    return a->ops->health(a);
}

static struct phi_text trimmed(struct phi_text t)
{
    return phi_text(str_trim(phi_reveal(t)));
}

bool archive_find(struct archive *a, const struct archive_query *q, struct arena *arena, struct phi_text **uids,
                  size_t *n,
                  struct pixl_error *err)
{
    struct archive_query t = { trimmed(q->study_uid), trimmed(q->mrn), trimmed(q->accession_number) };
    /* An empty key matches everything in DICOM: a query with one is not a narrow one but the widest. */
    if (phi_is_empty(t.study_uid) && (phi_is_empty(t.mrn) || phi_is_empty(t.accession_number)))
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: nothing to ask by: neither a study UID nor both MRN and "
                         "accession number");
    return kept(a->ops->find(a, &t, arena, uids, n, err), err);
}

bool archive_list(struct archive *a, struct phi_text study_uid, struct arena *arena, struct archive_instance **out,
                  size_t *n,
                  struct pixl_error *err)
{
    study_uid = trimmed(study_uid);
    if (phi_is_empty(study_uid))
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: no study UID to list by");
    return kept(a->ops->list(a, study_uid, arena, out, n, err), err);
}

bool archive_open_instance(struct archive *a, const struct archive_instance *i, int *fd, struct pixl_error *err)
{
    return kept(a->ops->open_instance(a, i, fd, err), err);
}

#include "archive.h"

#include <assert.h>
#include <stdio.h>

#include "archive_backend.h"
#include "base/hash.h"

static const struct archive_ops *const backends[] = { &archive_directory };

/* A backend keeps the contract of error.h: true leaves err clean, false sets it. */
static bool kept(bool ok, const struct pixl_error *err)
{
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

/* The URL itself is not shown: one of a remote archive holds a password. */
static const struct archive_ops *find_backend(const char *url, struct str *rest, struct pixl_error *err)
{
    struct str scheme;
    if (!str_split(str_of(url), ':', &scheme, rest)) {
        pixl_fail(err, PIXL_E_INVALID, 0, "archive: not a URL; a folder is given as directory:/path");
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (str_eq(scheme, str_of(backends[i]->scheme)))
            return backends[i];
    if (str_is_prefix(scheme, STR("orthanc")) || str_is_prefix(scheme, STR("dicomweb")))
        pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "archive: only directory:/path is available in this version");
    else
        pixl_fail(err, PIXL_E_INVALID, 0, "archive: the URL begins with no known scheme; directory:/path is one");
    return NULL;
}

bool archive_open(const char *url, const char *state_dir, struct archive **out, struct pixl_error *err)
{
    struct str rest;
    const struct archive_ops *ops = find_backend(url, &rest, err);
    return ops != NULL && kept(ops->open(rest.p, state_dir, out, err), err);
}

bool archive_try(const char *url, const char *state_dir, enum archive_trial *out, struct pixl_error *err)
{
    struct str rest;
    archive_auto *a = NULL;
    const struct archive_ops *ops = find_backend(url, &rest, err);
    if (ops == NULL)
        return false;
    if (ops->try_it != NULL)
        return kept(ops->try_it(rest.p, out, err), err);
    return kept(ops->open(rest.p, state_dir, &a, err), err) && archive_ask(a, out, err);
}

bool archive_ask(struct archive *a, enum archive_trial *out, struct pixl_error *err)
{
    uint64_t random;
    char uid[32];
    struct arena arena;
    struct phi_text *uids;
    size_t n;
    if (!archive_refresh(a, NULL, NULL, err) || !hash_random(&random, sizeof random, err))
        return false;
    (void)snprintf(uid, sizeof uid, "2.25.%llu", (unsigned long long)random | 1);     /* nobody made it: PS3.5 B.2 */
    const struct archive_query q = { .study_uid = phi_text(str_of(uid)) };
    arena_init(&arena, (size_t)16 << 20);
    bool ok = archive_find(a, &q, &arena, &uids, &n, err);
    arena_done(&arena);
    if (ok)
        *out = n == 0 ? ARCHIVE_ANSWERS : ARCHIVE_ANSWERS_ALL;
    return ok;
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

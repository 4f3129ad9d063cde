#include "archive.h"

#include <assert.h>
#include <stdio.h>

#include "archive_backend.h"
#include "base/hash.h"

static const struct {
    const char *scheme;
    const struct archive_ops *ops;
    const char *name; /* NULL: the options' */
} backends[] = {
    { "directory", &archive_directory, "directory" },
    { "orthanc+http", &archive_orthanc, NULL },
    { "orthanc+https", &archive_orthanc, NULL },
};

/* A backend keeps the contract of error.h: true leaves err clean, false sets it. */
static bool kept(bool ok, const struct pixl_error *err)
{
    assert(ok == (err->code == PIXL_OK));
    return ok;
}

/* The URL itself is not shown: one of a remote archive holds a password. */
static bool find_backend(const char *url, size_t *which, struct pixl_error *err)
{
    struct str scheme, rest;
    if (!str_split(str_of(url), ':', &scheme, &rest))
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: not a URL; a folder is given as directory:/path");
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (str_eq(scheme, str_of(backends[i].scheme))) {
            *which = i;
            return true;
        }
    if (str_eq(scheme, STR("orthanc")))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "archive: an Orthanc is given as orthanc+http://user:password@host:8042 or "
                         "orthanc+https://...");
    if (str_is_prefix(scheme, STR("dicomweb")))
        return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "archive: DICOMweb is not available in this version");
    return pixl_fail(err, PIXL_E_INVALID, 0,
                     "archive: the URL begins with no known scheme; directory:/path and "
                     "orthanc+http://host:8042 are some");
}

bool archive_open(const struct archive_options *o, struct archive **out, struct pixl_error *err)
{
    size_t which;
    struct archive *a;
    if (!find_backend(o->url, &which, err) || !kept(backends[which].ops->open(o, &a, err), err))
        return false;
    const char *name = backends[which].name ? backends[which].name : o->name ? o->name : "primary";
    (void)snprintf(a->name, sizeof a->name, "%s", name);
    *out = a;
    return true;
}

bool archive_try(const struct archive_options *o, enum archive_trial *out, struct pixl_error *err)
{
    size_t which;
    archive_auto *a = NULL;
    if (!find_backend(o->url, &which, err))
        return false;
    if (backends[which].ops->try_it != NULL)
        return kept(backends[which].ops->try_it(o, out, err), err);
    struct archive_options only_asks = *o;
    only_asks.releases = false;          /* or it would make its list of what was brought */
    return archive_open(&only_asks, &a, err) && archive_ask(a, out, err);
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
    return a->name;
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

bool archive_fetch(struct archive *a, struct phi_text study_uid, struct archive_instance *const *wanted, size_t n,
                   const atomic_bool *cancel, struct archive_fetched *out, struct pixl_error *err)
{
    return kept(a->ops->fetch(a, trimmed(study_uid), wanted, n, cancel, out, err), err);
}

bool archive_release(struct archive *a, struct phi_text study_uid, struct pixl_error *err)
{
    return kept(a->ops->release(a, trimmed(study_uid), err), err);
}

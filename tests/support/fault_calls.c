#include "fault_calls.h"

#include "archive/archive.h"
#include "store/store.h"
#include "upload/upload.h"

static struct {
    long left; /* calls that pass; -1: no fault wanted */
    enum pixl_code code;
    enum fault_when when;
    const char *failed;
} fault = { .left = -1 };

static bool fails(const char *name, enum fault_when when, struct pixl_error *err)
{
    if (fault.left < 0 || when != fault.when || fault.left-- > 0)
        return false;
    fault.failed = name;
    return !pixl_fail(err, fault.code, 0, "%s fails, says the test", name);
}

void fault_call_after(long n, enum pixl_code code, enum fault_when when)
{
    fault.left = n;
    fault.code = code;
    fault.when = when;
    fault.failed = NULL;
}

const char *fault_call_stop(void)
{
    fault.left = -1;
    return fault.failed;
}

/* The linker's --wrap names. */
#define DECLARED(name, parameters) \
    bool __real_##name parameters; \
    bool __wrap_##name parameters; \
    bool __wrap_##name parameters

/* Changes nothing, but perhaps in this process. */
#define READS(name, parameters, arguments)                                  \
    DECLARED(name, parameters)                                              \
    {                                                                       \
        return !fails(#name, FAULT_BEFORE, err) && __real_##name arguments; \
    }

/* Has no result but its effect. */
#define CHANGES(name, parameters, arguments)                                                                   \
    DECLARED(name, parameters)                                                                                 \
    {                                                                                                          \
        return !fails(#name, FAULT_BEFORE, err) && __real_##name arguments && !fails(#name, FAULT_AFTER, err); \
    }

READS(archive_find,
      (struct archive * a, const struct archive_query *q, struct arena *arena, struct phi_text **uids, size_t *n,
       struct pixl_error *err),
      (a, q, arena, uids, n, err))
READS(archive_list,
      (struct archive * a, struct phi_text study_uid, struct arena *arena, struct archive_instance **out, size_t *n,
       struct pixl_error *err),
      (a, study_uid, arena, out, n, err))
READS(archive_fetch,
      (struct archive * a, struct phi_text study_uid, struct archive_instance *const *wanted, size_t n,
       const atomic_bool *cancel, struct archive_fetched *out, struct pixl_error *err),
      (a, study_uid, wanted, n, cancel, out, err))
READS(archive_open_instance, (struct archive * a, const struct archive_instance *i, int *fd, struct pixl_error *err),
      (a, i, fd, err))

CHANGES(upload_check_key, (struct upload * u, struct str check_value, struct pixl_error *err), (u, check_value, err))
CHANGES(upload_study, (struct upload * u, const struct upload_study *z, struct pixl_error *err), (u, z, err))
CHANGES(upload_table,
        (struct upload * u, struct str time_slug, const char *path, const char *remote, struct pixl_error *err),
        (u, time_slug, path, remote, err))
CHANGES(upload_withdraw_table, (struct upload * u, struct str time_slug, const char *remote, struct pixl_error *err),
        (u, time_slug, remote, err))

READS(store_populate_begin, (struct store * s, bool dry, struct store_populate **out, struct pixl_error *err),
      (s, dry, out, err))
READS(store_get_image,
      (struct store * s, int64_t id, struct arena *a, bool *got, struct store_image *out, struct pixl_error *err),
      (s, id, a, got, out, err))
READS(store_projects, (struct store * s, struct arena *a, struct str **out, size_t *n, struct pixl_error *err),
      (s, a, out, n, err))
READS(store_extract_times,
      (struct store * s, struct str project, struct arena *a, struct str **out, size_t *n, struct pixl_error *err),
      (s, project, a, out, n, err))
READS(store_each_procedure,
      (struct store * s, struct str project, struct str extract_time,
       void (*each)(void *ctx, int64_t procedure_occurrence_id, struct phi_text mrn), void *ctx,
       struct pixl_error *err),
      (s, project, extract_time, each, ctx, err))
READS(store_read_extract,
      (struct store * s, struct str project, struct str extract_time, const struct store_extract_reader *r,
       struct pixl_error *err),
      (s, project, extract_time, r, err))
READS(store_meta_get,
      (struct store * s, const char *key, struct arena *a, struct str *out, bool *got, struct pixl_error *err),
      (s, key, a, out, got, err))

/* What has both an effect and results keeps the results to itself when the answer is lost. */
DECLARED(store_meta_put_if_absent, (struct store * s, const char *key, struct str value, struct arena *a,
                                    struct str *out, struct pixl_error *err))
{
    struct str there;
    if (fails("store_meta_put_if_absent", FAULT_BEFORE, err) ||
        !__real_store_meta_put_if_absent(s, key, value, a, &there, err) ||
        fails("store_meta_put_if_absent", FAULT_AFTER, err))
        return false;
    *out = there;
    return true;
}

DECLARED(store_populate_add, (struct store_populate * p, const struct study_request *r, int64_t now_us,
                              enum store_added *what, struct store_met *met, struct pixl_error *err))
{
    enum store_added added;
    struct store_met found;
    if (fails("store_populate_add", FAULT_BEFORE, err) ||
        !__real_store_populate_add(p, r, now_us, &added, met != NULL ? &found : NULL, err) ||
        fails("store_populate_add", FAULT_AFTER, err))
        return false;
    *what = added;
    if (met != NULL)
        *met = found;
    return true;
}

/* It frees p, whatever happens. */
DECLARED(store_populate_end, (struct store_populate * p, struct pixl_error *err))
{
    return __real_store_populate_end(p, err) && !fails("store_populate_end", FAULT_AFTER, err);
}

DECLARED(store_claim_next, (struct store * s, const struct store_claim *c, struct arena *a, bool *got,
                            struct store_image *out, struct pixl_error *err))
{
    bool there;
    struct store_image image;
    if (fails("store_claim_next", FAULT_BEFORE, err) || !__real_store_claim_next(s, c, a, &there, &image, err) ||
        fails("store_claim_next", FAULT_AFTER, err))
        return false;
    *got = there;
    if (there)
        *out = image;
    return true;
}

DECLARED(store_resolve, (struct store * s, int64_t image, int64_t fence, const struct phi_text *uids, size_t n,
                         int64_t now_us, int64_t *mine, struct pixl_error *err))
{
    int64_t resolved;
    if (fails("store_resolve", FAULT_BEFORE, err) ||
        !__real_store_resolve(s, image, fence, uids, n, now_us, &resolved, err) ||
        fails("store_resolve", FAULT_AFTER, err))
        return false;
    *mine = resolved;
    return true;
}

DECLARED(store_move, (struct store * s, const struct store_move *m, bool *widened, struct pixl_error *err))
{
    bool wider;
    if (fails("store_move", FAULT_BEFORE, err) || !__real_store_move(s, m, &wider, err) ||
        fails("store_move", FAULT_AFTER, err))
        return false;
    if (widened != NULL)
        *widened = wider;
    return true;
}

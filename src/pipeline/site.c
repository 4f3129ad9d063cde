#include "site.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "pipeline/held.h"

struct site {
    const struct settings *settings;
    struct store *store;
    struct archive *archives[STORE_ARCHIVES];
    struct secrets *secrets;
    struct metrics *metrics;
    struct held_list held;
    struct breaker view;
    struct secret key;                   /* the hashing key, once site_keys_ready() has seen it */
    int lock_fd;
    bool made_key, is_alone, only_checks;
    char owner[65], owners_here[33], spool[17], store_id[17];
    pthread_mutex_t lock;                /* guards projects and store_id */
    struct site_project *projects;
};

const struct settings *site_settings(const struct site *s) { return s->settings; }
struct store *site_store(struct site *s) { return s->store; }
struct archive *site_archive(struct site *s, int which) { return s->archives[which]; }
const char *site_archive_name(int which) { return which == 0 ? "primary" : "secondary"; }
struct secrets *site_secrets(struct site *s) { return s->secrets; }
struct metrics *site_metrics(struct site *s) { return s->metrics; }
struct held_list *site_held(struct site *s)
{
    return &s->held;
}
struct breaker *site_view(struct site *s)
{
    return &s->view;
}
const char *site_owner(const struct site *s) { return s->owner; }
const char *site_owners_here(const struct site *s) { return s->owners_here; }
const char *site_spool(const struct site *s) { return s->spool; }
bool site_is_alone(const struct site *s) { return s->is_alone; }
bool site_made_key(const struct site *s) { return s->made_key; }

bool site_has_lock(const struct site *s)
{
    struct stat mine, there;
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/lock", s->settings->state_dir);
    if (s->lock_fd < 0 || n < 0 || (size_t)n >= sizeof path || fstat(s->lock_fd, &mine) != 0)
        return true;
    if (stat(path, &there) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

static bool name_owner(struct site *s, struct pixl_error *err)
{
    uint8_t random[8];
    char hex[17];
    if (!hash_random(random, sizeof random, err))
        return false;
    hash_hex(random, sizeof random, hex);
    (void)snprintf(s->owners_here, sizeof s->owners_here, "pixl-%s-", s->spool);
    (void)snprintf(s->owner, sizeof s->owner, "%s%ld-%s", s->owners_here, (long)getpid(), hex);
    return true;
}

static bool read_spool_id(struct site *s, const char *path, struct arena *a, struct pixl_error *err)
{
    struct str id;
    if (!fs_read_whole(a, path, 64, &id, err))
        return false;
    id = str_trim(id);
    for (size_t i = 0; i < id.n; i++)
        if (strchr("0123456789abcdef", id.p[i]) == NULL)
            id.n = 0;
    if (id.n != sizeof s->spool - 1)
        return pixl_fail(err, PIXL_E_CORRUPT, 0, "the file spool-id of the state directory holds no name of a spool");
    (void)snprintf(s->spool, sizeof s->spool, "%.*s", STR_ARG(id));
    return true;
}

/* For who only looks: no name where none was made yet. */
static bool look_up_spool(struct site *s, struct arena *a, struct pixl_error *err)
{
    const char *path = fs_path(a, s->settings->state_dir, "spool-id");
    if (path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    if (!read_spool_id(s, path, a, err)) {
        if (err->code == PIXL_E_NOMEM)
            return false;
        pixl_error_clear(err);
    }
    return true;
}

/* The spool's name, made at its first use: whoever links it first. */
static bool name_spool(struct site *s, struct arena *a, struct pixl_error *err)
{
    const char *path = fs_path(a, s->settings->state_dir, "spool-id");
    uint8_t random[8];
    char hex[17], name[40];
    if (path == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    if (read_spool_id(s, path, a, err))
        return true;
    if (err->code != PIXL_E_NOT_FOUND)
        return false;
    pixl_error_clear(err);
    if (!hash_random(random, sizeof random, err))
        return false;
    hash_hex(random, sizeof random, hex);
    (void)snprintf(name, sizeof name, "spool-id.%s", hex);
    const char *mine = fs_path(a, s->settings->state_dir, name);
    if (mine == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "spool");
    bool ok = fs_write_whole(mine, str_of(hex), 0600, err);
    if (ok && link(mine, path) != 0 && errno != EEXIST)
        ok = pixl_fail_errno(err, errno, "name of the spool");
    (void)unlink(mine);
    return ok && fs_sync_dir(s->settings->state_dir, err) && read_spool_id(s, path, a, err);
}

/* A run that was killed a moment ago may still be dying (its work is a child of it): two seconds are enough for that.  A service that
 * began alone lets others in when it has looked at the spool, which may take longer. */
static bool take_lock(struct site *s, const char *path, bool shared, struct pixl_error *err)
{
    const int64_t until = clock_mono_us() + (shared ? 20000000 : 2000000);
    for (;;) {
        if (fs_lock(path, &s->lock_fd, err)) {
            s->is_alone = true;
            return true;
        }
        if (shared && err->code == PIXL_E_BUSY) {
            pixl_error_clear(err);
            if (fs_lock_shared(path, &s->lock_fd, err))
                return true;
        }
        if (err->code != PIXL_E_BUSY || clock_mono_us() >= until)
            return false;
        pixl_error_clear(err);
        (void)poll(NULL, 0, 50);
    }
}

bool site_let_others_in(struct site *s, struct pixl_error *err)
{
    if (!s->is_alone)
        return true;
    s->is_alone = false;
    return fs_lock_to_shared(s->lock_fd, err) || pixl_wrap(err, "another pixl works on %s", s->settings->state_dir);
}

static bool open_lock(struct site *s, unsigned flags, struct arena *a, struct pixl_error *err)
{
    const char *lock = fs_path(a, s->settings->state_dir, "lock");
    if (lock == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "state lock");
    return take_lock(s, lock, (flags & SITE_WORKS) == 0, err) ||
           pixl_wrap(err, err->code == PIXL_E_BUSY ? "another pixl works on %s" : "lock in %s", s->settings->state_dir);
}

static const char *modality_of(const struct settings *set, int which)
{
    if (which == 1)
        return set->secondary_modality ? set->secondary_modality : "UCSECONDARYQR";
    return set->archive_modality ? set->archive_modality : set->vnaqr_modality ? set->vnaqr_modality : "UCPRIMARYQR";
}

/* Behind one Orthanc there may be two archives, told apart by their modality. */
static const char *second_url(const struct settings *set, const char *first)
{
    const char *url = set->secondary_archive_url;
    bool is_named = url != NULL && url[0] != '\0', is_orthanc = strncmp(first, "orthanc+", 8) == 0;
    bool other_modality = strcmp(modality_of(set, 0), modality_of(set, 1)) != 0;
    if (!is_named)
        return is_orthanc && set->secondary_modality != NULL && other_modality ? first : NULL;
    return strcmp(url, first) != 0 || (is_orthanc && other_modality) ? url : NULL;
}

bool site_archive_address(const struct settings *set, int which, struct site_archive_address *out)
{
    const char *url = set->archive_url;
    if (url == NULL && set->orthanc_raw_url != NULL) {
        (void)snprintf(out->older_, sizeof out->older_, "orthanc+%s", set->orthanc_raw_url);
        url = out->older_;
    }
    if (url != NULL && which == 1)
        url = second_url(set, url);
    out->options = (struct archive_options){
        .url = url,
        .state_dir = set->state_dir,
        .name = site_archive_name(which),
        .user = set->orthanc_raw_user,
        .password = set->orthanc_raw_password,
        .modality = modality_of(set, which),
        .target_aet = set->orthanc_raw_aet,
        .query_timeout_s = set->query_timeout_s,
        .transfer_timeout_s = set->transfer_timeout_s,
        .most_transfers = set->archive_transfers,
        .ca_file = set->archive_ca,
        .releases = set->archive_release != 0,
        .max_instance_bytes = (uint64_t)set->max_study_gib << 30,
    };
    return url != NULL;
}

/* Each room begins what it fails with by its own name, of which more is said here. */
static void cut_name(struct pixl_error *err, const char *name)
{
    const size_t n = strlen(name);
    if (strncmp(err->msg, name, n) == 0)
        memmove(err->msg, err->msg + n, strlen(err->msg + n) + 1);
}

bool site_wrap_archive(int which, struct pixl_error *err)
{
    cut_name(err, "archive: ");
    return pixl_wrap(err, "%s archive", site_archive_name(which));
}

static bool open_archives(struct site *s, struct pixl_error *err)
{
    const struct settings *set = s->settings;
    for (int i = 0; i < STORE_ARCHIVES; i++) {
        struct site_archive_address at;
        bool is_set = site_archive_address(set, i, &at);
        if (i == 0 && !is_set)
            return pixl_fail(err, PIXL_E_INVALID, 0, "no archive is set: give --archive URL or PIXL_ARCHIVE_URL, "
                             "for example directory:/path/to/dicom");
        const char *tz = getenv("TZ");
        if (((i == 0 && set->primary_windows.n > 0) || (i == 1 && is_set)) && !windows_is_zone(tz))
            return pixl_fail(err, PIXL_E_INVALID, 0,
                             "TZ: this system has no time zone '%s'; by it the hours of an archive are kept", tz);
        if (is_set && !archive_open(&at.options, &s->archives[i], err))
            return site_wrap_archive(i, err);
    }
    return true;
}

/* For who tries: nothing is made, and no table is brought to another version. */
static bool open_store_to_try(struct site *s, struct pixl_error *err)
{
    const char *url = s->settings->store_url;
    struct store_look look = { 0 };
    if (!store_look(url, &look, err)) {
        if (err->code != PIXL_E_NOT_FOUND)
            return false;
        pixl_error_clear(err);
    }
    if (look.has_others)
        return pixl_fail(
            err, PIXL_E_UNSUPPORTED, 0,
            "it holds tables of the Python system, which the first run or populate takes over; nothing can be "
            "tried before that");
    if (look.version == 0)
        return store_open_empty(&s->store, err);
    if (look.version < look.newest)
        return pixl_fail(
            err, PIXL_E_UNSUPPORTED, 0,
            "its tables are of version %lld, which the next run or populate brings to %lld; nothing can be tried "
            "before that",
            (long long)look.version, (long long)look.newest);
    return store_open(url, &s->store, err);
}

static bool open_parts(struct site *s, unsigned flags, struct pixl_error *err)
{
    const struct settings *set = s->settings;
    struct arena a;
    arena_init(&a, 64 * 1024);
    bool ok = false;
    if (flags & SITE_LOOKS) {
        if (!fs_is_dir(set->state_dir)) {
            pixl_fail(err, PIXL_E_NOT_FOUND, 0, "there is no state in %s yet (run or populate makes it; PIXL_STATE_DIR says where)",
                      set->state_dir);
            goto out;
        }
    } else if (!s->only_checks && !fs_make_dirs(set->state_dir, 0700, err)) {
        pixl_wrap(err, "state directory %s", set->state_dir);
        goto out;
    }
    if ((flags & (SITE_WORKS | SITE_SERVES)) && !open_lock(s, flags, &a, err))
        goto out;
    if ((flags & (SITE_WORKS | SITE_SERVES | SITE_ARCHIVE)) && !name_spool(s, &a, err))
        goto out;
    if ((flags & SITE_LOOKS) && !look_up_spool(s, &a, err))
        goto out;
    if (!name_owner(s, err))
        goto out;
    if ((flags & SITE_SECRETS) && !secrets_open(set->secrets_url, set, &s->secrets, err))
        goto out;
    const char *file = strncmp(set->store_url, "sqlite:", 7) == 0 ? set->store_url + 7 : NULL;
    bool is_there = file == NULL || fs_exists(file);
    if ((flags & SITE_LOOKS) && !is_there && access(set->state_dir, X_OK) != 0) {
        pixl_fail_errno(err, errno, "state directory %s", set->state_dir);
        goto out;
    }
    if ((flags & SITE_LOOKS) && !is_there) {
        pixl_fail(err, PIXL_E_NOT_FOUND, 0, "there is no store in %s yet (run or populate makes it)", set->state_dir);
        goto out;
    }
    bool wants_store = (flags & SITE_STORE) != 0 || ((flags & SITE_STORE_IF_THERE) != 0 && is_there);
    if (wants_store &&
        !((flags & SITE_TRIES) != 0 ? open_store_to_try(s, err) : store_open(set->store_url, &s->store, err))) {
        cut_name(err, "store: ");
        pixl_wrap(err, "store%s%s", file != NULL ? " " : "", file != NULL ? file : "");
        goto out;
    }
    if ((flags & SITE_ARCHIVE) && !open_archives(s, err))
        goto out;
    ok = true;
out:
    arena_done(&a);
    return ok;
}

bool site_open(const struct settings *settings, unsigned flags, struct site **out, struct pixl_error *err)
{
    struct site *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "site");
    s->settings = settings;
    s->lock_fd = -1;
    s->only_checks = (flags & SITE_CHECKS) != 0;
    int rc = pthread_mutex_init(&s->lock, NULL);
    assert(rc == 0);
    held_list_init(&s->held);
    breaker_init(&s->view);
    if (!metrics_new(&s->metrics, err) || !open_parts(s, flags, err)) {
        site_close(s);
        return false;
    }
    *out = s;
    return true;
}

static void free_project(struct site_project *p)
{
    upload_close(p->images);
    upload_close(p->tables);
    pseudonyms_free(p->pseudonyms);
    deid_policy_free(p->policy);
    project_free(p->project);
    breaker_done(&p->breaker);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

void site_close(struct site *s)
{
    if (s == NULL)
        return;
    while (s->projects != NULL) {
        struct site_project *next = s->projects->next;
        free_project(s->projects);
        s->projects = next;
    }
    metrics_free(s->metrics);
    held_list_done(&s->held);
    breaker_done(&s->view);
    for (size_t i = 0; i < ARRAY_LEN(s->archives); i++)
        archive_close(s->archives[i]);
    store_close(s->store);
    secrets_close(s->secrets);
    secret_done(&s->key);
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

/* Does the store (or only the project, when given) have an image? */
static bool has_images(struct site *s, struct str project, bool *out, struct pixl_error *err)
{
    if (s->store == NULL) {
        *out = false;
        return true;
    }
    struct store_counts counts;
    if (!store_count(s->store, project, &counts, err))
        return false;
    int64_t n = counts.requests;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        n += counts.by_state[i];
    *out = n > 0;
    return true;
}

/* May a secret that is not there be made anew?  Only when nothing can depend on an older one. */
static bool may_make(struct site *s, struct str name, struct str project, const char *what, struct pixl_error *err)
{
    bool used;
    if (!has_images(s, project, &used, err))
        return false;
    if (used)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "%s '%.*s' is not in %s, but studies were pseudonymised with it: restore it from "
                         "your backup; a new one would give other pseudonyms", what, STR_ARG(name), secrets_place(s->secrets));
    if (!(secrets_caps(s->secrets) & (project.n == 0 ? SECRETS_CAP_CREATE_KEY : SECRETS_CAP_CREATE)))
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "%s '%.*s' is not in %s and must be put there first", what, STR_ARG(name),
                         secrets_place(s->secrets));
    return true;
}

/* Gets a secret, or makes it from random bytes.  made: of the hashing key only. */
static bool get_or_make(struct site *s, struct str name, struct str project, size_t random_bytes, const char *what,
                        struct secret *out, bool *made, struct pixl_error *err)
{
    if (secrets_get(s->secrets, name, out, err))
        return true;
    if (err->code != PIXL_E_NOT_FOUND)
        return pixl_wrap(err, "%s", what);
    pixl_error_clear(err);
    if (!may_make(s, name, project, what, err))
        return false;
    if (s->only_checks)
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "%s '%.*s' is not made yet", what, STR_ARG(name));
    uint8_t random[32];
    char hex[65];
    assert(random_bytes <= sizeof random);
    bool ok = hash_random(random, random_bytes, err);
    if (ok) {
        hash_hex(random, random_bytes, hex);
        ok = secrets_create(s->secrets, name, str_of(hex), out, err) || pixl_wrap(err, "%s", what);
    }
    explicit_bzero(random, sizeof random);
    explicit_bzero(hex, sizeof hex);
    if (ok && made != NULL)
        *made = true;
    return ok;
}

/* The check value of a secret must be the one that this store has known since its first use. */
static bool same_as_before(struct site *s, const char *meta_key, const struct secret *secret, const char *what, struct pixl_error *err)
{
    char check[17];
    if (!pseudonyms_key_check(secret, check, err))
        return pixl_wrap(err, "%s", what);
    if (s->store == NULL)
        return true;
    struct arena a;
    arena_init(&a, 64 * 1024);
    struct str known;
    bool got = true;
    bool ok = s->only_checks ? store_meta_get(s->store, meta_key, &a, &known, &got, err)
                             : store_meta_put_if_absent(s->store, meta_key, str_of(check), &a, &known, err);
    if (ok && got && !str_eq(known, str_of(check)))
        ok = pixl_fail(err, PIXL_E_EXISTS, 0, "%s in %s is not the one that this store was used with: pseudonyms would not agree; "
                       "restore the old one", what, secrets_place(s->secrets));
    arena_done(&a);
    return ok;
}

bool site_look_at_key(struct site *s, struct str project, bool *is_there, struct pixl_error *err)
{
    secret_auto value = { 0 };
    char meta[300] = "hash-key-check";
    const char *what = project.n > 0 ? "the project's salt" : "the hashing key";
    struct str name = project.n > 0 ? project : str_of(s->settings->hash_key_name);
    if (project.n > 0)
        (void)snprintf(meta, sizeof meta, "salt-check/%.*s", STR_ARG(project));
    bool got = secrets_get(s->secrets, name, &value, err);
    if (!got && err->code != PIXL_E_NOT_FOUND)
        return pixl_wrap(err, "%s", what);
    pixl_error_clear(err);
    if (got ? !same_as_before(s, meta, &value, what, err) : !may_make(s, name, project, what, err))
        return false;
    *is_there = got;
    return true;
}

bool site_keys_ready(struct site *s, const struct str *projects, size_t n, struct pixl_error *err)
{
    assert(s->secrets != NULL);
    if (s->key.n == 0) {
        if (!get_or_make(s, str_of(s->settings->hash_key_name), (struct str){ 0 }, 32, "the hashing key", &s->key, &s->made_key, err))
            return false;
        if (!same_as_before(s, "hash-key-check", &s->key, "the hashing key", err)) {
            secret_done(&s->key);            /* the next call must not take it for checked */
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        secret_auto salt = { 0 };
        char meta[300];
        (void)snprintf(meta, sizeof meta, "salt-check/%.*s", STR_ARG(projects[i]));
        if (!get_or_make(s, projects[i], projects[i], 8, "the project's salt", &salt, NULL, err) ||
            !same_as_before(s, meta, &salt, "the project's salt", err))
            return false;
    }
    return true;
}

/* --- projects --------------------------------------------------------------------------------------------------- */

/* The name by which destinations tell this store from others: made at its first use. */
static bool name_store(struct site *s, struct pixl_error *err)
{
    uint8_t random[8];
    char hex[17];
    struct arena a;
    struct str id;
    if (s->store_id[0] != '\0')
        return true;
    if (!hash_random(random, sizeof random, err))
        return false;
    hash_hex(random, sizeof random, hex);
    arena_init(&a, 64 * 1024);
    bool ok = s->store == NULL || store_meta_put_if_absent(s->store, "store-id", str_of(hex), &a, &id, err);
    if (ok)
        (void)snprintf(s->store_id, sizeof s->store_id, "%.16s", s->store == NULL ? hex : id.p);
    arena_done(&a);
    return ok;
}

/* Key, salt and local salt together decide the pseudonyms: a destination holds those of one set. */
static bool name_keys(struct site *s, const struct secret *salt, char out[64], struct pixl_error *err)
{
    char key[17], salted[17], local[17] = "-";
    secret_auto local_salt = { 0 };
    struct str text = str_of(s->settings->local_salt);
    if (!pseudonyms_key_check(&s->key, key, err) || !pseudonyms_key_check(salt, salted, err))
        return false;
    if (text.n > 0 && (!secret_set(&local_salt, text.n > 64 ? (struct str){ text.p, 64 } : text, err) ||
                       !pseudonyms_key_check(&local_salt, local, err)))
        return false;
    (void)snprintf(out, 64, "%s.%s.%s", key, salted, local);
    return true;
}

/* Where our marker was left: a row of the store's meta table, by the place.  false: it is too long to be kept, or there is no store. */
static bool marker_meta(const struct site *s, const struct upload *u, char out[1024])
{
    const int n = snprintf(out, 1024, "marker/%s", upload_place(u));
    return s->store != NULL && n < 1024;
}

bool site_marker_was_left(struct site *s, const struct upload *u, bool *was, struct pixl_error *err)
{
    char meta[1024];
    struct str ignored;
    struct arena a;
    *was = false;
    if (!marker_meta(s, u, meta))
        return true;
    arena_init(&a, 64 * 1024);
    bool ok = store_meta_get(s->store, meta, &a, &ignored, was, err);
    arena_done(&a);
    return ok;
}

static bool note_marker(struct site *s, const struct upload *u, struct pixl_error *err)
{
    char meta[1024];
    struct str ignored;
    struct arena a;
    if ((upload_caps(u) & UPLOAD_CAP_KEEPS) != 0 || !marker_meta(s, u, meta))
        return true;
    arena_init(&a, 64 * 1024);
    bool ok = store_meta_put_if_absent(s->store, meta, STR("left"), &a, &ignored, err);
    arena_done(&a);
    return ok;
}

/* A place that has no marker is taken for a new one only once: the next time it is a share that was not mounted when we began.
 * *is_there false: it is the destination that fails, not the store. */
static bool check_marker_locked(struct site *s, struct site_project *p, bool *is_there, struct pixl_error *err)
{
    bool was_left;
    *is_there = true;
    if (p->key_checked)
        return true;
    if (!site_marker_was_left(s, p->images, &was_left, err))
        return false;
    if (was_left) {
        upload_expect_marker(p->images);
        if (strcmp(upload_place(p->images), upload_place(p->tables)) == 0)
            upload_expect_marker(p->tables);
    }
    *is_there = upload_check_key(p->images, str_of(p->check), err);
    p->key_checked = *is_there && note_marker(s, p->images, err);
    return p->key_checked;
}

static bool open_uploads_locked(struct site *s, struct site_project *p, struct pixl_error *err)
{
    if (p->images != NULL)
        return true;
    struct upload *images = NULL, *tables = NULL;
    const struct upload_options o = { .secrets = s->secrets, .writer = s->store_id, .settings = s->settings };
    if (!upload_open(p->project, false, &o, &images, err) || !upload_open(p->project, true, &o, &tables, err)) {
        upload_close(images);
        upload_close(tables);
        return pixl_wrap(err, "destination of project %.*s", STR_ARG(p->project->slug));
    }
    p->images = images;
    p->tables = tables;
    /* A destination that is not there now is asked again before the first delivery; one with another key's marker is refused at once. */
    bool is_there;
    if (check_marker_locked(s, p, &is_there, err))
        return true;
    if (is_there || study_outcome_of(err->code) != STUDY_OUT_UNAVAILABLE) {
        upload_close(PIXL_STEAL(&p->images));
        upload_close(PIXL_STEAL(&p->tables));
        return pixl_wrap(err, "destination of project %.*s", STR_ARG(p->project->slug));
    }
    pixl_error_clear(err);
    return true;
}

static bool open_uploads(struct site *s, struct site_project *p, struct pixl_error *err)
{
    pthread_mutex_lock(&s->lock);
    bool ok = name_store(s, err);
    pthread_mutex_unlock(&s->lock);
    if (!ok)
        return pixl_wrap(err, "destination of project %.*s", STR_ARG(p->project->slug));
    pthread_mutex_lock(&p->lock);
    ok = open_uploads_locked(s, p, err);
    pthread_mutex_unlock(&p->lock);
    return ok;
}

bool site_destination_ready(struct site *s, struct site_project *p, struct pixl_error *err)
{
    pthread_mutex_lock(&p->lock);
    bool is_there, ok = check_marker_locked(s, p, &is_there, err);
    pthread_mutex_unlock(&p->lock);
    return ok;
}

static bool load_project(struct site *s, struct str slug, struct site_project **out, struct pixl_error *err)
{
    struct site_project *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "project");
    breaker_init(&p->breaker);
    int rc = pthread_mutex_init(&p->lock, NULL);
    assert(rc == 0);
    secret_auto salt = { 0 };
    if (!project_load(s->settings->project_configs_dir, slug, &p->project, err) ||
        !deid_policy_new(p->project, &p->policy, err) ||
        !site_keys_ready(s, &slug, 1, err) ||
        !secrets_get(s->secrets, slug, &salt, err) || !name_keys(s, &salt, p->check, err) ||
        !pseudonyms_new(&s->key, &salt, str_of(s->settings->local_salt), slug, &p->pseudonyms, err)) {
        free_project(p);
        return false;
    }
    *out = p;
    return true;
}

bool site_project(struct site *s, struct str slug, bool with_uploads, struct site_project **out, struct pixl_error *err)
{
    pthread_mutex_lock(&s->lock);
    struct site_project *p = s->projects;
    while (p != NULL && !str_eq(p->project->slug, slug))
        p = p->next;
    bool ok = true;
    if (p == NULL) {
        ok = load_project(s, slug, &p, err);
        if (ok) {
            p->next = s->projects;
            s->projects = p;
        }
    }
    pthread_mutex_unlock(&s->lock);
    ok = ok && (!with_uploads || open_uploads(s, p, err));
    if (ok)
        *out = p;
    return ok;
}

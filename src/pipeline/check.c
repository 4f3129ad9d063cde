#include "check.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/duck.h"
#include "base/fs.h"
#include "base/http_client.h"
#include "pipeline/dispatch.h"
#include "pipeline/site.h"
#include "queue/queue.h"

enum { TEXTS_BYTES_MAX = 16 << 20, HTTP_MS = 10 * 1000, QUEUE_MS = 10 * 1000, ANSWER_MAX = 1 << 20 };
static const uint64_t gib = UINT64_C(1) << 30, mib = UINT64_C(1) << 20;
static const int64_t apart_max_us = INT64_C(300) * 1000000;      /* of two clocks */

/* Without so much nothing can be kept in hand, whatever PIXL_SPOOL_MAX says. */
#define FREE_MIN gib

struct check {
    const struct settings *set;
    const struct check_options *o;
    enum check_result worst;
    struct site *site;           /* its store is open only when it is of this version; NULL: no secrets either */
    bool store_unknown;          /* there is or may be a store, and it cannot be read */
    bool key_is_there;
    struct arena arena;
    struct str *slugs;
    size_t n_slugs, cap_slugs;
};

const char *check_result_name(enum check_result r)
{
    static const char *const names[] = { "ok", "skip", "away", "BAD" };
    assert((size_t)r < ARRAY_LEN(names));
    return names[r];
}

PIXL_PRINTF(6, 7)
static void say(struct check *k, const char *what, struct str project, enum check_result result, const char *remedy,
                const char *fmt, ...)
{
    char text[700];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const struct check_line l = { what, project, result, text, remedy };
    if (result > k->worst)
        k->worst = result;
    k->o->line(k->o->ctx, &l);
}

#define ALL ((struct str){ 0 })

/* What is not there just now may come back by itself; the rest will not. */
static enum check_result result_of(const struct pixl_error *e)
{
    return e->code == PIXL_E_UNAVAILABLE || e->code == PIXL_E_BUSY ? CHECK_AWAY : CHECK_BAD;
}

/* An error says itself what it is of, as the line does ("archive: archive: ..."). */
static void say_error(struct check *k, const char *what, struct str project, const struct pixl_error *e, const char *remedy)
{
    const size_t n = strcspn(what, " ");
    const bool twice = strncmp(e->msg, what, n) == 0 && strncmp(e->msg + n, ": ", 2) == 0;
    say(k, what, project, result_of(e), remedy, "%s", e->msg + (twice ? n + 2 : 0));
}

/* --- this machine ------------------------------------------------------------------------------------------------- */

static void check_settings(struct check *k)
{
    size_t set = 0;
    for (size_t i = 0; i < settings_options_count; i++) {
        const char *source;
        (void)settings_show(k->set, i, &source);
        set += strcmp(source, "default") != 0;
    }
    say(k, "settings", ALL, CHECK_GOOD, NULL, "%zu of %zu are set, all can be read", set, settings_options_count);
}

/* path, or the nearest folder above it that is there; in the arena. */
static const char *nearest_there(struct check *k, const char *path)
{
    char *p = arena_cstr(&k->arena, path);
    while (p != NULL && !fs_exists(p)) {
        char *slash = strrchr(p, '/');
        if (slash == NULL)
            return ".";
        if (slash == p)
            return "/";
        *slash = '\0';
    }
    return p;
}

/* A folder that is written to, or would be made. */
static void check_folder(struct check *k, const char *what, const char *path, const char *remedy)
{
    const char *there = nearest_there(k, path);
    bool is_there = there != NULL && strcmp(there, path) == 0;
    if (there == NULL)
        say(k, what, ALL, CHECK_BAD, remedy, "%s: out of memory", path);
    else if (!fs_is_dir(there))
        say(k, what, ALL, CHECK_BAD, remedy, "%s: %s is no folder", path, there);
    else if (access(there, W_OK | X_OK) != 0)
        say(k, what, ALL, CHECK_BAD, remedy, "%s: %s may not be written to%s", path, there, errno == EROFS ? " (read-only)" : "");
    else
        say(k, what, ALL, CHECK_GOOD, NULL, "%s%s", path, is_there ? "" : " (not there yet: made by the first run)");
}

/* Bytes of the zips that wait; 0 when there is no spool. */
static uint64_t spooled_bytes(struct check *k)
{
    uint64_t sum = 0;
    char *path = fs_path(&k->arena, k->set->state_dir, "spool");
    FTS *tree = path != NULL ? fts_open((char *[]){ path, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
    if (tree == NULL)
        return 0;
    for (FTSENT *e; (e = fts_read(tree)) != NULL;)
        if (e->fts_info == FTS_F)
            sum += (uint64_t)e->fts_statp->st_size;
    (void)fts_close(tree);
    return sum;
}

static void check_space(struct check *k)
{
    static const char remedy[] = "free space on the disk of PIXL_STATE_DIR, or move the state to a larger one";
    static const char remedy_max[] = "free space on the disk of PIXL_STATE_DIR, or set PIXL_SPOOL_MAX lower";
    struct statvfs f;
    const char *there = nearest_there(k, k->set->state_dir);
    if (there == NULL || statvfs(there, &f) != 0) {
        say(k, "space", ALL, CHECK_BAD, remedy, "the disk of the state cannot be asked: %s", strerror(errno));
        return;
    }
    uint64_t is_free = (uint64_t)f.f_bavail * f.f_frsize, max = (uint64_t)k->set->spool_max_mib * mib, used = spooled_bytes(k);
    uint64_t wanted = max > used ? max - used : 0;
    char limit[80] = "PIXL_SPOOL_MAX sets no limit";
    if (max > 0)
        (void)snprintf(limit, sizeof limit, "the spool may still grow by %.1f GiB", (double)wanted / (double)gib);
    bool too_small = max > 0 && is_free < wanted;
    say(k, "space", ALL, is_free < FREE_MIN || too_small ? CHECK_BAD : CHECK_GOOD,
        is_free < FREE_MIN ? remedy : too_small ? remedy_max : NULL, "%.1f GiB free, %.1f GiB wait in the spool; %s",
        (double)is_free / (double)gib, (double)used / (double)gib, limit);
}

static void check_lock(struct check *k)
{
    struct pixl_error e = { 0 };
    const char *path = fs_path(&k->arena, k->set->state_dir, "lock");
    if (path == NULL)
        say(k, "lock", ALL, CHECK_BAD, NULL, "out of memory");
    else if (fs_lock_look(path, &e))
        say(k, "lock", ALL, CHECK_GOOD, NULL, "free: nobody works on this state");
    else
        say_error(k, "lock", ALL, &e,
                  e.code == PIXL_E_BUSY ? "a run is on: let it end, or end it by `kill -INT` of that process; services "
                                          "may stay as they are, but no run can begin beside them"
                                        : "look at the file `lock` in the state directory");
}

static void check_clock(struct check *k)
{
    static const char remedy[] = "set this machine's clock (systemctl status systemd-timesyncd): claims, logs and TLS go by it";
    char now[CLOCK_ISO_SIZE], built[CLOCK_ISO_SIZE];
    clock_iso(k->o->now_us, now);
    clock_iso(k->o->built_us, built);
    bool is_early = k->o->now_us < k->o->built_us;
    say(k, "clock", ALL, is_early ? CHECK_BAD : CHECK_GOOD, is_early ? remedy : NULL, "%.19sZ%s%.10s", now,
        is_early ? ", which is before this pixl was built: " : "; this pixl is of ", built);
}

/* Tables are written at a run's end: that they can be is better known before. */
static void check_tables(struct check *k)
{
    struct pixl_error e = { 0 };
    if (duck_load(&e))
        say(k, "duckdb", ALL, CHECK_GOOD, NULL, "its library is there");
    else
        say_error(k, "duckdb", ALL, &e, "`make install` puts it into ../lib/pixl beside the program; PIXL_DUCKDB_LIB names another place");
    check_folder(k, "exports", k->set->export_root_dir, "make HOST_EXPORT_ROOT_DIR a folder that pixl's user may write to");
}

/* --- store and keys ------------------------------------------------------------------------------------------------ */

/* Says nothing where they agree. */
static void compare_clock(struct check *k, const char *whose, int64_t server_us)
{
    int64_t apart = server_us - k->o->now_us;
    if (apart > apart_max_us || apart < -apart_max_us)
        say(k, "clock", ALL, CHECK_BAD, "set the clock of this machine, or have that of the server set", "%s is %lld s %s this machine", whose,
            (long long)(apart < 0 ? -apart : apart) / 1000000, apart < 0 ? "behind" : "ahead of");
}

/* Who gives tokens for a vault refuses, or gives ones that are over, when the clocks differ.  What it answers does not matter. */
static void compare_token_clock(struct check *k)
{
    struct pixl_error e = { 0 };
    http_client_auto *c = NULL;
    struct http_answer answer = { 0 };
    const struct http_client_options o = { .url = k->set->azure_authority_host, .ca_file = k->set->azure_ca_file, .connect_ms = HTTP_MS };
    struct http_request r = HTTP_REQUEST_NONE;
    r.path = "/";
    r.deadline_us = clock_mono_us() + 2 * HTTP_MS * 1000;
    r.answer_max = ANSWER_MAX;
    buf_init(&answer.body, ANSWER_MAX);
    if (http_client_open(&o, &c, &e) && http_client_do(c, &r, &answer, &e) && answer.date_s >= 0)
        compare_clock(k, "the server that gives tokens (AZURE_AUTHORITY_HOST)", answer.date_s * 1000000);
    buf_done(&answer.body);              /* that it cannot be reached is told by the key's line */
}

/* Studies that are not at an end. */
static bool count_open(struct store *s, int64_t *open, struct pixl_error *err)
{
    struct store_counts n;
    if (!store_count(s, ALL, &n, err))
        return false;
    *open = 0;
    for (size_t i = 0; i < STUDY_STATE_COUNT; i++)
        *open += study_state_is_end((enum study_state)i) ? 0 : n.by_state[i];
    return true;
}

static const char *store_remedy(const struct pixl_error *e)
{
    switch (e->code) {
    case PIXL_E_UNAVAILABLE: return "start the database server, or wait for it; PIXL_STORE_URL says where it is";
    case PIXL_E_DENIED:      return "give pixl's user its rights: on the file, or `GRANT CREATE ON DATABASE`; check the password";
    case PIXL_E_UNSUPPORTED: return "use the newest pixl that has worked on this store, and a local disk";
    case PIXL_E_CORRUPT:     return "restore the store from its backup (docs/operations.md)";
    default:                 return "PIXL_STORE_URL must name a file on a local disk, or a database";
    }
}

/* A file that is not there yet is made, but not its folder, unless that is the state's. */
static bool can_be_made(struct check *k)
{
    char *folder = arena_cstr(&k->arena, k->set->store_url + strlen("sqlite:"));
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;
    if (slash == NULL)
        return folder != NULL;
    *slash = '\0';
    return fs_is_dir(folder) || strcmp(folder, k->set->state_dir) == 0;
}

/* Says what there is.  *is_current: it can be opened, and that changes nothing in it. */
static void look_at_store(struct check *k, bool *is_current)
{
    struct pixl_error e = { 0 };
    struct store_look look;
    bool is_file = strncmp(k->set->store_url, "sqlite:", 7) == 0;
    *is_current = false;
    k->store_unknown = true;
    if (!store_look(k->set->store_url, &look, &e)) {
        if (e.code != PIXL_E_NOT_FOUND || !is_file || !can_be_made(k)) {
            say_error(k, "store", ALL, &e, store_remedy(&e));
            return;
        }
        look = (struct store_look){ 0 };
    }
    if (look.server_us != 0)
        compare_clock(k, "the store's server", look.server_us);
    *is_current = look.version > 0 && look.version == look.newest;
    k->store_unknown = look.version > 0 && look.version < look.newest;
    if (look.version == 0)
        say(k, "store", ALL, CHECK_GOOD, NULL, "no tables yet: the first run or populate makes them");
    else if (k->store_unknown)
        say(k, "store", ALL, CHECK_GOOD, NULL, "tables of version %lld: the next run brings them to %lld; back the store up first",
            (long long)look.version, (long long)look.newest);
}

static void check_store(struct check *k)
{
    struct pixl_error e = { 0 };
    int64_t open = 0;
    bool is_current;
    look_at_store(k, &is_current);
    if (!site_open(k->set, SITE_SECRETS | SITE_CHECKS | (is_current ? SITE_STORE : 0), &k->site, &e))
        say_error(k, "secrets", ALL, &e, "PIXL_SECRETS_URL must name a file of mode 0600, env:, or azure: with its settings");
    else if (is_current && !count_open(site_store(k->site), &open, &e))
        say_error(k, "store", ALL, &e, store_remedy(&e));
    else if (is_current)
        say(k, "store", ALL, CHECK_GOOD, NULL, "opens; %lld %s", (long long)open,
            count_word(open, "study waits", "studies wait"));
}

static const char *key_remedy(const struct pixl_error *e)
{
    return e->code == PIXL_E_NOT_FOUND || e->code == PIXL_E_EXISTS ? "restore it where PIXL_SECRETS_URL says, from its backup (docs/operations.md); make no new one"
           : e->code == PIXL_E_UNAVAILABLE ? "is the network there, is the vault's name right?"
                                           : "PIXL_SECRETS_URL must name a file of mode 0600, env:, or a vault that pixl may read";
}

/* The hashing key, or with a project its salt. */
static bool check_key(struct check *k, const char *what, struct str project)
{
    struct pixl_error e = { 0 };
    bool is_there = false;
    if (k->site == NULL)
        return false;
    if (!site_look_at_key(k->site, project, &is_there, &e))
        say_error(k, what, project, &e, key_remedy(&e));
    else if (is_there)
        say(k, what, project, CHECK_GOOD, NULL, "is in %s%s", secrets_place(site_secrets(k->site)),
            site_store(k->site) != NULL ? ", and agrees with the store" : "");
    else if (k->store_unknown)
        say(k, what, project, CHECK_SKIPPED, NULL, "is not there; whether it may be made anew only the store can tell");
    else
        say(k, what, project, CHECK_GOOD, NULL, "is not there yet: the first run or populate makes it; back it up then");
    return is_there;
}

/* --- archive, queue -------------------------------------------------------------------------------------------------------- */

static void check_archive(struct check *k, const char *what, int which)
{
    static const char *const remedies[] = {
        "--archive or PIXL_ARCHIVE_URL: is it the right one, is the share mounted, is the server up?",
        "PIXL_SECONDARY_ARCHIVE_URL: is it the right one, is the share mounted, is the server up?",
    };
    const char *remedy = remedies[which];
    struct pixl_error e = { 0 };
    enum archive_trial trial;
    struct site_archive_address at;
    if (!site_archive_address(k->set, which, &at) && which == 1)
        return;
    if (at.options.url == NULL)
        say(k, what, ALL, CHECK_SKIPPED, NULL, "PIXL_ARCHIVE_URL is not set: each run must be given --archive");
    else if (!archive_try(&at.options, &trial, &e))
        say_error(k, what, ALL, &e, remedy);
    else if (trial == ARCHIVE_HOLDS_NOTHING)
        say(k, what, ALL, CHECK_AWAY, remedy, "its folder holds no DICOM file");
    else if (trial == ARCHIVE_ANSWERS_ALL)
        say(k, what, ALL, CHECK_BAD, "have the archive's makers look at it: nothing is safe to ask of it",
            "it finds a study that cannot exist");
    else
        say(k, what, ALL, CHECK_GOOD, NULL, "answers");
}

static bool ask_queue(struct check *k, const struct hint_route *route, struct pixl_error *err)
{
    queue_auto *q = NULL;
    const struct queue_options o = { .queue_per_priority = route->queue_per_priority };
    struct queue_wait w = queue_wait_ms(QUEUE_MS, NULL);
    uint64_t ready;
    if (!queue_open(str_of(route->url), &o, &w, &q, err))
        return false;
    if (queue_depth(q, route->queues[0], &w, &ready, err))
        say(k, "queue", ALL, CHECK_GOOD, NULL, "%s: %llu %s ready in %s", queue_place(q), (unsigned long long)ready,
            count_word((int64_t)ready, "message is", "messages are"), route->queues[0]);
    else if (err->code == PIXL_E_NOT_FOUND) {
        pixl_error_clear(err);
        say(k, "queue", ALL, CHECK_GOOD, NULL, "%s: no queue %s yet: the first worker makes it", queue_place(q), route->queues[0]);
    }
    return err->code == PIXL_OK;
}

static void check_queue(struct check *k)
{
    static const char remedy[] = "PIXL_QUEUE_URL: is the broker up, are user, password and vhost right?";
    struct pixl_error e = { 0 };
    struct hint_route route;
    bool is_set;
    if (!hint_route_of(k->set, &route, &is_set, &e) || (is_set && !ask_queue(k, &route, &e)))
        say_error(k, "queue", ALL, &e, remedy);
    else if (!is_set)
        say(k, "queue", ALL, CHECK_GOOD, NULL, "none: workers look into the store");
}

/* --- projects ------------------------------------------------------------------------------------------------------- */

static bool add_slug(struct check *k, struct str slug, struct pixl_error *err)
{
    for (size_t i = 0; i < k->n_slugs; i++)
        if (str_eq(k->slugs[i], slug))
            return true;
    if (k->n_slugs == k->cap_slugs) {
        size_t cap = k->cap_slugs ? 2 * k->cap_slugs : 32;
        struct str *more = arena_alloc(&k->arena, cap * sizeof *more);
        if (more == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "projects");
        if (k->n_slugs > 0)
            memcpy(more, k->slugs, k->n_slugs * sizeof *more);
        k->slugs = more;
        k->cap_slugs = cap;
    }
    struct str copy = arena_str(&k->arena, slug);
    if (copy.p == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "projects");
    k->slugs[k->n_slugs++] = copy;
    return true;
}

static bool add_files(struct check *k, struct pixl_error *err)
{
    struct dirent **names = NULL;
    int n = scandir(k->set->project_configs_dir, &names, NULL, alphasort);
    bool ok = true;
    if (n < 0)
        say(k, "projects", ALL, CHECK_BAD, "PROJECT_CONFIGS_DIR names the folder; `pixl config new` makes a project in it",
            "configs folder %s: %s", k->set->project_configs_dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        struct str name = str_of(names[i]->d_name);
        if (ok && name.n > 5 && name.p[0] != '.' && strcmp(name.p + name.n - 5, ".yaml") == 0)
            ok = add_slug(k, (struct str){ name.p, name.n - 5 }, err);
        free(names[i]);
    }
    free(names);
    return ok;
}

/* Those of the store: a run that cannot load one leaves its studies and its tables where they are. */
static bool add_stored(struct check *k, struct pixl_error *err)
{
    struct str *all;
    size_t n;
    struct store *s = k->site != NULL ? site_store(k->site) : NULL;
    if (s == NULL)
        return true;
    struct pixl_error e = { 0 };
    if (!store_projects(s, &k->arena, &all, &n, &e)) {
        say_error(k, "projects", ALL, &e, store_remedy(&e));
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (!add_slug(k, all[i], err))
            return false;
    return true;
}

/* In the place of a check value while a key is not there: no marker has it. */
static const struct str no_key = { "-", 1 };

/* The check value that a destination's marker must have. */
static bool find_check_value(struct check *k, struct str slug, bool salt_is_there, struct str *out, struct pixl_error *err)
{
    struct site_project *p;
    *out = no_key;
    if (!k->key_is_there || !salt_is_there)
        return true;
    if (!site_project(k->site, slug, false, &p, err))
        return false;
    *out = str_of(p->check);
    return true;
}

static const char *upload_remedy(const struct pixl_error *e)
{
    switch (e->code) {
    case PIXL_E_UNAVAILABLE: return "mount the share or start the server; a run waits for it, and keeps studies in the spool";
    case PIXL_E_NO_SPACE:    return "make room at the destination";
    case PIXL_E_DENIED:      return "give pixl's user the right to write there; check the account and its password";
    case PIXL_E_NOT_FOUND:   return "put that secret where PIXL_SECRETS_URL says";
    case PIXL_E_EXISTS:      return "restore the key that this destination knows, or give the project another destination";
    default:                 return "look at `destination` in the project's file";
    }
}

static void check_destination(struct check *k, const struct project *p, bool for_tables, struct str value)
{
    const char *what = for_tables ? "destination of tables" : "destination";
    struct pixl_error e = { 0 };
    upload_auto *u = NULL;
    bool is_marked = false, was_left = false;
    const struct upload_options o = { .secrets = site_secrets(k->site), .writer = "check", .settings = k->set };
    if (!upload_open(p, for_tables, &o, &u, &e) || !upload_check(u, &e)) {
        say_error(k, what, p->slug, &e, upload_remedy(&e));
        return;
    }
    if ((upload_caps(u) & UPLOAD_CAP_KEEPS) != 0) {
        say(k, what, p->slug, CHECK_GOOD, NULL, "none: what is made stays with pixl");
        return;
    }
    bool looked =
        upload_look_at_key(u, value, &is_marked, &e) && (is_marked || site_marker_was_left(k->site, u, &was_left, &e));
    if (looked && was_left) {
        const bool has_key = !str_eq(value, no_key);
        char remedy[160];
        (void)snprintf(remedy, sizeof remedy,
                       "mount the share; where it was emptied on purpose, put that file back%s%.*s",
                       has_key ? ", with this line: " : "", has_key ? (int)value.n : 0, value.p);
        say(k, what, p->slug, CHECK_AWAY, remedy, "%s: its marker .pixl-key was there and is gone", upload_place(u));
    } else if (looked)
        say(k, what, p->slug, CHECK_GOOD, NULL, "%s: a file was written and removed; %s", upload_place(u),
            is_marked ? "its key is ours" : "nothing was delivered there yet");
    else if (e.code == PIXL_E_EXISTS && str_eq(value, no_key))
        say(k, what, p->slug, CHECK_BAD, upload_remedy(&e), "something was delivered there before, and the key that it was made under is not here");
    else if (e.code == PIXL_E_UNSUPPORTED)
        say(k, what, p->slug, CHECK_GOOD, NULL, "%s: a file was written and removed; %s", upload_place(u), e.msg);
    else
        say_error(k, what, p->slug, &e, upload_remedy(&e));
}

static void check_project(struct check *k, struct str slug)
{
    static const char remedy[] = "`pixl config check` lists every problem with its line";
    struct pixl_error e = { 0 };
    project_auto *p = NULL;
    struct deid_policy *policy = NULL;
    struct str value;
    bool ok = project_load(k->set->project_configs_dir, slug, &p, &e) && deid_policy_new(p, &policy, &e);
    deid_policy_free(policy);
    if (!ok) {
        say_error(k, "project", slug, &e, remedy);
        return;
    }
    say(k, "project", slug, CHECK_GOOD, NULL, "its file is valid");
    if (k->site == NULL)
        return;
    bool salt = check_key(k, "salt", slug);
    if (!find_check_value(k, slug, salt, &value, &e)) {
        say_error(k, "salt", slug, &e, key_remedy(&e));
        return;
    }
    check_destination(k, p, false, value);
    if (p->parquet_destination != p->dicom_destination)
        check_destination(k, p, true, value);
}

static bool check_projects(struct check *k, struct pixl_error *err)
{
    bool ok = k->o->project.n > 0 ? add_slug(k, k->o->project, err) : add_files(k, err) && add_stored(k, err);
    if (!ok)
        return false;
    if (k->n_slugs == 0)
        say(k, "projects", ALL, CHECK_SKIPPED, NULL, "there is none in %s yet; `pixl config new` makes one", k->set->project_configs_dir);
    for (size_t i = 0; i < k->n_slugs; i++)
        check_project(k, k->slugs[i]);
    return true;
}

bool check_site(const struct settings *set, const struct check_options *o, enum check_result *worst, struct pixl_error *err)
{
    struct check k = { .set = set, .o = o };
    arena_init(&k.arena, TEXTS_BYTES_MAX);
    check_settings(&k);
    check_folder(&k, "state", set->state_dir, "make PIXL_STATE_DIR a folder on a local disk that belongs to pixl's user");
    check_space(&k);
    check_lock(&k);
    check_clock(&k);
    check_tables(&k);
    check_store(&k);
    if (strncmp(set->secrets_url, "azure:", 6) == 0)
        compare_token_clock(&k);
    k.key_is_there = check_key(&k, "key", ALL);
    check_archive(&k, "archive", 0);
    check_archive(&k, "secondary archive", 1);
    check_queue(&k);
    bool ok = check_projects(&k, err);
    site_close(k.site);
    arena_done(&k.arena);
    if (ok)
        *worst = k.worst;
    return ok;
}

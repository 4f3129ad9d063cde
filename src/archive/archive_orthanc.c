/* The hospital's archive through an Orthanc ("raw") that stands before it: opening, asking, the bytes of an instance.
 *
 * Every answer of the archive is compared with what was asked: a C-FIND key that an archive does not know matches everything. */
#include "archive_orthanc_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_brought.h"
#include "base/clock.h"
#include "base/fs.h"

enum { CONNECT_MS = 10000, ANSWER_ARENA_MAX = 512 << 20, NAME_MAX_BYTES = 128 };

struct orthanc *orthanc_of(struct archive *a)
{
    assert(a->ops == &archive_orthanc);
    return (struct orthanc *)a;
}

static bool fail_nomem(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "archive");
}

static bool fail_url(struct pixl_error *err, const char *what)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "archive: its URL: %s", what);
}

/* --- opening */

static void orthanc_close(struct archive *a)
{
    struct orthanc *o = orthanc_of(a);
    http_client_close(o->http);
    archive_brought_close(o->brought);
    (void)pthread_cond_destroy(&o->changed);
    (void)pthread_mutex_destroy(&o->lock);
    free(o->modality);
    free(o->modality_path);
    free(o->target_aet);
    free(o->temp_dir);
    free(o);
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at && c >= '0' ? (int)(at - digits) : -1;
}

/* %XX in place; the text becomes shorter. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        int c = (unsigned char)*p;
        if (c == '%') {
            int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = high * 16 + low;
            p += 2;
        }
        *to++ = (char)c;
    }
    *to = '\0';
    return true;
}

/* Takes the login out of url, which keeps its scheme and what stands behind the '@'. */
static bool split_login(char *url, char **user, char **password, struct pixl_error *err)
{
    char *host = strstr(url, "://");
    if (host == NULL)
        return fail_url(err, "it is none of the form orthanc+http://user:password@host:8042");
    host += 3;
    *user = *password = NULL;
    char *at = strrchr(host, '@');
    if (at == NULL)
        return true;
    *at = '\0';
    *user = strdup(host);
    if (*user == NULL)
        return fail_nomem(err);
    memmove(host, at + 1, strlen(at + 1) + 1);
    *password = strchr(*user, ':');
    if (*password)
        *(*password)++ = '\0';
    if (!decode(*user) || (*password && !decode(*password)))
        return fail_url(err, "a % in user or password is not followed by two hexadecimal digits");
    return **user != '\0' || fail_url(err, "it has a password, but no user");
}

static bool connect_to(struct orthanc *o, const struct archive_options *options, char *url, struct pixl_error *err)
{
    char *user = NULL, *password = NULL;
    bool ok = split_login(url, &user, &password, err);
    const char *pw = user ? password : options->password;
    secret_auto secret = { 0 };
    struct http_client_options h = { .url = url,
                                     .user = user ? user : options->user,
                                     .password = &secret,
                                     .ca_file = options->ca_file,
                                     .connect_ms = CONNECT_MS };
    ok = ok && (pw == NULL || secret_set(&secret, str_of(pw), err)) && http_client_open(&h, &o->http, err);
    if (user)
        explicit_bzero(user, strlen(user));
    if (password)
        explicit_bzero(password, strlen(password));
    free(user);
    return ok;
}

/* A name as a part of a path. */
static char *path_of_modality(const char *name)
{
    buf_auto b;
    buf_init(&b, 4 * NAME_MAX_BYTES);
    (void)buf_add_cstr(&b, "/modalities/");
    for (const char *p = name; *p; p++)
        (void)(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~", *p)
                   ? buf_add_char(&b, *p)
                   : buf_addf(&b, "%%%02X", (unsigned char)*p));
    return b.failed ? NULL : strdup(buf_cstr(&b));
}

static bool take_names(struct orthanc *o, const struct archive_options *options, struct pixl_error *err)
{
    if (options->modality == NULL || strlen(options->modality) > NAME_MAX_BYTES)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "archive: its name among the modalities of Orthanc is not set, or too long");
    if (options->target_aet && strlen(options->target_aet) > 16)
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: an AE title has 16 characters at most");
    o->modality = strdup(options->modality);
    o->modality_path = path_of_modality(options->modality);
    o->target_aet = options->target_aet ? strdup(options->target_aet) : NULL;
    struct arena a;
    arena_init(&a, 64 * 1024);
    const char *temp = fs_path(&a, options->state_dir, "tmp");
    o->temp_dir = temp ? strdup(temp) : NULL;
    arena_done(&a);
    return (o->modality && o->modality_path && o->temp_dir && (o->target_aet || options->target_aet == NULL)) ||
           fail_nomem(err);
}

static bool orthanc_open(const struct archive_options *options, struct archive **out, struct pixl_error *err)
{
    struct orthanc *o = calloc(1, sizeof *o);
    char *url = strdup(options->url + strlen("orthanc+"));
    if (o == NULL || url == NULL) {
        free(o);
        free(url);
        return fail_nomem(err);
    }
    o->base.ops = &archive_orthanc;
    int rc = pthread_mutex_init(&o->lock, NULL) | pthread_cond_init(&o->changed, NULL);
    assert(rc == 0);
    o->query_us = options->query_timeout_s * ORTHANC_SECOND_US;
    o->transfer_us = options->transfer_timeout_s * ORTHANC_SECOND_US;
    o->most_transfers = options->most_transfers;
    o->max_instance_bytes = options->max_instance_bytes;
    assert(o->query_us > 0 && o->transfer_us > 0 && o->most_transfers > 0);
    bool ok =
        connect_to(o, options, url, err) && take_names(o, options, err) &&
        (!options->releases || archive_brought_open(options->state_dir, http_client_place(o->http), &o->brought, err));
    explicit_bzero(url, strlen(url));
    free(url);
    if (ok)
        *out = &o->base;
    else
        orthanc_close(&o->base);
    return ok;
}

/* --- is everything there? */

/* While work goes on these are outages, which may end by themselves; before it begins somebody is there to mend them. */
static bool fail_as_denied(struct pixl_error *err)
{
    if (err->code == PIXL_E_UNAVAILABLE && (err->sys == 401 || err->sys == 403 || err->sys == ORTHANC_SYS_NOT_LET || err->sys == ORTHANC_SYS_CERTIFICATE))
        err->code = PIXL_E_DENIED;
    return false;
}

static bool is_known_modality(const struct orthanc *o, const struct json_node *names)
{
    for (const struct json_node *v = names->first; v; v = v->next)
        if (str_eq(json_node_text(v), str_of(o->modality)))
            return true;
    return false;
}

/* An archive may answer C-ECHO to anybody and C-FIND to nobody: a study is asked for that cannot be there. */
static bool orthanc_refresh(struct archive *a, bool (*say)(void *, uint64_t, uint64_t), void *ctx,
                            struct pixl_error *err)
{
    struct orthanc *o = orthanc_of(a);
    struct arena arena;
    const struct json_node *root;
    const struct orthanc_key key = { "StudyInstanceUID", STR("2.25.0") };
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + 2 * o->query_us };
    if (say && !say(ctx, 0, 0))
        return pixl_fail(err, PIXL_E_CANCELLED, 0, "archive: cancelled");
    arena_init(&arena, ANSWER_ARENA_MAX);
    bool ok = orthanc_get(o, "/modalities", &w, &arena, &root, err);
    if (ok && !is_known_modality(o, root))
        ok = pixl_fail(err, PIXL_E_INVALID, 0,
                       "%s: it knows no modality '%s': that name must stand in its DicomModalities",
                       http_client_place(o->http), o->modality);
    ok = ok && orthanc_ask(o, "Study", &key, 1, &w, &arena, &root, err);
    arena_done(&arena);
    return ok || fail_as_denied(err);
}

static struct archive_health orthanc_health(struct archive *a)
{
    (void)a;
    return (struct archive_health){ .instances = UINT64_MAX };
}

/* --- find */

static bool is_asked(const struct json_node *answer, const struct orthanc_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].value.n > 0 && !str_eq(orthanc_text(answer, keys[i].name), keys[i].value))
            return false;
    return orthanc_is_uid(orthanc_text(answer, "StudyInstanceUID"));
}

/* The distinct study UIDs of the answers that repeat what was asked for. */
static bool take_studies(const struct json_node *answers, const struct orthanc_key *keys, size_t n_keys,
                         struct arena *arena, struct phi_text **uids, size_t *n, struct pixl_error *err)
{
    struct phi_text *list = arena_calloc(arena, json_node_items(answers), sizeof *list);
    size_t count = 0;
    if (list == NULL)
        return fail_nomem(err);
    for (const struct json_node *v = answers->first; v; v = v->next) {
        if (!is_asked(v, keys, n_keys))
            continue;
        struct str uid = arena_str(arena, orthanc_text(v, "StudyInstanceUID"));
        if (uid.p == NULL)
            return fail_nomem(err);
        size_t i = 0;
        while (i < count && !phi_eq(list[i], phi_text(uid)))
            i++;
        if (i == count)
            list[count++] = phi_text(uid);
    }
    *uids = list;
    *n = count;
    return true;
}

static bool has_wildcard(struct str s)
{
    return memchr(s.p, '*', s.n) || memchr(s.p, '?', s.n) || memchr(s.p, '\\', s.n);
}

static bool find_by(struct orthanc *o, const struct orthanc_key *keys, size_t n_keys, struct arena *arena,
                    struct phi_text **uids, size_t *n, struct pixl_error *err)
{
    struct arena scratch;
    const struct json_node *answers;
    const struct orthanc_wait w = { .deadline_us = clock_mono_us() + o->query_us };
    arena_init(&scratch, ANSWER_ARENA_MAX);
    bool ok = orthanc_ask(o, "Study", keys, n_keys, &w, &scratch, &answers, err) &&
              take_studies(answers, keys, n_keys, arena, uids, n, err);
    arena_done(&scratch);
    return ok;
}

static bool orthanc_find(struct archive *a, const struct archive_query *q, struct arena *arena, struct phi_text **uids,
                         size_t *n, struct pixl_error *err)
{
    struct orthanc *o = orthanc_of(a);
    const struct str uid = phi_reveal(q->study_uid), mrn = phi_reveal(q->mrn),
                     accession = phi_reveal(q->accession_number);
    struct phi_text *found = NULL;
    size_t count = 0;
    if (orthanc_is_uid(uid)) {
        const struct orthanc_key by_uid[] = { { "StudyInstanceUID", uid } };
        if (!find_by(o, by_uid, 1, arena, &found, &count, err))
            return false;
    }
    if (count == 0 && mrn.n > 0 && accession.n > 0) {
        if (has_wildcard(mrn) || has_wildcard(accession))
            return pixl_fail(err, PIXL_E_INVALID, 0,
                             "archive: an MRN or accession number with a character that DICOM takes "
                             "for a wildcard cannot be asked for");
        const struct orthanc_key by_number[] = { { "PatientID", mrn },
                                                 { "AccessionNumber", accession },
                                                 { "StudyInstanceUID", { 0 } } };
        if (!find_by(o, by_number, 3, arena, &found, &count, err))
            return false;
    }
    *uids = found;
    *n = count;
    return true;
}

/* --- list */

struct listing {
    struct orthanc *o;
    struct orthanc_wait wait;
    struct arena *arena; /* the caller's */
    struct str study_uid;
    struct archive_instance *list; /* malloc */
    size_t n, cap;
};

/* An answer to another question says that the archive did not understand: what it left out nobody knows. */
static bool fail_answer(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_IO, 0, "archive: it answers a C-FIND with what was not asked for");
}

static bool add_instance(struct listing *l, struct str series_uid, const struct json_node *v, struct pixl_error *err)
{
    struct str sop = orthanc_text(v, "SOPInstanceUID");
    uint64_t frames = 1;
    if (!str_eq(orthanc_text(v, "StudyInstanceUID"), l->study_uid) ||
        !str_eq(orthanc_text(v, "SeriesInstanceUID"), series_uid) || !orthanc_is_uid(sop))
        return fail_answer(err);
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        void *p = realloc(l->list, cap * sizeof *l->list);
        if (p == NULL)
            return fail_nomem(err);
        l->list = p;
        l->cap = cap;
    }
    if (!str_to_u64(orthanc_text(v, "NumberOfFrames"), &frames) || frames < 1 || frames > UINT32_MAX)
        frames = 1;
    struct str copy = arena_str(l->arena, sop);
    if (copy.p == NULL)
        return fail_nomem(err);
    l->list[l->n++] = (struct archive_instance){ .series_uid = phi_text(series_uid),
                                                 .sop_uid = phi_text(copy),
                                                 .frames = (uint32_t)frames,
                                                 .size_bytes = ARCHIVE_SIZE_UNKNOWN };
    return true;
}

static bool list_series(struct listing *l, const struct json_node *series, struct pixl_error *err)
{
    struct str uid = arena_str(l->arena, orthanc_text(series, "SeriesInstanceUID"));
    if (uid.p == NULL)
        return fail_nomem(err);
    if (!str_eq(orthanc_text(series, "StudyInstanceUID"), l->study_uid) || !orthanc_is_uid(uid))
        return fail_answer(err);
    const struct orthanc_key keys[] = {
        { "StudyInstanceUID", l->study_uid },
        { "SeriesInstanceUID", uid },
        { "SOPInstanceUID", { 0 } },
        { "NumberOfFrames", { 0 } },
    };
    struct arena scratch;
    const struct json_node *answers;
    const size_t before = l->n;
    uint64_t told;
    arena_init(&scratch, ANSWER_ARENA_MAX);
    bool ok = orthanc_ask(l->o, "Instance", keys, ARRAY_LEN(keys), &l->wait, &scratch, &answers, err);
    for (const struct json_node *v = ok ? answers->first : NULL; ok && v; v = v->next)
        ok = add_instance(l, uid, v, err);
    arena_done(&scratch);
    /* Archives cut long lists of answers without a word. */
    if (ok && str_to_u64(orthanc_text(series, "NumberOfSeriesRelatedInstances"), &told) && told > l->n - before)
        ok = pixl_fail(err, PIXL_E_IO, 0, "archive: it lists %zu instances of a series that has %llu, as it says",
                       l->n - before, (unsigned long long)told);
    return ok;
}

static int by_uids(const void *left, const void *right)
{
    const struct archive_instance *l = left, *r = right;
    int c = str_cmp(phi_reveal(l->series_uid), phi_reveal(r->series_uid));
    return c ? c : str_cmp(phi_reveal(l->sop_uid), phi_reveal(r->sop_uid));
}

/* An instance that was told twice is one. */
static size_t drop_repeated(struct archive_instance *list, size_t n)
{
    if (n > 1)
        qsort(list, n, sizeof *list, by_uids);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_uids(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    return kept;
}

static bool list_study(struct listing *l, struct pixl_error *err)
{
    const struct orthanc_key keys[] = {
        { "StudyInstanceUID", l->study_uid },
        { "SeriesInstanceUID", { 0 } },
        { "NumberOfSeriesRelatedInstances", { 0 } },
    };
    struct arena scratch;
    const struct json_node *answers;
    arena_init(&scratch, ANSWER_ARENA_MAX);
    bool ok = orthanc_ask(l->o, "Series", keys, ARRAY_LEN(keys), &l->wait, &scratch, &answers, err);
    for (const struct json_node *v = ok ? answers->first : NULL; ok && v; v = v->next)
        ok = list_series(l, v, err);
    arena_done(&scratch);
    return ok;
}

static bool orthanc_list(struct archive *a, struct phi_text study_uid, struct arena *arena,
                         struct archive_instance **out, size_t *n, struct pixl_error *err)
{
    struct orthanc *o = orthanc_of(a);
    struct listing l = {
        .o = o, .wait.deadline_us = clock_mono_us() + o->transfer_us, .arena = arena, .study_uid = phi_reveal(study_uid)
    };
    if (!orthanc_is_uid(l.study_uid))
        return pixl_fail(err, PIXL_E_INVALID, 0, "archive: what should be a study UID is none");
    bool ok = list_study(&l, err);
    size_t kept = ok ? drop_repeated(l.list, l.n) : 0;
    struct archive_instance *copy = ok ? arena_calloc(arena, kept, sizeof *copy) : NULL;
    if (ok && copy == NULL)
        ok = fail_nomem(err);
    if (ok) {
        if (kept > 0)
            memcpy(copy, l.list, kept * sizeof *copy);
        *out = copy;
        *n = kept;
    }
    free(l.list);
    return ok;
}

/* --- the bytes of an instance */

static bool orthanc_open_instance(struct archive *a, const struct archive_instance *i, int *out, struct pixl_error *err)
{
    struct orthanc *o = orthanc_of(a);
    if (!archive_instance_is_near(i))
        return pixl_fail(err, PIXL_E_NOT_FOUND, 0, "archive: an instance was not fetched");
    char path[ORTHANC_PATH_SIZE];
    orthanc_instance_path(i->remote, "/file", path);
    int fd;
    if (!fs_open_nameless(o->temp_dir, &fd, err))
        return pixl_wrap(err, "archive");
    struct http_request r = HTTP_REQUEST_NONE;
    struct http_answer answer = { 0 };
    buf_init(&answer.body, 4096);
    r.path = path;
    r.deadline_us = clock_mono_us() + o->transfer_us;
    r.answer_max = o->max_instance_bytes;
    r.answer_fd = fd;
    bool ok = orthanc_do(o, &r, &answer, err);
    buf_done(&answer.body);
    if (ok && answer.status == 404)
        ok = pixl_fail(err, PIXL_E_NOT_FOUND, 404, "archive: an instance is gone since it was fetched");
    else if (ok && answer.status != 200)
        ok = pixl_fail(err, PIXL_E_UNAVAILABLE, answer.status, "%s: it answers with HTTP status %d",
                       http_client_place(o->http), answer.status);
    if (ok && lseek(fd, 0, SEEK_SET) != 0)
        ok = pixl_fail_errno(err, errno, "archive: a temporary file in the state folder");
    if (ok)
        *out = fd;
    else
        (void)close(fd);
    return ok;
}

const struct archive_ops archive_orthanc = {
    .caps = 0,
    .open = orthanc_open,
    .refresh = orthanc_refresh,
    .health = orthanc_health,
    .find = orthanc_find,
    .list = orthanc_list,
    .fetch = orthanc_fetch,
    .release = orthanc_release,
    .open_instance = orthanc_open_instance,
    .close = orthanc_close,
};

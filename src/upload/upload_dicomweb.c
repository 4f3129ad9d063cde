/* A DICOMweb server, reached through Orthanc anon (anon.h): each instance of the zip is put into Orthanc, which sends them by STOW-RS.
 *
 *   <prefix>--dicomweb--url, --username, --password      secrets; read for every study, so that new ones are taken up
 *   <prefix>                                             the server's name in Orthanc; registered before every study, as Orthanc
 *                                                        forgets it when it is restarted, and as the login may have changed
 *
 * A study is there when a query (QIDO-RS) lists exactly its instances.  That is looked at before anything is sent (what is there already
 * is not sent again), and after.  STOW-RS is not atomic: when it is broken off, part of a study stands at the server until the next
 * attempt has sent the rest.  Instances are told apart by their pseudo SOP UIDs alone: one that is there is taken for the same.
 *
 * Orthanc tells that the server failed, not why.  Then the server is asked directly, with the same login, for something small: its answer
 * is the reason.  The address is a secret too, and is named by its secret's name. */
#include "upload_backend.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "dicom/uid.h"
#include "upload/anon_put.h"

#define SECOND ((int64_t)1000000)

enum {
    QUERY_S = 60,
    DIRECT_S = 20, DIRECT_MS = 10000, DIRECT_MAX = 4 * 1024 * 1024,
    SETTLE_S = 30,               /* a server may list what it took a little later */
    PAGE = 100,                  /* instances of one query, some 2 MB while it is read; a server may give fewer */
    PAGE_MEMORY = 64 * 1024 * 1024,
    IDS_MAX = 32 * 1024 * 1024,
    PREFIX_MAX = 200,
};

struct dicomweb {
    struct upload base;
    char *place;                 /* "dicomweb <prefix>--dicomweb--url" */
    char prefix[PREFIX_MAX + 1];
    struct secrets *secrets;
    const struct settings *settings;
    struct anon *anon;
};

/* The server as the secrets tell it just now. */
struct far {
    struct secret url, user, password;
};

struct instance {
    struct str sop;              /* in the zip's list of names */
    const struct zip_read_entry *entry;
    bool is_there;               /* at the server */
};

struct study {
    const char *uid;
    struct zip_read *zip;
    struct instance *instances;  /* by SOP UID */
    size_t n, n_there, n_foreign;
};

static struct dicomweb *dicomweb_of(struct upload *u)
{
    assert(u->ops == &upload_dicomweb);
    return (struct dicomweb *)u;
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "destination");
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

static void far_done(struct far *f)
{
    secret_done(&f->url);
    secret_done(&f->user);
    secret_done(&f->password);
}
#define far_auto PIXL_CLEANUP(far_done) struct far

static bool get_secret(struct dicomweb *d, const char *what, struct secret *out, struct pixl_error *err)
{
    char name[PREFIX_MAX + 32];
    (void)snprintf(name, sizeof name, "%s--dicomweb--%s", d->prefix, what);
    return secrets_get(d->secrets, str_of(name), out, err);
}

/* An address or a user, without the blanks around it that came with a paste. */
static bool get_trimmed(struct dicomweb *d, const char *what, struct secret *out, struct pixl_error *err)
{
    secret_auto whole = { 0 };
    if (!get_secret(d, what, &whole, err))
        return false;
    struct str s = str_trim(secret_reveal(&whole));
    while (strcmp(what, "url") == 0 && s.n > 0 && s.p[s.n - 1] == '/')
        s.n--;
    if (s.n == 0 || memchr(s.p, '\0', s.n) != NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %s--dicomweb--%s is empty, or no text", d->prefix, what);
    return secret_set(out, s, err);
}

static bool far_load(struct dicomweb *d, struct far *f, struct pixl_error *err)
{
    return get_trimmed(d, "url", &f->url, err) && get_trimmed(d, "username", &f->user, err) &&
           get_secret(d, "password", &f->password, err);
}

/* A client of the server itself.  Its address does not get into the error. */
static bool open_direct(struct dicomweb *d, const struct far *f, struct http_client **out, struct pixl_error *err)
{
    /* secret_set() leaves a NUL behind the bytes. */
    const struct http_client_options o = { .url = secret_reveal(&f->url).p, .user = secret_reveal(&f->user).p, .password = &f->password,
                                           .ca_file = d->settings->dicomweb_ca_file, .connect_ms = DIRECT_MS };
    return http_client_open(&o, out, err) ||
           pixl_wrap(err, "destination: secrets %s--dicomweb--url, --username, --password; PIXL_DICOMWEB_CA_FILE", d->prefix);
}

/* --- why it does not work ----------------------------------------------------------------------------------------- */

/* What a status says to whoever keeps the secrets; true: nothing is wrong with it. */
static bool judge_status(const struct dicomweb *d, int status, struct pixl_error *err)
{
    if (status == 401 || status == 403)
        return pixl_fail(err, PIXL_E_DENIED, status,
                         "destination: the DICOMweb server refuses the login (HTTP %d): look at secrets %s--dicomweb--username and "
                         "%s--dicomweb--password", status, d->prefix, d->prefix);
    if (status == 429 || status >= 500)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status, "destination: the DICOMweb server is out of order or too busy (HTTP %d)", status);
    if (status != 200 && status != 204)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status,
                         "destination: no DICOMweb server answers there (HTTP %d): look at secret %s--dicomweb--url, which must be the address "
                         "that /studies is added to", status, d->prefix);
    return true;
}

/* The error of a direct request, without the address at its beginning. */
static bool blame_network(const struct dicomweb *d, const char *place, const struct pixl_error *e, struct pixl_error *err)
{
    size_t n = strlen(place);
    const char *why = strncmp(e->msg, place, n) == 0 && e->msg[n] == ':' ? e->msg + n + 2 : "it cannot be asked";
    if (e->code == PIXL_E_NOMEM)
        return fail_memory(err);
    if (e->code == PIXL_E_DENIED)
        return pixl_fail(err, PIXL_E_DENIED, e->sys,
                         "destination: the DICOMweb server of secret %s--dicomweb--url: %s (PIXL_DICOMWEB_CA_FILE names the CAs that pixl trusts, "
                         "HttpsCACertificates those of Orthanc anon)", d->prefix, why);
    return pixl_fail(err, PIXL_E_UNAVAILABLE, e->sys,
                     "destination: the DICOMweb server cannot be reached (%s): is it on, is secret %s--dicomweb--url right?", why, d->prefix);
}

/* Asks the server itself.  true: it answers as it should. */
static bool ask_directly(struct dicomweb *d, const struct far *f, struct pixl_error *err)
{
    http_client_auto *http = NULL;
    struct http_answer h = { 0 };
    struct pixl_error e = { 0 };
    if (!open_direct(d, f, &http, err))
        return false;
    const struct http_header accept = { "Accept", STR("application/dicom+json") };
    struct http_request r = HTTP_REQUEST_NONE;
    r.path = "/studies?limit=1";
    r.headers = &accept;
    r.n_headers = 1;
    r.deadline_us = clock_mono_us() + DIRECT_S * SECOND;
    r.answer_max = DIRECT_MAX;
    buf_init(&h.body, DIRECT_MAX);
    bool asked = http_client_do(http, &r, &h, &e), ok = false;
    struct str body = str_trim(buf_str(&h.body));
    if (!asked)
        (void)blame_network(d, http_client_place(http), &e, err);
    else if (h.status == 200 && body.n > 0 && body.p[0] != '[')
        (void)judge_status(d, 404, err); /* a page for people */
    else
        ok = judge_status(d, h.status, err);
    buf_done(&h.body);
    return ok;
}

/* Orthanc's question to the server failed. */
static bool blame_question(struct dicomweb *d, const struct far *f, struct pixl_error *err)
{
    return ask_directly(d, f, err) &&
           pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "destination: the DICOMweb server answers pixl but not Orthanc anon: can that machine reach it, "
                                                 "does it trust its certificate (HttpsCACertificates)?");
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static bool enroll(struct dicomweb *d, const struct far *f, int64_t deadline_us, struct pixl_error *err)
{
    const struct anon_server s = { .name = d->prefix, .url = secret_reveal(&f->url), .user = secret_reveal(&f->user),
                                   .password = secret_reveal(&f->password), .timeout_s = d->settings->dicomweb_timeout_s };
    return anon_register(d->anon, &s, deadline_us, err);
}

/* Does the server answer to a query at all? */
static bool greet(struct dicomweb *d, const struct far *f, int64_t deadline_us, struct pixl_error *err)
{
    struct arena arena;
    struct anon_answer answer;
    arena_init(&arena, PAGE_MEMORY);
    bool ok = anon_query(d->anon, d->prefix, "/studies", "{\"limit\":\"1\"}", &arena, deadline_us, &answer, err);
    bool good = ok && (answer.json != NULL || answer.status == 204);
    arena_done(&arena);
    return ok && (good || blame_question(d, f, err));
}

static int by_sop(const void *a, const void *b)
{
    return str_cmp(((const struct instance *)a)->sop, ((const struct instance *)b)->sop);
}

static struct instance *find_instance(const struct study *s, struct str sop)
{
    const struct instance key = { .sop = sop };
    return bsearch(&key, s->instances, s->n, sizeof key, by_sop);
}

static bool is_delivered(const void *study, struct str sop)
{
    return find_instance(study, sop) != NULL;
}

/* Notes one listed instance; true: it was not known before. */
static bool note(struct study *s, struct str sop)
{
    struct instance *i = find_instance(s, sop);
    if (i == NULL) {
        s->n_foreign++;
        return true;
    }
    bool is_new = !i->is_there;
    s->n_there += is_new;
    i->is_there = true;
    return is_new;
}

/* One page of what the server lists; *n_new of them were not known. */
static bool look_at_page(struct dicomweb *d, const struct far *f, struct study *s, size_t offset, int64_t deadline_us, size_t *n_new,
                         size_t *n_listed, struct pixl_error *err)
{
    char uri[160], query[128];
    struct arena arena;
    struct anon_answer answer;
    (void)snprintf(uri, sizeof uri, "/studies/%s/instances", s->uid);
    (void)snprintf(query, sizeof query, "{\"includefield\":\"00080018\",\"limit\":\"%d\",\"offset\":\"%zu\"}", PAGE, offset);
    arena_init(&arena, PAGE_MEMORY);
    bool ok = anon_query(d->anon, d->prefix, uri, query, &arena, deadline_us, &answer, err);
    *n_new = *n_listed = 0;
    if (ok && (answer.status == 404 || answer.status == 204)) {
        /* Some say so of a study that they do not have; others have no DICOMweb there. */
        ok = answer.status == 204 || greet(d, f, deadline_us, err);
    } else if (ok && answer.json == NULL) {
        ok = blame_question(d, f, err);
    } else if (ok) {
        for (const struct json_node *v = answer.json->first; v != NULL; v = v->next) {
            struct str sop = json_node_text(json_node_item(json_node_member(json_node_member(v, "00080018"), "Value"), 0));
            *n_new += sop.n > 0 && note(s, sop);
            ++*n_listed;
        }
    }
    arena_done(&arena);
    return ok;
}

/* What of the study is at the server. */
static bool look(struct dicomweb *d, const struct far *f, struct study *s, int64_t deadline_us, struct pixl_error *err)
{
    size_t n_new = 1, n_listed = 0;
    s->n_there = s->n_foreign = 0;
    for (size_t i = 0; i < s->n; i++)
        s->instances[i].is_there = false;
    for (size_t offset = 0; n_new > 0 && s->n_foreign == 0; offset += n_listed)
        if (!look_at_page(d, f, s, offset, deadline_us, &n_new, &n_listed, err))
            return false;
    return s->n_foreign == 0 ||
           pixl_fail(err, PIXL_E_EXISTS, 0, "destination: the DICOMweb server has instances of this study that are not among the %zu to be "
                                            "delivered: it was delivered before with others; have it deleted there first", s->n);
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

/* "<study>/<series>/<sop>.dcm" */
static bool take_name(const char *name, const char *study_uid, struct str *sop)
{
    struct str study, series, file, rest = str_of(name);
    if (!str_split(rest, '/', &study, &rest) || !str_split(rest, '/', &series, &file) || !str_eq(study, str_of(study_uid)) || file.n < 5 ||
        memcmp(file.p + file.n - 4, ".dcm", 4) != 0)
        return false;
    *sop = (struct str){ file.p, file.n - 4 };
    return dicom_uid_is_plausible(*sop);
}

static void study_done(struct study *s)
{
    zip_read_close(s->zip);
    free(s->instances);
}
#define study_auto PIXL_CLEANUP(study_done) struct study

static bool corrupt(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_CORRUPT, 0, "file to deliver: it is not what it was when it was made");
}

static bool study_open(const struct upload_study *z, struct study *s, struct pixl_error *err)
{
    uint8_t digest[sizeof z->digest];
    uint64_t size;
    s->uid = z->pseudo_study_uid;
    if (!fs_digest(z->zip_path, digest, &size, err) || !zip_read_open(z->zip_path, &s->zip, err)) {
        if (err->code == PIXL_E_IO || err->code == PIXL_E_NOT_FOUND || err->code == PIXL_E_UNSUPPORTED)
            err->code = PIXL_E_CORRUPT;      /* a spool that cannot be read holds nothing to deliver */
        return pixl_wrap(err, "file to deliver");
    }
    if (size != z->size_bytes || memcmp(digest, z->digest, sizeof digest) != 0)
        return corrupt(err);
    s->n = zip_read_count(s->zip);
    s->instances = calloc(s->n + 1, sizeof *s->instances);
    if (s->instances == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < s->n; i++) {
        s->instances[i].entry = zip_read_entry(s->zip, i);
        if (!take_name(s->instances[i].entry->name, s->uid, &s->instances[i].sop))
            return corrupt(err);
    }
    qsort(s->instances, s->n, sizeof *s->instances, by_sop);
    for (size_t i = 1; i < s->n; i++)
        if (by_sop(&s->instances[i - 1], &s->instances[i]) == 0)
            return corrupt(err);
    return s->n > 0 || corrupt(err);
}

/* Puts what is missing into Orthanc; *ids gets their names there, as JSON. */
static bool fill(struct dicomweb *d, struct study *s, int scratch, int64_t deadline_us, struct buf *ids, struct pixl_error *err)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct instance *x = &s->instances[i];
        char id[ANON_ID_SIZE];
        if (x->is_there)
            continue;
        if (!anon_put_entry(d->anon, s->zip, x->entry, scratch, deadline_us, id, err))
            return false;
        if (!buf_addf(ids, "%s\"%s\"", ids->n ? "," : "", id))
            return fail_memory(err);
    }
    return true;
}

/* Sends what is missing. */
static bool send(struct dicomweb *d, const struct far *f, struct study *s, const char *zip_path, int64_t deadline_us, struct pixl_error *err)
{
    buf_auto ids;
    int scratch = -1, code = 0;
    buf_init(&ids, IDS_MAX);
    if (!anon_put_scratch(zip_path, &scratch, err))
        return false;
    bool ok = fill(d, s, scratch, deadline_us, &ids, err);
    (void)close(scratch);
    /* Filling may have taken long: once more, right before it is needed. */
    ok = ok && enroll(d, f, deadline_us, err) && anon_send(d->anon, d->prefix, buf_str(&ids), deadline_us, &code, err);
    if (!ok || code == 0)
        return ok;
    return ask_directly(d, f, err) &&
           pixl_fail(err, PIXL_E_IO, code, "destination: the DICOMweb server answers, but did not take the study (Orthanc's number for it: %d; its "
                                           "log says more)", code);
}

/* Everything must be listed; a server that lists a little late is given time. */
static bool confirm(struct dicomweb *d, const struct far *f, struct study *s, struct pixl_error *err)
{
    int64_t until_us = clock_mono_us() + SETTLE_S * SECOND;
    for (int wait_ms = 100;; wait_ms *= 2) {
        if (!look(d, f, s, clock_mono_us() + QUERY_S * SECOND, err))
            return false;
        if (s->n_there == s->n)
            return true;
        if (clock_mono_us() + wait_ms * 1000 >= until_us)
            return pixl_fail(err, PIXL_E_IO, 0, "destination: Orthanc anon has sent the study, and of %zu instances the DICOMweb server lists %zu",
                             s->n, s->n_there);
        (void)poll(NULL, 0, wait_ms);
    }
}

/* Secrets that are missing, or not as Orthanc takes them, are no fault of the study that meets them: it waits until they are mended. */
static bool prepare(struct dicomweb *d, struct far *f, int64_t deadline_us, struct pixl_error *err)
{
    if (far_load(d, f, err) && enroll(d, f, deadline_us, err))
        return true;
    if (err->code == PIXL_E_INVALID || err->code == PIXL_E_NOT_FOUND)
        err->code = PIXL_E_UNAVAILABLE;
    return false;
}

static bool dicomweb_study(struct upload *u, const struct upload_study *z, struct pixl_error *err)
{
    struct dicomweb *d = dicomweb_of(u);
    far_auto f = { 0 };
    study_auto s = { 0 };
    int64_t deadline_us = clock_mono_us() + d->settings->dicomweb_timeout_s * SECOND;
    if (!study_open(z, &s, err) || !prepare(d, &f, deadline_us, err) || !look(d, &f, &s, deadline_us, err))
        return false;
    if (s.n_there < s.n && (!send(d, &f, &s, z->zip_path, deadline_us, err) || !confirm(d, &f, &s, err)))
        return false;
    /* It is delivered; what stays in Orthanc is pseudonymous, and goes with the next attempt at this study or by hand. */
    struct pixl_error e = { 0 };
    if (!d->settings->anon_keep)
        (void)!anon_forget(d->anon, s.uid, is_delivered, &s, clock_mono_us() + QUERY_S * SECOND, &e);
    return true;
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static bool dicomweb_check(struct upload *u, struct pixl_error *err)
{
    struct dicomweb *d = dicomweb_of(u);
    far_auto f = { 0 };
    int64_t deadline_us = clock_mono_us() + QUERY_S * SECOND;
    return far_load(d, &f, err) && enroll(d, &f, deadline_us, err) && greet(d, &f, deadline_us, err);
}

static bool dicomweb_check_key(struct upload *u, struct str check_value, struct pixl_error *err)
{
    (void)u;
    (void)check_value;
    (void)err;
    return true;
}

static bool dicomweb_table(struct upload *u, struct str time_slug, const char *path, const char *remote, struct pixl_error *err)
{
    (void)u;
    (void)time_slug;
    (void)path;
    (void)remote;
    return pixl_fail(err, PIXL_E_UNSUPPORTED, 0, "destination: a DICOMweb server takes no tables");
}

static bool dicomweb_withdraw_table(struct upload *u, struct str time_slug, const char *remote, struct pixl_error *err)
{
    return dicomweb_table(u, time_slug, NULL, remote, err);
}

static const char *dicomweb_place(const struct upload *u)
{
    return ((const struct dicomweb *)u)->place;
}

static void dicomweb_close(struct upload *u)
{
    struct dicomweb *d = dicomweb_of(u);
    anon_close(d->anon);
    free(d->place);
    free(d);
}

static bool dicomweb_open(const struct project *p, const struct upload_options *o, struct upload **out, struct pixl_error *err)
{
    static const char format[] = "dicomweb %s--dicomweb--url";
    upload_auto *u = NULL;
    http_client_auto *tried = NULL;
    far_auto f = { 0 };
    struct dicomweb *d = calloc(1, sizeof *d);
    if (d == NULL)
        return fail_memory(err);
    d->base.ops = &upload_dicomweb;
    d->secrets = o->secrets;
    d->settings = o->settings;
    u = &d->base;
    if (p->secrets_prefix.n > PREFIX_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "destination: the names of its secrets are too long");
    (void)snprintf(d->prefix, sizeof d->prefix, "%.*s", STR_ARG(p->secrets_prefix));
    size_t size = sizeof format + p->secrets_prefix.n;
    d->place = malloc(size);
    if (d->place == NULL)
        return fail_memory(err);
    (void)snprintf(d->place, size, format, d->prefix);
    /* What cannot work is told before any study. */
    if (!anon_open(o->settings, &d->anon, err) || !far_load(d, &f, err) || !open_direct(d, &f, &tried, err))
        return false;
    *out = PIXL_STEAL(&u);
    return true;
}

const struct upload_ops upload_dicomweb = {
    .word = PROJECT_TO_DICOMWEB,
    .caps = 0,
    .open = dicomweb_open,
    .place = dicomweb_place,
    .check = dicomweb_check,
    .check_key = dicomweb_check_key,
    .study = dicomweb_study,
    .table = dicomweb_table,
    .withdraw_table = dicomweb_withdraw_table,
    .close = dicomweb_close,
};

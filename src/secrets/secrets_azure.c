/* secrets_azure.c - secrets in an Azure Key Vault, by its REST interface (version 7.4) over TLS.
 *
 *   POST <authority>/<tenant>/oauth2/v2.0/token      client credentials (RFC 6749 4.4) for a token of one hour
 *   GET  <vault>/secrets/<name>?api-version=7.4      the current version
 *   PUT  <vault>/secrets/<name>?api-version=7.4      a new version, which becomes the current one
 *   GET  <vault>/secrets/<name>/versions?...         ids and times of all versions
 *
 * A vault has no "only if it is absent".  Two processes that make the same secret agree by an election under another name:
 * each writes its value as a version of <name>--candidates, waits until the second of its own version is over (times have
 * whole seconds), and lists the versions; the oldest wins, of two in one second the one with the lower id, whoever
 * looks and whenever.  Only the winner's value is then written under <name>, so that no reader ever finds a value that
 * lost.  A process that dies between the two leaves an election that the next one finishes.  The candidates stay: to let a secret
 * be made anew, both names must be deleted (and purged).
 *
 * 429 and 5xx are waited out, as long as the vault asks for, within the deadline of one call.  A 401 is answered with a fresh token,
 * once.  Of what the servers say only numbers and fixed words are looked at; nothing of it reaches an error.  What held a value is wiped;
 * what libcurl and OpenSSL keep of it while it passes is theirs. */
#include "secrets_backend.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/http_client.h"
#include "base/json_tree.h"

#define API    "api-version=7.4"
#define SECOND 1000000

enum {
    CALL_US = 30 * SECOND,               /* one find or create, all repeats included */
    CREATE_US = 45 * SECOND,
    SETTLE_US = 3 * SECOND,              /* more than the second that a version's time is cut to, and clocks that differ a little */
    CONNECT_MS = 10000,
    ANSWER_MAX = 256 * 1024,
    FORM_MAX = 16 * 1024,
    VERSIONS_MAX = 25, PAGES_MAX = 40,   /* of a list; the vault gives no more than 25 at once */
    EARLY_US = 300 * SECOND,             /* a token is renewed so long before it ends */
};

static const char candidates[] = "--candidates";

struct azure {
    struct secrets base;
    char *place;                         /* "Azure Key Vault https://host", for a person; owned, as the texts below */
    char *tenant, *client_id, *resource;
    struct secret client_secret, token;
    int64_t token_until_us;              /* mono */
    struct http_client *vault, *authority;
};

static struct azure *azure_of(struct secrets *s)
{
    assert(s->ops == &secrets_azure);
    return (struct azure *)s;
}

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "secrets");
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

struct reply {
    struct http_answer http;
    struct arena arena;
    const struct json_node *json;        /* in the arena; NULL: not JSON */
};

static bool reply_init(struct reply *r, struct pixl_error *err)
{
    *r = (struct reply){ 0 };
    arena_init(&r->arena, 16 * ANSWER_MAX);
    return sealed_init(&r->http.body, ANSWER_MAX) || fail_memory(err);
}

static void reply_done(struct reply *r)
{
    arena_wipe(&r->arena);
    sealed_done(&r->http.body);
}
#define reply_auto PIXL_CLEANUP(reply_done) struct reply

/* *r gets the answer of one request; its JSON is read whatever the status. */
static bool exchange(struct http_client *c, const struct http_request *q, struct reply *r, struct pixl_error *err)
{
    struct pixl_error e = { 0 };
    r->json = NULL;
    arena_wipe(&r->arena);
    if (!http_client_do(c, q, &r->http, err)) {
        if (err->code == PIXL_E_DENIED)
            return pixl_wrap(err, "PIXL_AZURE_CA_FILE names the CAs to trust, where the system's do not do");
        return false;
    }
    if (json_tree_read(&r->arena, buf_str(&r->http.body), 8, 1000, &r->json, &e) || e.code != PIXL_E_NOMEM)
        return true;
    return fail_memory(err);
}

/* The word in {"error": {"code": ...}}, or of the error within. */
static bool says(const struct reply *r, const char *word)
{
    const struct json_node *e = json_node_member(r->json, "error");
    return str_eq(json_node_text(json_node_member(e, "code")), str_of(word)) ||
           str_eq(json_node_text(json_node_member(json_node_member(e, "innererror"), "code")), str_of(word));
}

static bool is_busy(int status)
{
    return status == 408 || status == 429 || (status >= 500 && status <= 504);
}

/* Waits as long as the server asked for, else 1 s, 2 s, 4 s ...; not beyond the deadline. */
static bool wait_busy(const struct http_client *c, const struct http_answer *a, unsigned n, int64_t deadline_us, struct pixl_error *err)
{
    int64_t wait_s = a->retry_after_s >= 0 ? a->retry_after_s : (int64_t)1 << (n < 5 ? n : 5);
    if (wait_s > CREATE_US / SECOND || clock_mono_us() + wait_s * SECOND >= deadline_us)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, a->status, "%s: is too busy or out of order (HTTP %d)", http_client_place(c), a->status);
    (void)poll(NULL, 0, (int)(wait_s * 1000));
    return true;
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

static bool add_field(struct buf *b, const char *name, struct str value)
{
    static const char hex[] = "0123456789ABCDEF";
    (void)buf_addf(b, "%s%s=", b->n ? "&" : "", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        const char coded[] = { '%', hex[c >> 4], hex[c & 15] };
        (void)(plain ? buf_add_char(b, (char)c) : buf_add(b, coded, sizeof coded));
    }
    return !b->failed;
}

/* What the numbers of Microsoft's sign-in service mean for whoever set pixl up. */
static const struct { int64_t code; const char *text; } refusals[] = {
    { 7000215, "the client secret is wrong; AZURE_CLIENT_SECRET must be its value, not its ID" },
    { 7000222, "the client secret has expired; make a new one and set AZURE_CLIENT_SECRET" },
    { 7000216, "a client secret is wanted; set AZURE_CLIENT_SECRET" },
    { 7000112, "the application is disabled in its directory" },
    { 700016, "there is no such application in the directory; look at AZURE_CLIENT_ID and AZURE_TENANT_ID" },
    { 90002, "there is no such directory; look at AZURE_TENANT_ID" },
    { 900023, "AZURE_TENANT_ID is no directory's ID" },
    { 500011, "the directory does not know Key Vault under the vault's cloud; look at AZURE_AUTHORITY_HOST and PIXL_SECRETS_URL" },
    { 53003, "a conditional access policy forbids it from here" },
};

static bool fail_token(const struct azure *z, const struct reply *r, struct pixl_error *err)
{
    const struct json_node *first = json_node_item(json_node_member(r->json, "error_codes"), 0);
    const char *place = http_client_place(z->authority);
    int status = r->http.status;
    if (!json_node_is(first, JSON_NODE_INTEGER))
        return pixl_fail(err, PIXL_E_UNAVAILABLE, status,
                         "%s: gives no token (HTTP %d); is AZURE_AUTHORITY_HOST right, does a proxy answer?", place, status);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (refusals[i].code == first->integer)
            return pixl_fail(err, PIXL_E_DENIED, status, "%s: gives no token: %s (AADSTS%lld)", place, refusals[i].text,
                             (long long)first->integer);
    return pixl_fail(err, PIXL_E_DENIED, status, "%s: gives no token (AADSTS%lld, HTTP %d); Microsoft explains the number", place,
                     (long long)first->integer, status);
}

static bool take_token(struct azure *z, const struct reply *r, struct pixl_error *err)
{
    struct str token = json_node_text(json_node_member(r->json, "access_token"));
    const struct json_node *life = json_node_member(r->json, "expires_in");
    if (r->http.status != 200)
        return fail_token(z, r, err);
    if (token.n == 0 || !json_node_is(life, JSON_NODE_INTEGER) || life->integer <= 0)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 200, "%s: answers, but with no token; is AZURE_AUTHORITY_HOST right?",
                         http_client_place(z->authority));
    int64_t life_us = (life->integer < 86400 ? life->integer : 86400) * SECOND;
    secret_done(&z->token);
    if (!secret_set(&z->token, token, err))
        return false;
    z->token_until_us = clock_mono_us() + life_us - (life_us / 4 < EARLY_US ? life_us / 4 : EARLY_US);
    return true;
}

static bool ensure_token(struct azure *z, int64_t deadline_us, struct pixl_error *err)
{
    char path[512];
    if (z->token.n > 0 && clock_mono_us() < z->token_until_us)
        return true;
    sealed_auto form;
    reply_auto r;
    bool ok = reply_init(&r, err);
    if (!sealed_init(&form, FORM_MAX) && ok)
        return fail_memory(err);
    if (!ok)
        return false;
    char scope[300];
    (void)snprintf(scope, sizeof scope, "%s/.default", z->resource);
    (void)snprintf(path, sizeof path, "/%s/oauth2/v2.0/token", z->tenant);
    if (!add_field(&form, "client_id", str_of(z->client_id)) || !add_field(&form, "client_secret", secret_reveal(&z->client_secret)) ||
        !add_field(&form, "scope", str_of(scope)) || !add_field(&form, "grant_type", STR("client_credentials")))
        return pixl_fail(err, PIXL_E_INVALID, 0, "AZURE_CLIENT_SECRET is too long");
    struct http_request q = HTTP_REQUEST_NONE;
    q.method = HTTP_POST;
    q.path = path;
    q.content_type = "application/x-www-form-urlencoded";
    q.body = buf_str(&form);
    q.deadline_us = deadline_us;
    q.answer_max = ANSWER_MAX;
    for (unsigned n = 0;; n++) {
        if (!exchange(z->authority, &q, &r, err))
            return false;
        if (!is_busy(r.http.status))
            return take_token(z, &r, err);
        if (!wait_busy(z->authority, &r.http, n, deadline_us, err))
            return false;
    }
}

/* --- the vault ---------------------------------------------------------------------------------------------------- */

/* One request with a token, repeated as the top of this file says; any other status is an answer. */
static bool ask(struct azure *z, enum http_method method, const char *path, struct str body, int64_t deadline_us, struct reply *r,
                struct pixl_error *err)
{
    struct http_request q = HTTP_REQUEST_NONE;
    q.method = method;
    q.path = path;
    q.body = body;
    q.content_type = body.n ? "application/json" : NULL;
    q.deadline_us = deadline_us;
    q.answer_max = ANSWER_MAX;
    bool renewed = false;
    for (unsigned n = 0;; n++) {
        if (!ensure_token(z, deadline_us, err))
            return false;
        q.bearer = &z->token;
        if (!exchange(z->vault, &q, r, err))
            return false;
        if (r->http.status == 401 && !renewed) {
            renewed = true;
            secret_done(&z->token);
        } else if (!is_busy(r->http.status)) {
            return true;
        } else if (!wait_busy(z->vault, &r->http, n, deadline_us, err)) {
            return false;
        }
    }
}

/* Why the vault did not do it. */
static bool fail_vault(const struct azure *z, const struct reply *r, struct str name, const char *right, struct pixl_error *err)
{
    const char *place = http_client_place(z->vault);
    int status = r->http.status;
    if (status == 401)
        return pixl_fail(err, PIXL_E_DENIED, status, "%s: does not take the token (HTTP 401); %s", place,
                         strstr(r->http.challenge, z->tenant) ? "is it of another cloud?" : "is the vault in the directory AZURE_TENANT_ID?");
    if (says(r, "SecretDisabled"))
        return pixl_fail(err, PIXL_E_DENIED, status, "%s: secret %.*s is disabled", place, STR_ARG(name));
    if (says(r, "ForbiddenByFirewall") || says(r, "ForbiddenByConnection"))
        return pixl_fail(err, PIXL_E_DENIED, status, "%s: its firewall forbids it from here", place);
    if (status == 403)
        return pixl_fail(err, PIXL_E_DENIED, status, "%s: pixl's application (AZURE_CLIENT_ID) may not %s; give it the role for that", place,
                         right);
    if (status == 409)
        return pixl_fail(err, PIXL_E_DENIED, status, "%s: a deleted secret %.*s still holds the name; recover or purge it", place,
                         STR_ARG(name));
    return pixl_fail(err, PIXL_E_UNAVAILABLE, status, "%s: does not answer as a Key Vault does (HTTP %d); is PIXL_SECRETS_URL right?", place,
                     status);
}

/* One version, or with version "" the current one. */
static bool get_version(struct azure *z, struct str name, struct str version, int64_t deadline_us, bool *got, struct secret *out,
                        struct pixl_error *err)
{
    char path[400];
    (void)snprintf(path, sizeof path, "/secrets/%.*s%s%.*s?" API, STR_ARG(name), version.n ? "/" : "", STR_ARG(version));
    reply_auto r;
    if (!reply_init(&r, err) || !ask(z, HTTP_GET, path, (struct str){ 0 }, deadline_us, &r, err))
        return false;
    const struct json_node *value = json_node_member(r.json, "value");
    if (r.http.status == 404 && says(&r, "SecretNotFound")) {
        *got = false;
        return true;
    }
    if (r.http.status != 200 || r.json == NULL || (value != NULL && json_node_text(value).n > SECRETS_VALUE_MAX))
        return r.http.status == 200 && r.json != NULL
                   ? pixl_fail(err, PIXL_E_LIMIT, 0, "secret %.*s is longer than %d bytes", STR_ARG(name), SECRETS_VALUE_MAX)
                   : fail_vault(z, &r, name, "read secrets (Key Vault Secrets User)", err);
    if (!secret_set(out, json_node_text(value), err))
        return false;
    *got = true;
    return true;
}

static bool azure_find(struct secrets *s, struct str name, bool *got, struct secret *out, struct pixl_error *err)
{
    return get_version(azure_of(s), name, (struct str){ 0 }, clock_mono_us() + CALL_US, got, out, err);
}

static bool put(struct azure *z, struct str name, struct str value, int64_t deadline_us, struct pixl_error *err)
{
    char path[400];
    sealed_auto body;
    reply_auto r;
    bool ok = reply_init(&r, err);
    if (!sealed_init(&body, 8 * SECRETS_VALUE_MAX) && ok)
        return fail_memory(err);
    if (!ok)
        return false;
    if (!str_is_utf8(value))
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s: a vault keeps text in UTF-8 only", STR_ARG(name));
    (void)snprintf(path, sizeof path, "/secrets/%.*s?" API, STR_ARG(name));
    if (!buf_add_cstr(&body, "{\"contentType\":\"made by pixl\",\"value\":") || !json_add_text(&body, value) || !buf_add_char(&body, '}'))
        return pixl_fail(err, PIXL_E_LIMIT, 0, "secret %.*s is too long", STR_ARG(name));
    return ask(z, HTTP_PUT, path, buf_str(&body), deadline_us, &r, err) &&
           (r.http.status == 200 || fail_vault(z, &r, name, "write and list secrets (Key Vault Secrets Officer)", err));
}

/* --- the election ------------------------------------------------------------------------------------------------- */

struct winner {
    int64_t created_s;                   /* INT64_MAX: none yet */
    char id[64];
};

/* The last part of an id: ".../secrets/<name>/<version>". */
static struct str version_of(struct str id)
{
    const char *slash = id.n ? memrchr(id.p, '/', id.n) : NULL;
    struct str v = slash ? (struct str){ slash + 1, (size_t)(id.p + id.n - slash - 1) } : (struct str){ 0 };
    return secrets_is_name(v) && v.n < sizeof((struct winner *)0)->id ? v : (struct str){ 0 };
}

/* false: an entry is not understood. */
static bool judge(const struct json_node *list, struct winner *w)
{
    for (const struct json_node *v = list->first; v != NULL; v = v->next) {
        const struct json_node *about = json_node_member(v, "attributes"), *created = json_node_member(about, "created"),
                               *enabled = json_node_member(about, "enabled");
        struct str id = version_of(json_node_text(json_node_member(v, "id")));
        if (id.n == 0 || !json_node_is(created, JSON_NODE_INTEGER))
            return false;
        if (json_node_is(enabled, JSON_NODE_BOOL) && enabled->integer == 0)
            continue;                    /* somebody took it out of the election */
        if (created->integer > w->created_s || (created->integer == w->created_s && str_cmp(id, str_of(w->id)) >= 0))
            continue;
        w->created_s = created->integer;
        (void)snprintf(w->id, sizeof w->id, "%.*s", STR_ARG(id));
    }
    return true;
}

/* The path and query of a link to the next page, which must lead to the same vault. */
static bool next_page(const struct azure *z, const struct reply *r, char path[1024])
{
    struct str link = json_node_text(json_node_member(r->json, "nextLink")), host = str_of(http_client_place(z->vault));
    path[0] = '\0';
    if (link.n == 0)
        return true;
    if (!str_is_prefix(link, host))
        return false;
    link = (struct str){ link.p + host.n, link.n - host.n };
    if (str_is_prefix(link, STR(":443/")))       /* as Azure writes it */
        link = (struct str){ link.p + 4, link.n - 4 };
    for (size_t i = 0; i < link.n; i++)
        if ((unsigned char)link.p[i] <= ' ' || (unsigned char)link.p[i] >= 0x7F)
            return false;
    if (link.n >= 1024 || !str_is_prefix(link, STR("/secrets/")))
        return false;
    memcpy(path, link.p, link.n);
    path[link.n] = '\0';
    return true;
}

static bool elect(struct azure *z, struct str name, int64_t deadline_us, struct winner *w, struct pixl_error *err)
{
    char path[1024];
    *w = (struct winner){ .created_s = INT64_MAX };
    (void)snprintf(path, sizeof path, "/secrets/%.*s/versions?" API "&maxresults=%d", STR_ARG(name), VERSIONS_MAX);
    for (unsigned page = 0; path[0] != '\0'; page++) {
        reply_auto r;
        if (!reply_init(&r, err) || !ask(z, HTTP_GET, path, (struct str){ 0 }, deadline_us, &r, err))
            return false;
        const struct json_node *list = json_node_member(r.json, "value");
        if (r.http.status != 200 || !json_node_is(list, JSON_NODE_LIST))
            return fail_vault(z, &r, name, "write and list secrets (Key Vault Secrets Officer)", err);
        if (page == PAGES_MAX || !judge(list, w) || !next_page(z, &r, path))
            return pixl_fail(err, PIXL_E_CORRUPT, 0, "%s: the versions of %.*s are not listed as a Key Vault does", http_client_place(z->vault),
                             STR_ARG(name));
    }
    return w->created_s != INT64_MAX || pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "%s: a version of %.*s was written and is not listed",
                                                  http_client_place(z->vault), STR_ARG(name));
}

static bool azure_create(struct secrets *s, struct str name, struct str value, struct secret *out, struct pixl_error *err)
{
    struct azure *z = azure_of(s);
    int64_t deadline_us = clock_mono_us() + CREATE_US;
    char text[SECRETS_NAME_MAX + sizeof candidates];
    (void)snprintf(text, sizeof text, "%.*s%s", STR_ARG(name), candidates);
    struct str election = str_of(text), none = { 0 };
    if (election.n > SECRETS_NAME_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secret %.*s: a name to be made has %zu characters at most", STR_ARG(name),
                         SECRETS_NAME_MAX - sizeof candidates + 1);
    bool there = false, got = false;
    struct winner w;
    secret_auto chosen = { 0 };
    if (!get_version(z, name, none, deadline_us, &there, out, err) || there)
        return there;
    if (!put(z, election, value, deadline_us, err))
        return false;
    (void)poll(NULL, 0, SETTLE_US / 1000);
    if (!elect(z, election, deadline_us, &w, err) || !get_version(z, election, str_of(w.id), deadline_us, &got, &chosen, err))
        return false;
    if (!got)
        return pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "%s: a listed version of %s is not there", http_client_place(z->vault), text);
    /* Another may have ended the election, or somebody set the secret by hand meanwhile. */
    if (!get_version(z, name, none, deadline_us, &there, out, err) || there)
        return there;
    if (!put(z, name, secret_reveal(&chosen), deadline_us, err) || !get_version(z, name, none, deadline_us, &there, out, err))
        return false;
    return there || pixl_fail(err, PIXL_E_UNAVAILABLE, 0, "%s: secret %.*s was written and is not there", http_client_place(z->vault),
                            STR_ARG(name));
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static const char *azure_place(const struct secrets *s)
{
    assert(s->ops == &secrets_azure);
    return ((const struct azure *)s)->place;
}

static void azure_close(struct secrets *s)
{
    struct azure *z = azure_of(s);
    http_client_close(z->vault);
    http_client_close(z->authority);
    secret_done(&z->client_secret);
    secret_done(&z->token);
    free(z->place);
    free(z->tenant);
    free(z->client_id);
    free(z->resource);
    free(z);
}

static void azure_freep(struct azure **z)
{
    if (*z != NULL)
        azure_close(&(*z)->base);
}

static bool is_word(const char *text, const char *beside)
{
    for (const char *p = text; *p != '\0'; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')) && strchr(beside, *p) == NULL)
            return false;
    return *text != '\0' && strlen(text) <= 255;
}

/* In the order in which the older system asked for them. */
static bool check_login(const struct settings *set, struct pixl_error *err)
{
    const struct { const char *name, *value; } wanted[] = {
        { "AZURE_CLIENT_ID", set->azure_client_id },
        { "AZURE_CLIENT_SECRET", set->azure_client_secret },
        { "AZURE_TENANT_ID", set->azure_tenant_id },
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (wanted[i].value == NULL || wanted[i].value[0] == '\0')
            return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: %s is not set", wanted[i].name);
    if (!is_word(set->azure_client_id, "-"))
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: AZURE_CLIENT_ID holds more than letters, digits and '-'");
    if (!is_word(set->azure_tenant_id, "-."))
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: AZURE_TENANT_ID is neither an ID nor a domain");
    return true;
}

/* *url: the vault's address, malloc.  rest: "", a vault's name, or https://... */
static bool find_vault(const char *rest, const struct settings *set, char **url, struct pixl_error *err)
{
    const char *name = *rest != '\0' ? rest : set->azure_vault_name;
    char text[128];
    if (name == NULL || *name == '\0')
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: AZURE_KEY_VAULT_NAME is not set, and PIXL_SECRETS_URL names no vault");
    if (strncmp(name, "https://", 8) == 0) {
        *url = secrets_join(name, "");
        return *url != NULL || fail_memory(err);
    }
    if (!is_word(name, "-") || strlen(name) < 3 || strlen(name) > 24)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: a vault is named by 3 to 24 letters, digits and '-', or by https://...");
    (void)snprintf(text, sizeof text, "https://%s.vault.azure.net", name);
    *url = secrets_join(text, "");
    return *url != NULL || fail_memory(err);
}

static bool open_clients(struct azure *z, const char *url, const struct settings *set, struct pixl_error *err)
{
    struct http_client_options o = { .url = url, .ca_file = set->azure_ca_file, .connect_ms = CONNECT_MS };
    if (!http_client_open(&o, &z->vault, err))
        return pixl_wrap(err, "PIXL_SECRETS_URL, PIXL_AZURE_CA_FILE");
    if (strncmp(set->azure_authority_host, "https://", 8) != 0)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: AZURE_AUTHORITY_HOST must begin with https://");
    o.url = set->azure_authority_host;
    return http_client_open(&o, &z->authority, err) || pixl_wrap(err, "AZURE_AUTHORITY_HOST");
}

static bool azure_open(const char *rest, const struct settings *set, struct secrets **out, struct pixl_error *err)
{
    PIXL_CLEANUP(azure_freep) struct azure *z = NULL;
    char *url = NULL;
    if (set == NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "secrets in Azure: there are no settings to sign in with");
    if (!check_login(set, err) || !find_vault(rest, set, &url, err))
        return false;
    z = calloc(1, sizeof *z);
    bool ok = z != NULL || fail_memory(err);
    if (ok)
        z->base.ops = &secrets_azure;
    ok = ok && open_clients(z, url, set, err);
    free(url);
    if (!ok)
        return false;
    /* Tokens are for the vaults of one cloud: vault.azure.net, vault.azure.cn, vault.usgovcloudapi.net. */
    const char *cloud = strstr(http_client_place(z->vault), ".vault.");
    z->resource = secrets_join("https://", cloud ? cloud + 1 : "vault.azure.net");
    z->place = secrets_join("Azure Key Vault ", http_client_place(z->vault));
    z->tenant = secrets_join(set->azure_tenant_id, "");
    z->client_id = secrets_join(set->azure_client_id, "");
    if (z->resource == NULL || z->place == NULL || z->tenant == NULL || z->client_id == NULL)
        return fail_memory(err);
    if (!secret_set(&z->client_secret, str_of(set->azure_client_secret), err))
        return false;
    z->base.keep_us = set->secrets_cache_s * SECOND;
    *out = &PIXL_STEAL(&z)->base;
    return true;
}

const struct secrets_ops secrets_azure = {
    .scheme = "azure",
    .caps = SECRETS_CAP_CREATE,
    .open = azure_open,
    .find = azure_find,
    .create = azure_create,
    .place = azure_place,
    .close = azure_close,
};

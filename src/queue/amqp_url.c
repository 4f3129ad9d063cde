#include "amqp_url.h"

#include <string.h>

static bool refuse(const char *what, struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_INVALID, 0, "queue URL: %s", what);
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes %XX into out, with a NUL; no control characters, as no part of the URL needs one. */
static bool decode(struct str s, char *out, size_t max, const char *what, struct pixl_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.p[i];
        if (c == '%') {
            int high = s.n - i > 2 ? hex(s.p[i + 1]) : -1, low = s.n - i > 2 ? hex(s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return pixl_fail(err, PIXL_E_INVALID, 0, "queue URL: %s: a %% without two hexadecimal digits", what);
            c = high * 16 + low;
            i += 2;
        }
        if (c < ' ' || c == 0x7F)
            return pixl_fail(err, PIXL_E_INVALID, 0, "queue URL: %s: has a control character", what);
        if (n == max)
            return pixl_fail(err, PIXL_E_INVALID, 0, "queue URL: %s: longer than %zu bytes", what, max);
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return true;
}

static bool parse_user(struct str info, struct amqp_url *out, struct pixl_error *err)
{
    struct str user, password;
    bool has_password = str_split(info, ':', &user, &password);
    if (memchr(info.p, '@', info.n) || memchr(password.n ? password.p : "", ':', password.n))
        return refuse("write @ in the user or password as %40, : as %3A", err);
    if (!decode(user, out->user, AMQP_URL_NAME_MAX, "user", err))
        return false;
    if (user.n == 0)
        return refuse("the user is empty", err);
    char text[AMQP_URL_PASSWORD_MAX + 1] = "";
    bool ok = decode(password, text, AMQP_URL_PASSWORD_MAX, "password", err);
    if (ok) {
        secret_done(&out->password);
        ok = secret_set(&out->password, has_password ? str_of(text) : (struct str){ 0 }, err);
    }
    explicit_bzero(text, sizeof text);
    return ok;
}

static bool parse_port(struct str text, struct amqp_url *out, struct pixl_error *err)
{
    uint64_t port;
    if (!str_to_u64(text, &port) || port < 1 || port > 65535)
        return refuse("the port is no number from 1 to 65535", err);
    out->port = (unsigned)port;
    return true;
}

/* HOST[:PORT], where HOST may be an IPv6 address in brackets. */
static bool parse_host(struct str s, struct amqp_url *out, struct pixl_error *err)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char address[] = "abcdefABCDEF0123456789:.";
    struct str host, rest = { 0 };
    bool has_port, is_ipv6 = s.n > 0 && s.p[0] == '[';
    if (is_ipv6) {
        if (!str_split((struct str){ s.p + 1, s.n - 1 }, ']', &host, &rest) || (rest.n > 0 && rest.p[0] != ':'))
            return refuse("an IPv6 address is written [ADDRESS]", err);
        has_port = rest.n > 0;
        rest = has_port ? (struct str){ rest.p + 1, rest.n - 1 } : rest;
    } else {
        has_port = str_split(s, ':', &host, &rest);
    }
    if (host.n == 0 || host.n > AMQP_URL_HOST_MAX)
        return refuse("the host is missing or too long", err);
    for (size_t i = 0; i < host.n; i++)
        if (strchr(is_ipv6 ? address : name, host.p[i]) == NULL || host.p[i] == '\0')
            return refuse("the host has a character that no host name has", err);
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    return !has_port || parse_port(rest, out, err);
}

static bool parse_number(struct str value, uint64_t min, uint64_t max, const char *what, unsigned *out,
                         struct pixl_error *err)
{
    uint64_t n;
    if (!str_to_u64(value, &n) || n < min || n > max)
        return refuse(what, err);
    *out = (unsigned)n;
    return true;
}

static bool parse_parameter(struct str name, struct str value, unsigned *seen, struct amqp_url *out,
                            struct pixl_error *err)
{
    enum { HEARTBEAT = 1, TIMEOUT = 2, CA = 4 };
    unsigned one = str_eq(name, STR("heartbeat")) ? HEARTBEAT : str_eq(name, STR("connection_timeout")) ? TIMEOUT
                 : str_eq(name, STR("cacertfile")) ? CA : 0;
    if (one == 0)
        return refuse("an unknown parameter; known are heartbeat, connection_timeout, cacertfile", err);
    if (*seen & one)
        return refuse("a parameter is there twice", err);
    *seen |= one;
    if (one == HEARTBEAT)
        return parse_number(value, 1, 3600, "heartbeat is no number from 1 to 3600", &out->heartbeat_s, err);
    if (one == TIMEOUT)
        return parse_number(value, 100, 600000, "connection_timeout is no number from 100 to 600000", &out->timeout_ms,
                            err);
    if (!out->tls || value.n == 0)
        return refuse(value.n ? "cacertfile is for amqps" : "cacertfile is empty", err);
    return decode(value, out->ca_file, AMQP_URL_PATH_MAX, "cacertfile", err);
}

static bool parse_parameters(struct str query, struct amqp_url *out, struct pixl_error *err)
{
    unsigned seen = 0;
    struct str one, name, value;
    for (bool more = query.n > 0; more;) {
        more = str_split(query, '&', &one, &query);
        (void)str_split(one, '=', &name, &value);
        if (!parse_parameter(name, value, &seen, out, err))
            return false;
    }
    return true;
}

/* What follows the host's slash.  "amqp://h" and "amqp://h/" are vhost "/", as the reference's consumer has it. */
static bool parse_vhost(struct str path, struct amqp_url *out, struct pixl_error *err)
{
    if (path.n > 0 && memchr(path.p, '/', path.n))
        return refuse("write / in the vhost as %2f", err);
    return path.n == 0 || decode(path, out->vhost, AMQP_URL_NAME_MAX, "vhost", err);
}

bool amqp_url_parse(struct str url, struct amqp_url *out, struct pixl_error *err)
{
    struct str scheme, rest, query, authority, path, user, host;
    (void)str_split(url, ':', &scheme, &rest);
    out->tls = str_eq_nocase(scheme, STR("amqps"));
    if ((!out->tls && !str_eq_nocase(scheme, STR("amqp"))) || !str_is_prefix(rest, STR("//")))
        return refuse("must begin with amqp:// or amqps://", err);
    if (memchr(url.p, '#', url.n))
        return refuse("write # as %23", err);
    rest = (struct str){ rest.p + 2, rest.n - 2 };
    (void)str_split(rest, '?', &rest, &query);
    (void)str_split(rest, '/', &authority, &path);
    out->port = out->tls ? 5671 : 5672;
    out->heartbeat_s = 30;
    out->timeout_ms = 10000;
    memcpy(out->user, "guest", sizeof "guest");
    memcpy(out->vhost, "/", sizeof "/");
    if (!secret_set(&out->password, STR("guest"), err))
        return false;
    const char *at = authority.n ? memrchr(authority.p, '@', authority.n) : NULL;
    if (at != NULL) {
        user = (struct str){ authority.p, (size_t)(at - authority.p) };
        host = (struct str){ at + 1, authority.n - user.n - 1 };
        if (!parse_user(user, out, err))
            return false;
    } else {
        host = authority;
    }
    return parse_host(host, out, err) && parse_vhost(path, out, err) && parse_parameters(query, out, err);
}

void amqp_url_done(struct amqp_url *u)
{
    secret_done(&u->password);
}

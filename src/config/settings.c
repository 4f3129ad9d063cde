#include "settings.h"

#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "env_sources.h"
#include "nearest.h"
#include "problems.h"

enum {
    TEXT_BYTES_MAX = 4096,
    ARENA_BYTES_MAX = 4 * 1024 * 1024,
    SCRATCH_BYTES_MAX = 16 * 1024 * 1024,
};

struct settings_shown {
    struct str text;
    const char *source;
};

#define TEXT(n, field, def, flags_, h) \
    { .name = n, .type = SETTINGS_TEXT, .offset = offsetof(struct settings, field), .default_text = def, .unit = "", \
      .flags = flags_, .help = h }
#define INT(n, field, def, lo, hi, u, h) \
    { .name = n, .type = SETTINGS_INT, .offset = offsetof(struct settings, field), .default_text = def, .min = lo, \
      .max = hi, .unit = u, .help = h }
#define WINDOWS(n, field, def, h)                                                                             \
    {                                                                                                         \
        .name = n, .type = SETTINGS_WINDOWS, .offset = offsetof(struct settings, field), .default_text = def, \
        .unit = "", .help = h                                                                                 \
    }

/* PIXL_STATE_DIR is first: later values may name it. */
const struct settings_option settings_options[] = {
    TEXT("PIXL_STATE_DIR", state_dir, "./.pixl", 0,
         "Folder of everything that pixl keeps between runs: store, secrets, spool."),
    TEXT("PIXL_STORE_URL", store_url, "sqlite:$PIXL_STATE_DIR/pixl.db", 0,
         "Where the state of every study is kept: sqlite:/path/to/file, or"
         " postgresql://user:password@host:5432/database?sslmode=verify-full."),
    TEXT("PIXL_QUEUE_URL", queue_url, "none:", 0,
         "Broker of the hints that workers follow: none: (they look into the store), "
         "amqp://user:password@host:5672/vhost or"
         " amqps://..., which need a PostgreSQL store."),
    TEXT("PIXL_QUEUE_NAME", queue_name, "imaging", 0, "Queue of the studies that are due."),
    TEXT("PIXL_QUEUE_NAME_SECONDARY", queue_secondary, "imaging-secondary", 0,
         "Queue of the studies that the secondary archive is asked for."),
    INT("PIXL_QUEUE_PER_PRIORITY", queue_per_priority, "0", 0, 1, "",
        "1: five queues NAME.p1 to NAME.p5 instead of one with priorities, as quorum queues have none."),
    TEXT("PIXL_MESSAGE_FORMAT", message_format, "json", 0,
         "Form of the messages that pixl writes: json, or jsonpickle for the Python system; both are read."),
    INT("PIXL_SWEEP_S", sweep_s, "300", 1, 86400, "s",
        "A study that is still due so long after its message, with the queue empty, gets another."),
    TEXT("PIXL_ARCHIVE_URL", archive_url, NULL, 0,
         "Where the identifiable studies come from: directory:/path/to/dicom, or an Orthanc before the hospital's"
         " archive: orthanc+http://user:password@host:8042, orthanc+https://..."),
    TEXT("PIXL_SECONDARY_ARCHIVE_URL", secondary_archive_url, NULL, 0,
         "A second archive, which is asked for studies that the first one does not have."),
    TEXT("PRIMARY_DICOM_SOURCE_MODALITY", archive_modality, NULL, 0,
         "The archive's name among the DicomModalities of that Orthanc; not set: VNAQR_MODALITY, else UCPRIMARYQR."),
    TEXT("VNAQR_MODALITY", vnaqr_modality, NULL, 0, "Older name of PRIMARY_DICOM_SOURCE_MODALITY."),
    TEXT("SECONDARY_DICOM_SOURCE_MODALITY", secondary_modality, NULL, 0,
         "The second archive's name there, UCSECONDARYQR when not set; it alone makes another archive of the same "
         "Orthanc."),
    TEXT("ORTHANC_RAW_AE_TITLE", orthanc_raw_aet, NULL, 0,
         "AE title to which the archive sends (C-MOVE); not set: what that Orthanc calls itself."),
    TEXT("ORTHANC_RAW_URL", orthanc_raw_url, NULL, 0,
         "Older way to name that Orthanc, http://host:8042, where PIXL_ARCHIVE_URL is not set."),
    TEXT("ORTHANC_RAW_USERNAME", orthanc_raw_user, NULL, 0, "User of that Orthanc, where the URL names none."),
    TEXT("ORTHANC_RAW_PASSWORD", orthanc_raw_password, NULL, SETTINGS_SECRET, "The user's password."),
    TEXT("PIXL_ARCHIVE_CA", archive_ca, NULL, 0,
         "File of the only CA certificates (PEM) to trust for that Orthanc; not set: the system's."),
    INT("PIXL_DICOM_TRANSFER_TIMEOUT", transfer_timeout_s, "240", 1, 86400, "s",
        "Bringing a study from the archive may take so long; then that transfer is cancelled and tried again."),
    INT("PIXL_QUERY_TIMEOUT", query_timeout_s, "10", 1, 3600, "s", "A query (C-FIND) to the archive may take so long."),
    INT("PIXL_ARCHIVE_TRANSFERS", archive_transfers, "5", 1, 100, "",
        "Studies brought from the archive at the same time; the limit of jobs in Orthanc should not be lower."),
    INT("PIXL_ARCHIVE_RELEASE", archive_release, "0", 0, 1, "",
        "1: what pixl (with this state folder) brought to that Orthanc is deleted there once it is delivered; 0: it "
        "stays."),
    TEXT("PIXL_SECRETS_URL", secrets_url, "file:$PIXL_STATE_DIR/secrets.env", 0,
         "Where keys and passwords come from: file:/path, env: (PIXL_SECRET_ and the name in capitals), "
         "azure:VAULT-NAME or"
         " azure:https://HOST (Azure Key Vault). With AZURE_KEY_VAULT_NAME the default is azure:."),
    INT("PIXL_SECRETS_CACHE_S", secrets_cache_s, "600", 0, 86400, "s",
        "A vault is asked again for a secret that was read so long ago."),
    TEXT("AZURE_KEY_VAULT_NAME", azure_vault_name, NULL, 0,
         "Name of the vault, where PIXL_SECRETS_URL says only azure:."),
    TEXT("AZURE_TENANT_ID", azure_tenant_id, NULL, 0,
         "Directory (tenant) in which pixl is registered as an application."),
    TEXT("AZURE_CLIENT_ID", azure_client_id, NULL, 0, "Application (client) ID of pixl in that directory."),
    TEXT("AZURE_CLIENT_SECRET", azure_client_secret, NULL, SETTINGS_SECRET,
         "Value of that application's client secret."),
    TEXT("AZURE_AUTHORITY_HOST", azure_authority_host, "https://login.microsoftonline.com", 0,
         "Where tokens for the vault are asked for; another cloud has another."),
    TEXT("PIXL_AZURE_CA_FILE", azure_ca_file, NULL, 0,
         "CAs (PEM) to trust for the vault and its tokens, in the place of the system's."),
    TEXT("PROJECT_CONFIGS_DIR", project_configs_dir, "./projects/configs", 0,
         "Folder of the project files, <slug>.yaml."),
    TEXT("HOST_EXPORT_ROOT_DIR", export_root_dir, "./projects/exports", 0,
         "Folder in which each project's exported tables are laid down."),
    TEXT("LOCAL_SALT_VALUE", local_salt, "", SETTINGS_SECRET,
         "Appended to each project's salt when identifiers are hashed."),
    TEXT("AZURE_KEY_VAULT_SECRET_NAME", hash_key_name, "hash--key", 0,
         "Name of the secret that holds the hashing key."),
    TEXT("TMPDIR", temp_dir, "$PIXL_STATE_DIR/tmp", 0, "Folder for temporary files of the table engine."),
    INT("PIXL_WORKERS", workers, "0", 0, 256, "threads",
        "Studies worked on at the same time; 0: two per processor core."),
    INT("PIXL_MAX_ATTEMPTS", max_attempts, "5", 1, 100, "",
        "Attempts at one study before it has failed; an archive that is down does not count."),
    INT("PIXL_LEASE_S", lease_s, "120", 10, 86400, "s",
        "A claim on a study that was not renewed for so long is given to another worker."),
    INT("PIXL_PATIENCE_S", patience_s, "600", 0, 604800, "s",
        "A run gives up (exit 75) when nothing could be done for so long."),
    INT("PIXL_DEFLATE_LEVEL", deflate_level, "1", 0, 12, "",
        "Compression of images in the zip, 12 the smallest; 0: stored."),
    INT("PIXL_SPOOL_MAX", spool_max_mib, "0", 0, 1e9, "MiB",
        "De-identified studies waiting for delivery may take so much disk; 0: no limit."),
    INT("PIXL_SPOOL_KEEP", spool_keep_s, "0", 0, 31536000, "s",
        "Delivered studies stay in the spool for so long, as <name>.delivered.zip."),
    INT("PIXL_DELIVERIES", deliveries, "2", 1, 64, "", "Deliveries to one destination at the same time."),
    INT("PIXL_MAX_MESSAGES_IN_FLIGHT", in_flight, "100", 1, 1000, "",
        "Studies that may wait for a remote archive at the same time; PIXL_WORKERS says how many are de-identified."),
    INT("PIXL_STOP_S", stop_s, "25", 0, 3600, "s",
        "A service that is told to stop may finish what it has in hand for so long; then it gives it back."),
    INT("PIXL_MAX_STUDY_GIB", max_study_gib, "64", 1, 65536, "GiB", "A larger study fails as too large."),
    INT("PIXL_FTPS_TIMEOUT_S", ftps_timeout_s, "60", 1, 3600, "s",
        "A server of an ftps destination that does nothing for so long is away."),
    TEXT("RABBITMQ_HOST", rabbit_host, NULL, 0,
         "Older way to name the broker: stands for PIXL_QUEUE_URL where that is not set."),
    INT("RABBITMQ_PORT", rabbit_port, "5672", 1, 65535, "", "Port of that server."),
    TEXT("RABBITMQ_USERNAME", rabbit_user, "guest", 0, "User that pixl is there."),
    TEXT("RABBITMQ_PASSWORD", rabbit_password, "guest", SETTINGS_SECRET, "Password of that user."),
    TEXT("PIXL_DB_HOST", db_host, NULL, 0,
         "Older way to name a PostgreSQL store: stands, with PIXL_DB_NAME, for PIXL_STORE_URL where that is not set."),
    INT("PIXL_DB_PORT", db_port, "5432", 1, 65535, "", "Port of that server."),
    TEXT("PIXL_DB_NAME", db_name, NULL, 0, "Database on that server."),
    TEXT("PIXL_DB_USER", db_user, NULL, 0, "User that pixl is there."),
    TEXT("PIXL_DB_PASSWORD", db_password, NULL, SETTINGS_SECRET, "Password of that user."),
    TEXT("CLI_PIXL_DB_HOST", cli_db_host, NULL, 0,
         "The host as seen from where commands run; goes before PIXL_DB_HOST."),
    INT("CLI_PIXL_DB_PORT", cli_db_port, "5432", 1, 65535, "", "Port that goes with CLI_PIXL_DB_HOST."),
    TEXT("PIXL_API_LISTEN", api_listen, "127.0.0.1", 0,
         "Address on which the APIs listen; beyond this machine (0.0.0.0) they want PIXL_API_TOKEN."),
    TEXT("PIXL_API_TOKEN", api_token, "", SETTINGS_SECRET,
         "What a client of the APIs says as Authorization: Bearer; 16 characters or more."),
    INT("PIXL_IMAGING_API_PORT", imaging_api_port, "7007", 1, 65535, "", "Port of the imaging API."),
    INT("PIXL_EXPORT_API_PORT", export_api_port, "7006", 1, 65535, "", "Port of the export API."),
    TEXT("PIXL_IMAGING_API_HOST", imaging_api_host, NULL, 0,
         "Where commands find the imaging API; without it they set rates in the store."),
    TEXT("PIXL_EXPORT_API_HOST", export_api_host, NULL, 0,
         "Where commands find the export API; without it they export by themselves."),
    { .name = "PIXL_IMAGING_API_RATE",
      .type = SETTINGS_DOUBLE,
      .offset = offsetof(struct settings, start_rate_per_s),
      .default_text = "1",
      .min = 0,
      .max = 10000,
      .unit = "studies/s",
      .help = "Rate that start and populate set when none is given." },
    INT("PIXL_REFRESH_S", refresh_s, "60", 1, 86400, "s",
        "How often the imaging API looks for new files in an archive that is a folder."),
    INT("CLI_RETRY_SECONDS", retry_pause_s, "300", 0, 86400, "s",
        "How long populate --num-retries waits before it takes failed studies back to work."),
    TEXT("ORTHANC_ANON_URL", anon_url, NULL, 0,
         "Orthanc with the DICOMweb plugin through which images go to a dicomweb destination, http[s]://host:8042;"
         " studies that others put there are delivered by POST /export-dicom-from-orthanc."),
    TEXT("ORTHANC_ANON_USERNAME", anon_user, NULL, 0, "User of that Orthanc."),
    TEXT("ORTHANC_ANON_PASSWORD", anon_password, NULL, SETTINGS_SECRET, "That user's password."),
    TEXT("PIXL_ANON_CA_FILE", anon_ca_file, NULL, 0, "CAs (PEM) to trust for it, in the place of the system's."),
    INT("PIXL_ANON_VIEW", anon_view, "0", 0, 1, "",
        "1: studies that are delivered elsewhere, or kept, are put into that Orthanc too, for people to look at."),
    INT("PIXL_ANON_KEEP", anon_keep, "0", 0, 1, "",
        "1: delivered studies stay in that Orthanc; 0: they are deleted there."),
    TEXT("PIXL_DICOMWEB_CA_FILE", dicomweb_ca_file, NULL, 0,
         "CAs (PEM) to trust when a DICOMweb server is asked directly why it does not work, in the place of the "
         "system's."),
    INT("PIXL_DICOMWEB_TIMEOUT_S", dicomweb_timeout_s, "600", 10, 86400, "s",
        "A study must be at its DICOMweb server, or an instance have come from Orthanc anon, after so long; then the"
        " transfer is cancelled and tried again."),
    { .name = "PIXL_RATE",
      .type = SETTINGS_DOUBLE,
      .offset = offsetof(struct settings, rate_per_s),
      .min = 0,
      .max = 10000,
      .unit = "studies/s",
      .help = "Studies asked of the archive per second; 0: stopped." },
    WINDOWS("PIXL_PRIMARY_WINDOWS", primary_windows, NULL,
            "Hours in which the archive may be asked, like mon-fri 20:00-24:00,00:00-08:00 @2.5 (studies/s at most);"
            " several separated by ';'; not set: always."),
    WINDOWS("PIXL_SECONDARY_WINDOWS", secondary_windows, "mon-fri 00:00-08:00,20:00:01-24:00",
            "The same for the secondary archive."),
    TEXT("TZ", time_zone, NULL, 0, "Time zone of these hours, like Europe/London; not set: the system's."),
    { .name = "LOG_LEVEL",
      .type = SETTINGS_LEVEL,
      .offset = offsetof(struct settings, log_level),
      .default_text = "info",
      .unit = "",
      .help = "Least severe event that is logged: debug, info, warn, error or off." },
};
const size_t settings_options_count = ARRAY_LEN(settings_options);

/* Names that an installation of the older system or another part of pixl sets in the same environment: no
 * business of this table, and no spelling mistake.  One that ends in '_' stands for all that begin with it. */
static const char *const known_elsewhere[] = {
    "PIXL_DUCKDB_LIB", "PIXL_EXPORT_API_RATE", "PIXL_ROOT", "PIXL_SECRET_",
};

static struct str name_of(const char *pair)
{
    struct str name, value;
    (void)str_split(str_of(pair), '=', &name, &value);
    return name;
}

static struct str name_of_override(const char *text)
{
    char place[ENV_PLACE_SIZE];
    return name_of(env_split_override(text, place));
}

static bool is_option(struct str name)
{
    for (size_t i = 0; i < settings_options_count; i++)
        if (str_eq(name, str_of(settings_options[i].name)))
            return true;
    return false;
}

static bool is_known_elsewhere(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(known_elsewhere); i++) {
        struct str known = str_of(known_elsewhere[i]);
        if (known.p[known.n - 1] == '_' ? str_is_prefix(name, known) && name.n > known.n : str_eq(name, known))
            return true;
    }
    return false;
}

static bool fail_unknown(struct str name, const char *place, struct pixl_error *err)
{
    struct nearest near = nearest_to(name);
    for (size_t i = 0; i < settings_options_count; i++)
        nearest_offer(&near, settings_options[i].name);
    for (size_t i = 0; i < ARRAY_LEN(known_elsewhere); i++)
        if (known_elsewhere[i][strlen(known_elsewhere[i]) - 1] != '_')
            nearest_offer(&near, known_elsewhere[i]);
    return pixl_fail(err, PIXL_E_INVALID, 0, "%s: unknown setting %s%s", place, problem_show(name).text,
                     nearest_hint(&near).text);
}

/* The environment is shared with other programs: only names that claim to be ours are held to be ours. */
static bool check_name(struct str name, const char *place, struct pixl_error *err)
{
    if (!str_is_prefix(name, STR("PIXL_")) || is_option(name) || is_known_elsewhere(name))
        return true;
    return fail_unknown(name, place, err);
}

static bool check_override(const char *const *overrides, size_t i, struct pixl_error *err)
{
    char place[ENV_PLACE_SIZE];
    const char *pair = env_split_override(overrides[i], place);
    struct str name = name_of(pair);
    if (strchr(pair, '=') == NULL || !is_option(name))
        return fail_unknown(name, place, err);
    for (size_t j = 0; j < i; j++)
        if (str_eq(name_of_override(overrides[j]), name))
            return pixl_fail(err, PIXL_E_INVALID, 0, "command line: %s is given twice", problem_show(name).text);
    return true;
}

static bool check_names(const struct env_sources *src, struct problems *wrong, struct pixl_error *err)
{
    for (size_t i = 0; src->env != NULL && src->env[i] != NULL; i++)
        if (!check_name(name_of(src->env[i]), "environment", err) && !problem_take(wrong, err))
            return false;
    for (size_t i = 0; i < src->n_dotenv; i++) {
        char place[ENV_PLACE_SIZE];
        (void)snprintf(place, sizeof place, "%s:%d", src->dotenv_name, src->dotenv[i].line);
        if (!check_name(str_of(src->dotenv[i].name), place, err) && !problem_take(wrong, err))
            return false;
    }
    for (size_t i = 0; src->overrides != NULL && src->overrides[i] != NULL; i++)
        if (!check_override(src->overrides, i, err) && !problem_take(wrong, err))
            return false;
    return true;
}

static bool fail_nomem(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "settings: out of memory");
}

/* An option by which a setting was given is what its user knows: ".env:3: PIXL_RATE", but "--rate". */
struct where {
    char text[ENV_PLACE_SIZE + 64];
};
static struct where where_of(const char *place, const struct settings_option *o)
{
    struct where w;
    const bool is_option_named = place[0] == '-';
    (void)snprintf(w.text, sizeof w.text, "%s%s%s", place, is_option_named ? "" : ": ", is_option_named ? "" : o->name);
    return w;
}

/* Appends value with the state folder in the place of its name. */
static bool expand(struct buf *b, const char *value, const char *state_dir)
{
    static const char braced[] = "${PIXL_STATE_DIR}", bare[] = "$PIXL_STATE_DIR";
    while (*value != '\0') {
        size_t n = 0;
        if (strncmp(value, braced, sizeof braced - 1) == 0)
            n = sizeof braced - 1;
        else if (strncmp(value, bare, sizeof bare - 1) == 0 && !isalnum((unsigned char)value[sizeof bare - 1]) &&
                 value[sizeof bare - 1] != '_')
            n = sizeof bare - 1;
        if (n > 0)
            (void)buf_add_cstr(b, state_dir);
        else
            (void)buf_add_char(b, *value);
        value += n > 0 ? n : 1;
    }
    return !b->failed;
}

static bool take_text(struct settings *s, const struct settings_option *o, const char *value, const char *place,
                      struct pixl_error *err)
{
    const char **field = (const char **)(void *)((char *)s + o->offset);
    if (strlen(value) > TEXT_BYTES_MAX)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s is longer than %d bytes", where_of(place, o).text, TEXT_BYTES_MAX);
    for (const char *p = value; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return pixl_fail(err, PIXL_E_INVALID, 0, "%s holds a control character", where_of(place, o).text);
    if (o->flags & SETTINGS_SECRET || strstr(value, "PIXL_STATE_DIR") == NULL) {
        *field = arena_cstr(&s->arena_, value);
        return *field != NULL || fail_nomem(err);
    }
    if (s->state_dir == NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s cannot name itself", where_of(place, o).text);
    buf_auto b;
    buf_init(&b, 2 * TEXT_BYTES_MAX);
    if (!expand(&b, value, s->state_dir)) {
        if (b.max - b.n > strlen(s->state_dir))         /* it would have fitted */
            return fail_nomem(err);
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s is too long with PIXL_STATE_DIR put in", where_of(place, o).text);
    }
    *field = arena_cstr(&s->arena_, buf_cstr(&b));
    return *field != NULL || fail_nomem(err);
}

static bool take_number(struct settings *s, const struct settings_option *o, const char *value, const char *place,
                        struct pixl_error *err)
{
    char *field = (char *)s + o->offset;
    struct str text = str_trim(str_of(value));
    const char *kind = o->type == SETTINGS_INT ? "whole number" : "number";
    int64_t whole = 0;
    double v = 0;
    if (o->type == SETTINGS_INT) {
        if (str_to_i64(text, &whole) && (double)whole >= o->min && (double)whole <= o->max) {
            *(int64_t *)(void *)field = whole;
            return true;
        }
    } else if (str_to_double(text, &v) && v >= o->min && v <= o->max) {
        *(double *)(void *)field = v + 0.0;         /* -0 becomes 0 */
        return true;
    }
    return pixl_fail(err, PIXL_E_INVALID, 0, "%s: '%s' is no %s from %.0f to %.0f%s%s", where_of(place, o).text,
                     problem_show(text).text, kind, o->min, o->max, o->unit[0] ? " " : "", o->unit);
}

static bool take_windows(struct settings *s, const struct settings_option *o, const char *value, const char *place,
                         struct pixl_error *err)
{
    struct windows *field = (struct windows *)(void *)((char *)s + o->offset);
    if (!windows_parse(str_trim(str_of(value)), field, err))
        return pixl_wrap(err, "%s", where_of(place, o).text);
    field->text = arena_cstr(&s->arena_, value);
    return field->text != NULL || fail_nomem(err);
}

static bool take_value(struct settings *s, const struct settings_option *o, const char *value, const char *place,
                       struct pixl_error *err)
{
    if (value == NULL) {
        if (o->type == SETTINGS_DOUBLE)
            *(double *)(void *)((char *)s + o->offset) = -1;
        return true;
    }
    switch (o->type) {
    case SETTINGS_TEXT:
        return take_text(s, o, value, place, err);
    case SETTINGS_INT: case SETTINGS_DOUBLE:
        return take_number(s, o, value, place, err);
    case SETTINGS_WINDOWS: return take_windows(s, o, value, place, err);
    case SETTINGS_LEVEL:
        if (log_level_parse(str_trim(str_of(value)), (enum log_level *)(void *)((char *)s + o->offset)))
            return true;
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: '%s' is none of debug, info, warn, error, off",
                         where_of(place, o).text, problem_show(str_of(value)).text);
    }
    return pixl_fail(err, PIXL_E_INTERNAL, 0, "%s: a setting without a type", o->name);
}

/* ---- showing ---- */

static bool is_secret_key(struct str key)
{
    static const char *const parts[] = { "pass", "pw", "secret", "token", "key", "sig", "credential" };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        for (size_t at = 0, n = strlen(parts[i]); at + n <= key.n; at++)
            if (str_eq_nocase((struct str){ key.p + at, n }, str_of(parts[i])))
                return true;
    return false;
}

/* ?key=value&...: the values of keys that sound like secrets become ***. */
static void add_query(struct buf *b, struct str query)
{
    bool more = true;
    while (more) {
        struct str pair, key, value;
        more = str_split(query, '&', &pair, &query);
        bool has_value = str_split(pair, '=', &key, &value);
        (void)buf_add_str(b, key);
        if (has_value)
            (void)buf_addf(b, "=%.*s", STR_ARG(is_secret_key(key) ? STR("***") : value));
        if (more)
            (void)buf_add_char(b, '&');
    }
}

/* scheme://user:***@host/path; a user alone may be a token and goes too.  The last '@' ends the user part, so
 * that a password with an unescaped '/' or '@' is hidden whole. */
static bool add_masked(struct buf *b, struct str value)
{
    const char *scheme_end = value.n >= 3 ? memmem(value.p, value.n, "://", 3) : NULL;
    if (scheme_end == NULL)
        return buf_add_str(b, value);
    size_t host = (size_t)(scheme_end - value.p) + 3;
    const char *at = memrchr(value.p + host, '@', value.n - host);
    (void)buf_add(b, value.p, host);
    struct str rest = { value.p + host, value.n - host };
    if (at != NULL) {
        struct str user, password, whole = { value.p + host, (size_t)(at - value.p) - host };
        if (str_split(whole, ':', &user, &password))
            (void)buf_addf(b, "%.*s:***@", STR_ARG(user));
        else
            (void)buf_add_cstr(b, "***@");
        rest = (struct str){ at + 1, value.n - (size_t)(at + 1 - value.p) };
    }
    struct str path, query;
    bool has_query = str_split(rest, '?', &path, &query);
    (void)buf_add_str(b, path);
    if (has_query) {
        (void)buf_add_char(b, '?');
        add_query(b, query);
    }
    return !b->failed;
}

static void add_shown(struct buf *b, const struct settings *s, const struct settings_option *o)
{
    static const char *const levels[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error", [LOG_OFF] = "off",
    };
    const void *field = (const char *)s + o->offset;
    switch (o->type) {
    case SETTINGS_TEXT: {
        struct str value = str_of(*(const char *const *)field);
        if (o->flags & SETTINGS_SECRET)
            (void)buf_add_cstr(b, value.n ? "***" : "");
        else
            (void)add_masked(b, value);
        break;
    }
    case SETTINGS_INT:
        (void)buf_addf(b, "%lld", (long long)*(const int64_t *)field);
        break;
    case SETTINGS_DOUBLE:
        if (*(const double *)field >= 0)
            (void)buf_addf(b, "%.10g", *(const double *)field);
        break;
    case SETTINGS_WINDOWS: (void)buf_add_str(b, str_of(((const struct windows *)field)->text)); break;
    case SETTINGS_LEVEL:
        (void)buf_add_cstr(b, levels[*(const enum log_level *)field]);
        break;
    }
}

static bool make_shown(struct settings *s, const struct settings_option *o, const char *place,
                       struct settings_shown *out, struct pixl_error *err)
{
    buf_auto b;
    buf_init(&b, 4 * TEXT_BYTES_MAX);
    add_shown(&b, s, o);
    out->text = arena_str(&s->arena_, buf_str(&b));
    out->source = arena_cstr(&s->arena_, place);
    return (!b.failed && out->text.p != NULL && out->source != NULL) || fail_nomem(err);
}

/* The name of a vault alone stands for its URL; *place is then the name's. */
static const char *older_secrets_url(const struct env_sources *src, char place[ENV_PLACE_SIZE])
{
    return env_find(src, "AZURE_KEY_VAULT_NAME", place) != NULL ? "azure:" : NULL;
}

/* A mistake that was told leaves the default, so that it is told once. */
static bool take_or_tell(struct settings *s, const struct settings_option *o, const char *value, const char *place,
                         struct problems *wrong, struct pixl_error *err)
{
    return take_value(s, o, value, place, err) ||
           (problem_take(wrong, err) && take_value(s, o, o->default_text, "default", err));
}

static bool take_all(struct settings *s, const struct env_sources *src, struct problems *wrong, struct pixl_error *err)
{
    struct settings_shown *shown = arena_calloc(&s->arena_, settings_options_count, sizeof *shown);
    if (shown == NULL)
        return fail_nomem(err);
    s->shown_ = shown;
    for (size_t i = 0; i < settings_options_count; i++) {
        const struct settings_option *o = &settings_options[i];
        char place[ENV_PLACE_SIZE] = "default";
        const char *value = env_find(src, o->name, place);
        if (value == NULL && o->offset == offsetof(struct settings, secrets_url))
            value = older_secrets_url(src, place);
        value = value != NULL ? value : o->default_text;
        if (!take_or_tell(s, o, value, place, wrong, err) || !make_shown(s, o, place, &shown[i], err))
            return false;
    }
    return true;
}

/* ---- older variables, which stand for addresses ---- */

static size_t option_named(const char *name)
{
    size_t i = 0;
    while (strcmp(settings_options[i].name, name) != 0)
        i++;
    return i;
}

/* Percent-encoded, but for what RFC 3986 (2.3) leaves unreserved. */
static void add_encoded(struct buf *b, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
        if (isalnum(*p) || strchr("-._~", *p) != NULL)
            (void)buf_add_char(b, (char)*p);
        else
            (void)buf_addf(b, "%%%02X", *p);
}

struct older {
    const char *option, *host_option; /* what it stands for; whose source is told */
    const char *scheme, *host, *user, *password, *path;
    int64_t port;
};

/* An IPv6 address goes in brackets. */
static bool take_older(struct settings *s, const struct older *o, struct pixl_error *err)
{
    size_t i = option_named(o->option);
    const char *source = s->shown_[option_named(o->host_option)].source;
    char place[ENV_PLACE_SIZE + 32];
    buf_auto b;
    buf_init(&b, 4 * TEXT_BYTES_MAX);
    (void)buf_addf(&b, "%s://", o->scheme);
    if (o->user != NULL)
        add_encoded(&b, o->user);
    if (o->password != NULL) {
        (void)buf_add_char(&b, ':');
        add_encoded(&b, o->password);
    }
    bool is_ipv6 = strchr(o->host, ':') != NULL && o->host[0] != '[';
    (void)buf_addf(&b, "%s%s%s%s:%lld/", o->user != NULL ? "@" : "", is_ipv6 ? "[" : "", o->host, is_ipv6 ? "]" : "",
                   (long long)o->port);
    add_encoded(&b, o->path);
    (void)snprintf(place, sizeof place, "%s, %s", o->host_option, source);
    const char **field = (const char **)(void *)((char *)s + settings_options[i].offset);
    *field = arena_cstr(&s->arena_, buf_cstr(&b));
    bool ok = !b.failed && *field != NULL && make_shown(s, &settings_options[i], place, &s->shown_[i], err);
    explicit_bzero(b.p, b.n);
    return ok || err->code != PIXL_OK || fail_nomem(err);
}

static bool is_default(const struct settings *s, const char *option)
{
    return str_eq(str_of(s->shown_[option_named(option)].source), STR("default"));
}

static bool take_older_ones(struct settings *s, struct pixl_error *err)
{
    bool from_cli = s->cli_db_host != NULL;
    const struct older broker = { "PIXL_QUEUE_URL", "RABBITMQ_HOST",    "amqp", s->rabbit_host,
                                  s->rabbit_user,   s->rabbit_password, "/",    s->rabbit_port };
    const struct older database = { .option = "PIXL_STORE_URL",
                                    .host_option = from_cli ? "CLI_PIXL_DB_HOST" : "PIXL_DB_HOST",
                                    .scheme = "postgresql",
                                    .host = from_cli ? s->cli_db_host : s->db_host,
                                    .user = s->db_user,
                                    .password = s->db_password,
                                    .path = s->db_name,
                                    .port = from_cli ? s->cli_db_port : s->db_port };
    if (broker.host != NULL && is_default(s, "PIXL_QUEUE_URL") && !take_older(s, &broker, err))
        return false;
    if (database.host == NULL || !is_default(s, "PIXL_STORE_URL"))
        return true;
    if (database.path == NULL)
        return pixl_fail(err, PIXL_E_INVALID, 0, "%s: %s needs PIXL_DB_NAME",
                         s->shown_[option_named(database.host_option)].source, database.host_option);
    return take_older(s, &database, err);
}

static bool check_format(const struct settings *s, struct pixl_error *err)
{
    struct str value = str_of(s->message_format);
    return str_eq(value, STR("json")) || str_eq(value, STR("jsonpickle")) ||
           pixl_fail(err, PIXL_E_INVALID, 0, "%s: PIXL_MESSAGE_FORMAT: '%s' is neither json nor jsonpickle",
                     s->shown_[option_named("PIXL_MESSAGE_FORMAT")].source, problem_show(value).text);
}

static bool load(const char *const *env, const char *dotenv_path, const char *const *overrides, struct problems *wrong,
                 struct settings *out, struct pixl_error *err)
{
    struct settings s = { 0 };
    struct env_sources src = { .env = env, .overrides = overrides };
    struct arena scratch;           /* passwords of others may stand in .env: only what is ours outlives this call */
    arena_init(&scratch, SCRATCH_BYTES_MAX);
    arena_init(&s.arena_, ARENA_BYTES_MAX);
    bool ok = env_read_dotenv(&scratch, dotenv_path, wrong, &src, err) && check_names(&src, wrong, err) &&
              take_all(&s, &src, wrong, err) && (wrong == NULL || problems_none(wrong, err)) &&
              take_older_ones(&s, err) && check_format(&s, err);
    arena_done(&scratch);
    if (ok)
        *out = s;
    else
        arena_done(&s.arena_);
    return ok;
}

bool settings_load(const char *const *env, const char *dotenv_path, const char *const *overrides, struct settings *out,
                   struct pixl_error *err)
{
    return load(env, dotenv_path, overrides, NULL, out, err);
}

bool settings_load_all(const char *const *env, const char *dotenv_path, const char *const *overrides,
                       struct problems *wrong, struct settings *out, struct pixl_error *err)
{
    return load(env, dotenv_path, overrides, wrong, out, err);
}

void settings_done(struct settings *s)
{
    if (s->arena_.max_bytes != 0)
        arena_done(&s->arena_);
    *s = (struct settings){ 0 };
}

struct str settings_show(const struct settings *s, size_t option, const char **source)
{
    assert(option < settings_options_count && s->shown_ != NULL);
    if (source != NULL)
        *source = s->shown_[option].source;
    return s->shown_[option].text;
}

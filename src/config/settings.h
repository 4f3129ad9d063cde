/* settings.h - everything that is set from outside, in one table: environment, .env file, command line.
 *
 * Precedence: command line, environment, .env in the working folder, default; and for addresses the URL before the older
 * variables that it stands for.  An empty value counts as not set.  Unknown PIXL_* names and values that cannot be read are errors that name the
 * place (".env:12" or "environment") and the nearest known name; nothing is silently ignored.
 * Owns: the values (an arena inside).  Never: read from a distance; the rest of pixl gets `const struct settings *`.
 * Threads: immutable after settings_load(). */
#ifndef PIXL_CONFIG_SETTINGS_H
#define PIXL_CONFIG_SETTINGS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "config/windows.h"

struct problems;

struct settings {
    const char *state_dir;            /* PIXL_STATE_DIR, ./.pixl; made with mode 0700 by whoever needs it */
    const char *store_url;            /* PIXL_STORE_URL, sqlite:$PIXL_STATE_DIR/pixl.db; else made of PIXL_DB_* */
    const char *queue_url;            /* PIXL_QUEUE_URL, "none:"; else made of RABBITMQ_* where RABBITMQ_HOST is set */
    const char *queue_name,
        *queue_secondary;             /* PIXL_QUEUE_NAME, imaging; PIXL_QUEUE_NAME_SECONDARY, imaging-secondary */
    int64_t queue_per_priority;       /* PIXL_QUEUE_PER_PRIORITY, 0 or 1 */
    const char *message_format;       /* PIXL_MESSAGE_FORMAT: json, jsonpickle */
    int64_t sweep_s;                  /* PIXL_SWEEP_S, 300, 1..86400 */
    const char *archive_url;          /* PIXL_ARCHIVE_URL; NULL: none */
    const char *orthanc_raw_url;      /* ORTHANC_RAW_URL: where archive_url is not set; NULL: none; the same below */
    const char *orthanc_raw_user;     /* ORTHANC_RAW_USERNAME */
    const char *orthanc_raw_password; /* ORTHANC_RAW_PASSWORD (secret) */
    const char *archive_modality;     /* PRIMARY_DICOM_SOURCE_MODALITY: NULL; then vnaqr_modality, then UCPRIMARYQR */
    const char *vnaqr_modality;       /* VNAQR_MODALITY, of older installations: NULL */
    const char *secondary_modality;   /* SECONDARY_DICOM_SOURCE_MODALITY: NULL; then UCSECONDARYQR */
    const char *orthanc_raw_aet;      /* ORTHANC_RAW_AE_TITLE; NULL: what Orthanc calls itself */
    const char *archive_ca;           /* PIXL_ARCHIVE_CA; NULL: the system's */
    int64_t transfer_timeout_s;       /* PIXL_DICOM_TRANSFER_TIMEOUT, 240, 1..86400 */
    int64_t query_timeout_s;          /* PIXL_QUERY_TIMEOUT, 10, 1..3600 */
    int64_t archive_transfers;        /* PIXL_ARCHIVE_TRANSFERS, 5, 1..100: at once */
    int64_t archive_release;          /* PIXL_ARCHIVE_RELEASE, 0: 1 deletes from Orthanc raw what pixl brought there */
    const char *secrets_url;          /* PIXL_SECRETS_URL, file:$PIXL_STATE_DIR/secrets.env; azure: when AZURE_KEY_VAULT_NAME is set */
    int64_t secrets_cache_s;          /* PIXL_SECRETS_CACHE_S, 600, 0..86400: a vault's secret is asked for again after so long */
    const char *azure_vault_name;     /* AZURE_KEY_VAULT_NAME; NULL: none; the same below */
    const char *azure_tenant_id;      /* AZURE_TENANT_ID */
    const char *azure_client_id;      /* AZURE_CLIENT_ID */
    const char *azure_client_secret;  /* AZURE_CLIENT_SECRET (secret) */
    const char *azure_authority_host; /* AZURE_AUTHORITY_HOST, https://login.microsoftonline.com */
    const char *azure_ca_file;        /* PIXL_AZURE_CA_FILE */
    const char *secondary_archive_url;        /* PIXL_SECONDARY_ARCHIVE_URL; NULL: none */
    const char *project_configs_dir;  /* PROJECT_CONFIGS_DIR, ./projects/configs */
    const char *export_root_dir;      /* HOST_EXPORT_ROOT_DIR, ./projects/exports */
    const char *local_salt;           /* LOCAL_SALT_VALUE, "": appended to each project's salt (secret: shown as ***) */
    const char *hash_key_name;        /* AZURE_KEY_VAULT_SECRET_NAME, hash--key: the secret that holds the hashing key */
    const char *temp_dir;             /* TMPDIR, else $PIXL_STATE_DIR/tmp: where DuckDB spills */
    int64_t workers;                  /* PIXL_WORKERS, 0: two per core, 1..256 */
    int64_t max_attempts;             /* PIXL_MAX_ATTEMPTS, 5, 1..100 */
    int64_t lease_s;                  /* PIXL_LEASE_S, 120, 10..86400: a claim not renewed for so long is another's */
    int64_t patience_s;               /* PIXL_PATIENCE_S, 600, 0..604800: `run` gives up (exit 75) when nothing could be done for so long */
    int64_t deflate_level;            /* PIXL_DEFLATE_LEVEL, 1, 0..12; 0: store */
    int64_t spool_max_mib;            /* PIXL_SPOOL_MAX, MiB, 0: no limit */
    int64_t spool_keep_s;             /* PIXL_SPOOL_KEEP, 0, 0..31536000: delivered zips stay in the spool for so long */
    int64_t deliveries;               /* PIXL_DELIVERIES, 2, 1..64: at once to one destination */
    int64_t in_flight;                /* PIXL_MAX_MESSAGES_IN_FLIGHT, 100, 1..1000: studies asked of a remote archive at once */
    int64_t stop_s;                   /* PIXL_STOP_S, 25, 0..3600: what a service may still finish when it is told to stop */
    int64_t max_study_gib;            /* PIXL_MAX_STUDY_GIB, 64: a larger study fails as too-large */
    int64_t ftps_timeout_s; /* PIXL_FTPS_TIMEOUT_S, 60, 1..3600: silence after which an ftps server counts as away */
    struct windows primary_windows, secondary_windows; /* PIXL_PRIMARY_WINDOWS, PIXL_SECONDARY_WINDOWS */
    const char *time_zone;                             /* TZ; NULL: the system's */
    const char *api_listen;           /* PIXL_API_LISTEN, 127.0.0.1 */
    const char *api_token;            /* PIXL_API_TOKEN, "": none (secret) */
    int64_t imaging_api_port;         /* PIXL_IMAGING_API_PORT, 7007 */
    int64_t export_api_port;          /* PIXL_EXPORT_API_PORT, 7006 */
    const char *imaging_api_host;     /* PIXL_IMAGING_API_HOST; NULL: commands use the store */
    const char *export_api_host;      /* PIXL_EXPORT_API_HOST; NULL: commands export by themselves */
    double start_rate_per_s;          /* PIXL_IMAGING_API_RATE, 1 */
    int64_t refresh_s;                /* PIXL_REFRESH_S, 60, 1..86400 */
    int64_t retry_pause_s;            /* CLI_RETRY_SECONDS, 300 */
    const char *anon_url;             /* ORTHANC_ANON_URL; NULL: none; the same below */
    const char *anon_user;            /* ORTHANC_ANON_USERNAME */
    const char *anon_password;        /* ORTHANC_ANON_PASSWORD (secret) */
    const char *anon_ca_file;         /* PIXL_ANON_CA_FILE */
    int64_t anon_view;                /* PIXL_ANON_VIEW, 0; 1: what goes elsewhere is put into Orthanc anon too */
    int64_t anon_keep;                /* PIXL_ANON_KEEP, 0; 1: delivered studies stay in Orthanc anon */
    const char *dicomweb_ca_file;     /* PIXL_DICOMWEB_CA_FILE */
    int64_t dicomweb_timeout_s;       /* PIXL_DICOMWEB_TIMEOUT_S, 600, 10..86400 */
    double rate_per_s;                /* PIXL_RATE; negative: not set */
    enum log_level log_level;         /* LOG_LEVEL, info */
    /* What older variables say; the URLs above are made of them. */
    const char *rabbit_host, *rabbit_user, *rabbit_password, *db_host, *db_name, *db_user, *db_password, *cli_db_host;
    int64_t rabbit_port, db_port, cli_db_port;
    struct settings_shown *shown_; /* what settings_show() says, in the order of the table */
    struct arena arena_;
};

/* One row per setting: what parses, shows, documents and completes them all. */
enum settings_type { SETTINGS_TEXT, SETTINGS_INT, SETTINGS_DOUBLE, SETTINGS_LEVEL, SETTINGS_WINDOWS };
enum settings_flags { SETTINGS_SECRET = 1u << 0 };
struct settings_option {
    const char *name;                 /* the environment variable */
    enum settings_type type;
    size_t offset;                    /* in struct settings */
    const char *default_text;         /* NULL: none; may hold $PIXL_STATE_DIR */
    double min, max;                  /* for numbers */
    const char *unit;                 /* "", "s", "MiB", "studies/s" */
    unsigned flags;
    const char *help;                 /* one sentence */
};
extern const struct settings_option settings_options[];
extern const size_t settings_options_count;

/* env: the environment (NULL-terminated, "NAME=value"); dotenv_path: a .env file, NULL or absent: none.
 * overrides: "NAME=value" strings from the command line, or "--option NAME=value" where an option stands for the setting,
 * NULL-terminated, may be NULL.
 * *out is zeroed by the caller and freed with settings_done().  Fails: INVALID (with place), IO. */
PIXL_MUST_CHECK bool settings_load(const char *const *env, const char *dotenv_path, const char *const *overrides,
                                   struct settings *out, struct pixl_error *err);
/* The same, and wrong is told of every mistake, whichever comes first; the first is the error. */
PIXL_MUST_CHECK bool settings_load_all(const char *const *env, const char *dotenv_path, const char *const *overrides,
                                       struct problems *wrong, struct settings *out, struct pixl_error *err);
void settings_done(struct settings *s);

/* The text of one value as set ("***" for a secret that is not empty, passwords in URLs masked) and where it came from
 * ("default", "environment", ".env:3", "--rate", "command line"). */
struct str settings_show(const struct settings *s, size_t option, const char **source);

#endif

/* project.h - one research project's rules: <PROJECT_CONFIGS_DIR>/<slug>.yaml and the tag operations it names.
 *
 * Everything is validated when it is loaded, with file:line:column and the nearest valid name: unknown and duplicate keys, types
 * (a YAML 1.1 scalar that is not what it looks like: `no`, `1e3`, `0o12`, an unquoted `none`), ranges, regular
 * expressions, missing files, ops that no VR could take; aliases and nesting are bounded.
 * Owns: all it points to (an arena, the patterns).  Never: looks at an image.
 * Threads: immutable after project_load(). */
#ifndef PIXL_CONFIG_PROJECT_H
#define PIXL_CONFIG_PROJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "config/nearest.h"
#include "config/pattern.h"

/* Operations on one element, reference names.  KEEP and DELETE, the replacing ones, and the keyed hash. */
#define PROJECT_TAG_OPS(X)                                     \
    X(KEEP,                           "keep")                          \
    X(DELETE,                         "delete")                        \
    X(REPLACE,                        "replace")                       \
    X(EMPTY,                          "empty")                         \
    X(REPLACE_UID,                    "replace_UID")                   \
    X(SECURE_HASH,                    "secure-hash")                   \
    X(EMPTY_OR_REPLACE,               "empty_or_replace")              \
    X(DELETE_OR_EMPTY,                "delete_or_empty")               \
    X(DELETE_OR_REPLACE,              "delete_or_replace")             \
    X(DELETE_OR_EMPTY_OR_REPLACE,     "delete_or_empty_or_replace")    \
    X(DELETE_OR_EMPTY_OR_REPLACE_UID, "delete_or_empty_or_replace_UID")
enum project_tag_op {
#define X(symbol, name) PROJECT_OP_##symbol,
    PROJECT_TAG_OPS(X)
#undef X
    PROJECT_OP_COUNT
};
const char *project_tag_op_name(enum project_tag_op op);

struct project_tag_rule {
    uint16_t group, element;
    enum project_tag_op op;
    const char *private_creator;      /* NULL: by literal number; else the block that this creator reserves, element & 0xFF counts */
    const char *name;                 /* may be NULL; documentation only */
    const char *file;                 /* where it stands, for reports: base name of the file and line */
    int line;
};

/* Rules that hold when Manufacturer (0008,0070) matches; applied over the base rules, in order. */
struct project_override {
    struct pattern *manufacturer;
    const char *manufacturer_text;
    const struct project_tag_rule *rules;
    size_t n_rules;
};

struct project_manufacturer {
    struct pattern *pattern;
    const char *text;
    const int64_t *exclude_series_numbers;
    size_t n_exclude;
};

#define PROJECT_DESTINATIONS(X)                       \
    X(NONE,      "none",      true,  true)            \
    X(DIRECTORY, "directory", true,  true)            \
    X(FTPS,      "ftps",      true,  true)            \
    X(DICOMWEB,  "dicomweb",  true,  false)
/* symbol, word, may take DICOM, may take parquet.  The words xnat and tre are refused with a clear text until they come. */
enum project_destination {
#define X(symbol, name, dicom, parquet) PROJECT_TO_##symbol,
    PROJECT_DESTINATIONS(X)
#undef X
    PROJECT_DESTINATION_COUNT
};
const char *project_destination_name(enum project_destination d);

/* destination.ftps; the login is in the secrets <prefix>--ftp--host, --port, --username, --password. */
struct project_ftps {
    bool is_explicit;    /* tls: explicit (AUTH TLS on the control port); else implicit: TLS from the first byte */
    bool allows_tls13;   /* tls_max: tls1.3; else tls1.2, with which a server's wish for one session is met */
    bool trusts_replies; /* verify: reply, for a drop box that shows nothing; else size: looked at before the rename */
    const char *ca_file; /* PEM; only these CAs are trusted; NULL: those of the system */
    int64_t max_connections; /* connections, 4, 1..64 */
};

enum project_on_instance_error {
    PROJECT_ON_ERROR_DEFAULT,         /* unreadable: the study fails; filtered or undecided: delivered without */
    PROJECT_ON_ERROR_FAIL,            /* any skipped instance but a filtered one fails the study */
    PROJECT_ON_ERROR_DELIVER,         /* the rest is delivered */
};

struct project {
    const char *path;                 /* of its YAML file */
    const char *name;                 /* project.name */
    struct str slug;                  /* project.slug or slug(project.name); equals the file's stem */
    struct str secrets_prefix;        /* azure_kv_alias or the slug */
    const char *const *modalities;    size_t n_modalities;        /* exact, case-sensitive; at least one */
    const int *modality_lines;                                    /* of the file, where each stands */
    const char *const *series_filters;
    size_t
        n_series_filters; /* as upper_make() gives them; a series whose description, in capitals too, holds one is left out */
    int64_t min_instances_per_series; /* 2; 0 and 1: no limit */
    const struct project_manufacturer *manufacturers; size_t n_manufacturers;  /* none: nobody is allowed */
    const struct project_tag_rule *base_rules; size_t n_base_rules;  /* of all base files, merged: later files win, first position kept */
    const struct project_override *overrides; size_t n_overrides;    /* of all override files, in order */
    const char *const *deid_recipes;  size_t n_deid_recipes;      /* paths of image operation files: only pixels of ultrasound regions stay */
    enum project_destination dicom_destination, parquet_destination;
    const char *destination_directory;   /* destination.directory: absolute path; NULL: the secret <prefix>--directory--path */
    struct project_ftps ftps;            /* of use where one of the destinations is ftps */
    enum project_on_instance_error on_instance_error;
    bool passes_burned_in; /* burned_in_annotation: deliver; else an image that says YES, or is a picture of a screen
                            * and says nothing, is left out */
    struct project_internal *internal_;
};

/* Is there a file of any project?  Not where a share is not mounted. */
bool project_any(const char *configs_dir);
/* Is there a file of this project? */
bool project_is_there(const char *configs_dir, struct str slug);
/* The nearest of the projects that are there, for whoever mistyped one. */
struct nearest_text project_hint(const char *configs_dir, struct str slug);
/* Loads configs_dir/<slug>.yaml.  Given: project_free().
 * Fails: NOT_FOUND when there is no such file (lists the nearest), INVALID with "file:line:column: text". */
PIXL_MUST_CHECK bool project_load(const char *configs_dir, struct str slug, struct project **out, struct pixl_error *err);
/* The same by path; the file's folder is the configs_dir. */
PIXL_MUST_CHECK bool project_load_file(const char *path, struct project **out, struct pixl_error *err);
void project_free(struct project *p);
PIXL_DEFINE_CLEANUP(project, project_free)
#define project_auto PIXL_CLEANUP(project_freep) struct project

/* What is no fault and probably a mistake: a modality that the standard does not know (a maker may have one of its own).
 * say() is called with "file:line: warning: text". */
void project_warn(const struct project *p, void (*say)(void *ctx, const char *warning), void *ctx);

/* All problems of one file, not just the first: say() is called with "file:line:column: text" for each.  true: none. */
bool project_check_file(const char *path, void (*say)(void *ctx, const char *problem), void *ctx);

#endif

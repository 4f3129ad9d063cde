/* env_sources.h - where a setting can come from: command line, environment, .env; the first that has it counts.
 *
 * An empty value counts as not set.
 * Owns: nothing; the lines of .env are in the caller's arena.  Threads: any. */
#ifndef PIXL_CONFIG_ENV_SOURCES_H
#define PIXL_CONFIG_ENV_SOURCES_H

#include "config/dotenv.h"

struct env_sources {
    const char *const *env;                     /* "NAME=value", NULL-terminated; may be NULL */
    const char *const *overrides;               /* the same, or "--option NAME=value" where an option stands for it */
    const char *dotenv_name;                    /* the file as places name it; NULL: none was read */
    const struct dotenv_line *dotenv;
    size_t n_dotenv;
};

/* Reads the .env file into the sources; path NULL or no such file: none.  wrong: as dotenv_parse() has it.
 * Fails: INVALID (with file:line), IO, NOMEM. */
PIXL_MUST_CHECK bool env_read_dotenv(struct arena *a, const char *path, struct problems *wrong, struct env_sources *s,
                                     struct pixl_error *err);

enum { ENV_PLACE_SIZE = 128 };
/* The "NAME=value" of an override, and its place. */
const char *env_split_override(const char *text, char place[ENV_PLACE_SIZE]);
/* The value that counts and where it stands ("--option", "command line", "environment", ".env:12"); NULL: nowhere, and place is
 * left as it is. */
const char *env_find(const struct env_sources *s, const char *name, char place[ENV_PLACE_SIZE]);

/* A name that a sample lists, and where it is set; place NULL: nowhere. */
struct env_listed {
    const char *name;
    int line;                                   /* of the sample */
    const char *place;
};
/* Looks for every name of a sample file (in the form of a .env file, whose values do not matter).  *out in the arena, in
 * the file's order.  Fails: NOT_FOUND (no such file), INVALID (with file:line), IO, NOMEM. */
PIXL_MUST_CHECK bool env_look_for(const struct env_sources *s, const char *sample_path, struct arena *a,
                                  struct env_listed **out, size_t *n, struct pixl_error *err);

#endif

#include "env_sources.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"

enum { DOTENV_BYTES_MAX = 1024 * 1024 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool read_lines(struct arena *a, const char *path, struct problems *wrong, const struct dotenv_line **lines,
                       size_t *n, struct pixl_error *err)
{
    struct str text;
    return fs_read_whole(a, path, DOTENV_BYTES_MAX, &text, err) &&
           dotenv_parse(a, base_name(path), text, wrong, lines, n, err);
}

bool env_read_dotenv(struct arena *a, const char *path, struct problems *wrong, struct env_sources *s,
                     struct pixl_error *err)
{
    if (path == NULL || !fs_exists(path))
        return true;
    if (!read_lines(a, path, wrong, &s->dotenv, &s->n_dotenv, err))
        return false;
    s->dotenv_name = base_name(path);
    return true;
}

/* The value of name among "NAME=value" strings; NULL when it is not there or empty. */
static const char *find_pair(const char *const *pairs, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++)
        if (strncmp(pairs[i], name, n) == 0 && pairs[i][n] == '=' && pairs[i][n + 1] != '\0')
            return pairs[i] + n + 1;
    return NULL;
}

const char *env_split_override(const char *text, char place[ENV_PLACE_SIZE])
{
    const char *blank = text[0] == '-' ? strchr(text, ' ') : NULL;
    if (blank == NULL)
        (void)snprintf(place, ENV_PLACE_SIZE, "command line");
    else
        (void)snprintf(place, ENV_PLACE_SIZE, "%.*s", (int)(blank - text), text);
    return blank != NULL ? blank + 1 : text;
}

static const char *find_override(const struct env_sources *s, const char *name, char place[ENV_PLACE_SIZE])
{
    for (size_t i = 0; s->overrides != NULL && s->overrides[i] != NULL; i++) {
        char its_place[ENV_PLACE_SIZE];
        const char *const pair[] = { env_split_override(s->overrides[i], its_place), NULL };
        const char *value = find_pair(pair, name);
        if (value != NULL) {
            (void)snprintf(place, ENV_PLACE_SIZE, "%s", its_place);
            return value;
        }
    }
    return NULL;
}

const char *env_find(const struct env_sources *s, const char *name, char place[ENV_PLACE_SIZE])
{
    const char *value = find_override(s, name, place);
    if (value != NULL)
        return value;
    value = find_pair(s->env, name);
    if (value != NULL) {
        (void)snprintf(place, ENV_PLACE_SIZE, "environment");
        return value;
    }
    for (size_t i = 0; i < s->n_dotenv; i++)
        if (strcmp(s->dotenv[i].name, name) == 0 && s->dotenv[i].value[0] != '\0') {
            (void)snprintf(place, ENV_PLACE_SIZE, "%s:%d", s->dotenv_name, s->dotenv[i].line);
            return s->dotenv[i].value;
        }
    return NULL;
}

bool env_look_for(const struct env_sources *s, const char *sample_path, struct arena *a, struct env_listed **out,
                  size_t *n, struct pixl_error *err)
{
    const struct dotenv_line *lines;
    size_t n_lines;
    if (!read_lines(a, sample_path, NULL, &lines, &n_lines, err))
        return false;
    struct env_listed *list = arena_calloc(a, n_lines + 1, sizeof *list);
    if (list == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "list of settings");
    for (size_t i = 0; i < n_lines; i++) {
        char place[ENV_PLACE_SIZE];
        list[i] = (struct env_listed){ .name = lines[i].name, .line = lines[i].line };
        if (env_find(s, lines[i].name, place) == NULL)
            continue;
        list[i].place = arena_cstr(a, place);
        if (list[i].place == NULL)
            return pixl_fail(err, PIXL_E_NOMEM, 0, "list of settings");
    }
    *out = list;
    *n = n_lines;
    return true;
}

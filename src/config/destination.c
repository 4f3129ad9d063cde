/* The section destination of a project file. */
#include "project_internal.h"

#include <assert.h>
#include <string.h>

#include "nearest.h"

enum { FTPS_CONNECTIONS_DEFAULT = 4 };

static const struct {
    const char *word;
    bool dicom, parquet;
} destinations[PROJECT_DESTINATION_COUNT] = {
#define X(symbol, name, dicom, parquet) [PROJECT_TO_##symbol] = { name, dicom, parquet },
    PROJECT_DESTINATIONS(X)
#undef X
};

const char *project_destination_name(enum project_destination d)
{
    assert(d < PROJECT_DESTINATION_COUNT);
    return destinations[d].word;
}

static bool take_destination_word(struct project_loader *l, const struct yaml_node *node, const char *what,
                                  bool is_parquet, enum project_destination *out)
{
    struct str word;
    if (yaml_is_null(node))
        return problem_at(l->ps, node->at, "%s: null is no destination; write none", what);
    if (!yaml_take_text(node, what, &word, l->ps))
        return false;
    if (str_eq(word, STR("xnat")) || str_eq(word, STR("tre")))
        return problem_at(l->ps, node->at, "%s: %.*s is not available yet", what, STR_ARG(word));
    struct nearest near = nearest_to(word);
    for (unsigned d = 0; d < PROJECT_DESTINATION_COUNT; d++) {
        nearest_offer(&near, destinations[d].word);
        if (!str_eq(word, str_of(destinations[d].word)))
            continue;
        if (!(is_parquet ? destinations[d].parquet : destinations[d].dicom))
            return problem_at(l->ps, node->at, "%s destination cannot be %s", is_parquet ? "Parquet" : "DICOM",
                              destinations[d].word);
        *out = (enum project_destination)d;
        return true;
    }
    return problem_at(l->ps, node->at, "%s: unknown destination '%s'%s", what, problem_show(word).text,
                      nearest_hint(&near).text);
}

static bool take_directory(struct project_loader *l, const struct yaml_node *node)
{
    struct project *p = &l->in->pub;
    struct str path;
    if (!yaml_take_path(node, "destination.directory", &path, l->ps))
        return false;
    if (path.p[0] != '/')
        return problem_at(l->ps, node->at, "destination.directory: '%s' is not absolute; write a path from / on",
                          problem_show(path).text);
    if (p->dicom_destination != PROJECT_TO_DIRECTORY && p->parquet_destination != PROJECT_TO_DIRECTORY)
        return problem_at(l->ps, node->at, "destination.directory: neither dicom nor parquet goes to a directory");
    p->destination_directory = project_keep(l, path);
    return p->destination_directory != NULL;
}

/* One of a few words; *out its index. */
static bool take_word(struct project_loader *l, const struct yaml_node *node, const char *what,
                      const char *const *words, size_t n, unsigned *out)
{
    struct str word;
    if (!yaml_take_text(node, what, &word, l->ps))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (str_eq(word, str_of(words[i]))) {
            *out = i;
            return true;
        }
    return problem_at(l->ps, node->at, "%s: '%s' is neither %s nor %s%s", what, problem_show(word).text, words[0],
                      words[1], nearest_hint_of(word, words, n).text);
}

static bool take_ca_file(struct project_loader *l, const struct yaml_node *node)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    struct project_file file;
    struct str text;
    if (!project_locate(l, node, "destination.ftps.ca_file", "certificates", &file) ||
        !project_read_named(l, &file, NULL, &l->scratch, &text))
        return false;
    if (memmem(text.p, text.n, begin, sizeof begin - 1) == NULL)
        return problem_at(l->ps, node->at, "destination.ftps.ca_file: %s holds no certificate in PEM form", file.shown);
    l->in->pub.ftps.ca_file = project_keep(l, str_of(file.path));
    return l->in->pub.ftps.ca_file != NULL;
}

static bool take_ftps(struct project_loader *l, const struct yaml_node *map)
{
    static const char *const keys[] = { "tls", "tls_max", "ca_file", "verify", "connections" },
                             *const tls[] = { "implicit", "explicit" }, *const versions[] = { "tls1.2", "tls1.3" },
                             *const verify[] = { "size", "reply" };
    const struct {
        const char *key, *what;
        const char *const *words;
        bool *is_second;
    } choices[] = {
        { "tls", "destination.ftps.tls", tls, &l->in->pub.ftps.is_explicit },
        { "tls_max", "destination.ftps.tls_max", versions, &l->in->pub.ftps.allows_tls13 },
        { "verify", "destination.ftps.verify", verify, &l->in->pub.ftps.trusts_replies },
    };
    struct project *p = &l->in->pub;
    if (p->dicom_destination != PROJECT_TO_FTPS && p->parquet_destination != PROJECT_TO_FTPS)
        return problem_at(l->ps, map->at, "destination.ftps: neither dicom nor parquet goes to ftps");
    bool ok = yaml_check_map(map, "destination.ftps", keys, ARRAY_LEN(keys), l->ps);
    if (map->kind != YAML_MAP)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
        const struct yaml_node *node = yaml_find(map, choices[i].key);
        unsigned word = 0;
        if (node != NULL)
            ok = take_word(l, node, choices[i].what, choices[i].words, 2, &word) && ok;
        *choices[i].is_second = word == 1;
    }
    const struct yaml_node *ca = yaml_find(map, "ca_file"), *connections = yaml_find(map, "connections");
    if (ca != NULL)
        ok = take_ca_file(l, ca) && ok;
    if (connections != NULL)
        ok = yaml_take_int(connections, "destination.ftps.connections", 1, 64, &p->ftps.max_connections, l->ps) && ok;
    return ok;
}

bool destination_read(struct project_loader *l, const struct yaml_node *section)
{
    static const char *const keys[] = { "dicom", "parquet", "directory", "ftps" };
    struct project *p = &l->in->pub;
    bool ok = yaml_check_map(section, "destination", keys, ARRAY_LEN(keys), l->ps);
    if (section->kind != YAML_MAP)
        return false;
    const struct yaml_node *dicom = project_require(l, section, "destination", "dicom"),
                           *parquet = project_require(l, section, "destination", "parquet"),
                           *directory = yaml_find(section, "directory"), *ftps = yaml_find(section, "ftps");
    p->ftps.max_connections = FTPS_CONNECTIONS_DEFAULT;
    if (dicom == NULL || parquet == NULL)
        return false;
    bool known = take_destination_word(l, dicom, "destination.dicom", false, &p->dicom_destination);
    known = take_destination_word(l, parquet, "destination.parquet", true, &p->parquet_destination) && known;
    if (known && directory != NULL && !yaml_is_null(directory))
        ok = take_directory(l, directory) && ok;
    if (known && ftps != NULL && !yaml_is_null(ftps))
        ok = take_ftps(l, ftps) && ok;
    return known && ok;
}

#include "new_project.h"

#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/slug.h"
#include "nearest.h"
#include "problems.h"
#include "shipped.h"

enum { ARENA_BYTES_MAX = 4 << 20, TEXT_BYTES_MAX = 256 << 10, NAME_BYTES_MAX = 200, FILES_MAX = 16, CODES_MAX = 32 };

/* Lists that a project may switch on; they stand in its file behind a '#', and lie ready beside the others. */
static const struct {
    const char *file, *about;
} optional_lists[] = {
    { "descriptions.yaml", "descriptions of study and series, contrast medium: texts that people typed" },
    { "patient.yaml", "sex, age, size, weight" },
};

struct output {
    const char *path; /* whole */
    struct str text;
    bool is_there;
};
struct maker {
    struct arena arena;
    const char *dir;
    const struct new_project *p;
    struct str slug, name;
    bool has_other_slug; /* than the name gives */
    struct str codes[CODES_MAX];
    size_t n_codes;
    const char *lists[FILES_MAX];
    size_t n_lists;
    const char *recipe; /* NULL: none */
    unsigned min_instances;
    struct output files[FILES_MAX];
    size_t n_files;
};

static bool fail_memory(struct pixl_error *err)
{
    return pixl_fail(err, PIXL_E_NOMEM, 0, "a new project");
}

/* ---- what was asked for ---- */

/* No control characters, and nothing that YAML takes for the end of a line. */
static bool is_plain(struct str s, size_t max)
{
    static const char *const breaks[] = { "\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF" };
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i], next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(breaks); i++)
        if (s.n > 0 && memmem(s.p, s.n, breaks[i], 3) != NULL)
            return false;
    return s.n > 0 && s.n <= max && str_is_utf8(s);
}

static bool take_names(struct maker *m, struct pixl_error *err)
{
    struct str project = str_trim(m->p->project), name = str_trim(m->p->name), slug = { 0 };
    struct pixl_error why = { 0 };
    m->name = name.n > 0 ? name : project;
    if (!is_plain(project, NAME_BYTES_MAX) || !is_plain(m->name, NAME_BYTES_MAX))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "a project's name has 1 to %d bytes of UTF-8 without control characters", NAME_BYTES_MAX);
    if (m->p->directory != NULL && (m->p->directory[0] != '/' || !is_plain(str_of(m->p->directory), PATH_MAX)))
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "the destination must be an absolute path of UTF-8 without control "
                         "characters");
    if (slug_is_valid(project))
        m->slug = project;
    else if (!slug_make(&m->arena, project, &m->slug, &why))
        return why.code == PIXL_E_NOMEM ? fail_memory(err)
                                        : pixl_fail(err, PIXL_E_INVALID, 0,
                                                    "project '%s': %s; give a short name of "
                                                    "small letters and digits for the file, and --name",
                                                    problem_show(project).text, why.msg);
    if (!slug_make(&m->arena, m->name, &slug, &why) && why.code == PIXL_E_NOMEM)
        return fail_memory(err);
    m->has_other_slug = !str_eq(slug, m->slug);
    return true;
}

static bool add_list(struct maker *m, struct str name, struct pixl_error *err)
{
    for (size_t i = 0; i < m->n_lists; i++)
        if (str_eq(str_of(m->lists[i]), name))
            return true;
    const char *kept = arena_str(&m->arena, name).p;
    if (kept == NULL || m->n_lists == FILES_MAX)
        return fail_memory(err);
    m->lists[m->n_lists++] = kept;
    return true;
}

static bool add_lists(struct maker *m, const char *names, struct pixl_error *err)
{
    struct str name, rest = str_of(names);
    for (bool more = names != NULL; more;) {
        more = str_split(rest, ' ', &name, &rest);
        if (!add_list(m, name, err))
            return false;
    }
    return true;
}

static void add_codes(struct maker *m, struct str codes)
{
    struct str code;
    for (bool more = true; more;) {
        bool is_there = false;
        more = str_split(codes, ' ', &code, &codes);
        for (size_t i = 0; i < m->n_codes; i++)
            is_there = is_there || str_eq(m->codes[i], code);
        if (!is_there && m->n_codes < CODES_MAX)
            m->codes[m->n_codes++] = code;
    }
}

static bool fail_modality(struct str word, struct pixl_error *err)
{
    size_t n;
    const struct shipped_modality *all = shipped_modalities(&n);
    struct nearest near = nearest_to(word);
    char names[128] = "";
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(names);
        nearest_offer(&near, all[i].name);
        (void)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", all[i].name);
    }
    return pixl_fail(err, PIXL_E_INVALID, 0, "there are no policies for modality '%s'%s; there are %s",
                     problem_show(word).text, nearest_hint(&near).text, names);
}

static bool take_modalities(struct maker *m, struct pixl_error *err)
{
    struct str word, codes, rest = m->p->modalities;
    bool others = false;
    if (!add_list(m, STR("base.yaml"), err))
        return false;
    for (bool more = true; more;) {
        more = str_split(rest, ',', &word, &rest);
        const struct shipped_modality *s = shipped_modality_find(str_trim(word), &codes);
        if (s == NULL)
            return fail_modality(str_trim(word), err);
        m->min_instances = m->n_codes == 0 || s->min_instances < m->min_instances ? s->min_instances : m->min_instances;
        m->recipe = s->recipe != NULL ? s->recipe : m->recipe;
        others = others || s->recipe == NULL;
        add_codes(m, codes);
        if (!add_lists(m, s->lists, err))
            return false;
    }
    if (m->recipe != NULL && others)
        return pixl_fail(err, PIXL_E_INVALID, 0,
                         "us stands alone: its recipe lets only ultrasound regions pass, thus nothing of another "
                         "modality; make two projects");
    return add_lists(m, m->p->extra_lists, err);
}

/* ---- the text ---- */

/* In single quotes, as YAML doubles them. */
static void add_quoted(struct buf *b, struct str text)
{
    (void)buf_add_char(b, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'')
            (void)buf_add_char(b, '\'');
        (void)buf_add_char(b, text.p[i]);
    }
    (void)buf_add_char(b, '\'');
}

static void add_project(struct buf *b, const struct maker *m)
{
    (void)buf_add_cstr(
        b, "# The rules of one project, made by `pixl config new`.  `pixl config check` says what is wrong with them.\n"
           "project:\n  name: ");
    add_quoted(b, m->name);
    (void)buf_addf(
        b,
        "\n  # This file's name, by which a CSV calls the project, and the name of its folder at the destination.\n"
        "  # It is made of the name above where it is left out.\n"
        "  %sslug: '%.*s'",
        m->has_other_slug ? "" : "# ", STR_ARG(m->slug));
    (void)buf_add_cstr(b, "\n  # Modality (0008,0060) of the images that pass.\n  modalities: [");
    for (size_t i = 0; i < m->n_codes; i++)
        (void)buf_addf(b, "%s%.*s", i > 0 ? ", " : "", STR_ARG(m->codes[i]));
    (void)buf_add_cstr(b, "]\n\n");
}

static void add_filters(struct buf *b, const struct maker *m)
{
    const char *words = m->p->manufacturers;
    (void)buf_add_cstr(b,
                       "# A series is left out when its description holds one of these, in capitals or small letters.\n"
                       "series_filters:\n  - localizer\n  - localiser\n  - scout\n  - positioning\n"
                       "  - dose report\n  - dose info\n  - patient protocol\n\n");
    (void)buf_addf(b, "# A series of fewer images is left out; 1: none is.\nmin_instances_per_series: %u\n\n",
                   m->min_instances);
    (void)buf_add_cstr(b, "# Regular expressions on Manufacturer (0008,0070); an image that none fits is left out.  To "
                          "leave out series of one\n"
                          "# maker by number, add below its regex:  exclude_series_numbers: [99, 1200]\n"
                          "allowed_manufacturers:\n");
    struct str word, rest = words != NULL ? str_of(words) : STR(".*");
    for (bool more = true; more;) {
        more = str_split(rest, ' ', &word, &rest);
        (void)buf_add_cstr(b, "  - regex: ");
        add_quoted(b, word);
        (void)buf_add_char(b, '\n');
    }
}

static bool has_list(const struct maker *m, const char *file)
{
    for (size_t i = 0; i < m->n_lists; i++)
        if (strcmp(m->lists[i], file) == 0)
            return true;
    return false;
}

static void add_rules(struct buf *b, const struct maker *m)
{
    (void)buf_add_cstr(b, "\n# What of a header passes, and how: files of tag-operations/.  What no list names is "
                          "removed; a later list wins.\n"
                          "tag_operation_files:\n  base:\n");
    for (size_t i = 0; i < m->n_lists; i++)
        (void)buf_addf(b, "    - %s\n", m->lists[i]);
    for (size_t i = 0; i < ARRAY_LEN(optional_lists); i++)
        if (!has_list(m, optional_lists[i].file))
            (void)buf_addf(b, "    # - %-20s # %s\n", optional_lists[i].file, optional_lists[i].about);
    (void)buf_add_cstr(b, "  # Rules that hold for one maker only: files of tag-operations/manufacturer-overrides/.\n"
                          "  manufacturer_overrides: null\n");
    if (m->recipe != NULL)
        (void)buf_addf(b,
                       "\n# What of the pixels passes: files of image-operations/.\n"
                       "image_operation_files:\n  deid_recipes:\n    - %s\n",
                       m->recipe);
}

static void add_destination(struct buf *b, const struct maker *m)
{
    const char *word = m->p->directory != NULL ? "directory" : "none";
    (void)buf_addf(b,
                   "\n# Where images and tables go: directory, ftps, or none (they stay with pixl).\n"
                   "destination:\n  dicom: %s\n  parquet: %s\n",
                   word, word);
    if (m->p->directory != NULL) {
        (void)buf_addf(b, "  # It must exist; pixl makes %.*s in it.\n  directory: ", STR_ARG(m->slug));
        add_quoted(b, str_of(m->p->directory));
        (void)buf_add_char(b, '\n');
    } else {
        (void)buf_add_cstr(b, "  # directory: /mnt/safe-haven\n");
    }
    (void)buf_addf(
        b,
        "  # An FTPS server: address and login are the secrets %.*s--ftp--host, --port, --username, --password.\n"
        "  # ftps:\n  #   tls: implicit          # or explicit\n"
        "  #   ca_file: safe-haven.pem  # in certificates/, when the server's CA is not one of this system\n",
        STR_ARG(m->slug));
    (void)buf_add_cstr(
        b, "\n# An image that cannot be read fails its study; one that cannot be judged is left out.  "
           "fail: both fail it.\n"
           "# deliver: the rest of the study is delivered in either case.\n"
           "# on_instance_error: fail\n"
           "\n# An image whose BurnedInAnnotation (0028,0301) is YES says that a person may be told from its pixels;\n"
           "# a picture of a screen, film or document (Secondary Capture) may hold any text unless it says NO.\n"
           "# refuse, as when this line is absent: they are left out, unless image_operation_files clean them;\n"
           "# deliver: they pass.\nburned_in_annotation: refuse\n");
}

/* ---- files ---- */

static bool add_file(struct maker *m, const char *folder, const char *name, struct str text, struct pixl_error *err)
{
    const char *path = folder != NULL ? fs_path3(&m->arena, m->dir, folder, name) : fs_path(&m->arena, m->dir, name);
    if (path == NULL || m->n_files == FILES_MAX)
        return fail_memory(err);
    m->files[m->n_files++] = (struct output){ path, text, false };
    return true;
}

static bool add_shipped(struct maker *m, const char *folder, const char *name, struct pixl_error *err)
{
    const char *path = fs_path(&m->arena, folder, name);
    const struct shipped_file *f = path != NULL ? shipped_find(path) : NULL;
    if (path == NULL)
        return fail_memory(err);
    if (f == NULL)
        return pixl_fail(err, PIXL_E_INTERNAL, 0, "there is no shipped %s", path);
    return add_file(m, folder, name, f->text, err);
}

static bool add_all_files(struct maker *m, struct buf *text, struct pixl_error *err)
{
    for (size_t i = 0; i < m->n_lists; i++)
        if (!add_shipped(m, "tag-operations", m->lists[i], err))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(optional_lists); i++)
        if (!has_list(m, optional_lists[i].file) && !add_shipped(m, "tag-operations", optional_lists[i].file, err))
            return false;
    if (m->recipe != NULL && !add_shipped(m, "image-operations", m->recipe, err))
        return false;
    add_project(text, m);
    add_filters(text, m);
    add_rules(text, m);
    add_destination(text, m);
    buf_auto name;
    buf_init(&name, NAME_BYTES_MAX * 8);
    (void)buf_addf(&name, "%.*s.yaml", STR_ARG(m->slug));
    const char *kept = name.failed ? NULL : arena_cstr(&m->arena, buf_cstr(&name));
    if (text->failed || kept == NULL)
        return fail_memory(err);
    return add_file(m, NULL, kept, buf_str(text), err);
}

/* Is the same file there already?  EXISTS when another is. */
static bool compare(struct maker *m, struct output *f, struct pixl_error *err)
{
    struct str was;
    if (!fs_exists(f->path))
        return true;
    if (f == &m->files[m->n_files - 1])
        return pixl_fail(err, PIXL_E_EXISTS, 0,
                         "%s is there already: change that file, or give the project another name", f->path);
    f->is_there = fs_read_whole(&m->arena, f->path, TEXT_BYTES_MAX, &was, err);
    if (!f->is_there && err->code == PIXL_E_LIMIT)
        pixl_error_clear(err);
    else if (!f->is_there)
        return pixl_wrap(err, "%s", f->path);
    else if (str_eq(was, f->text))
        return true;
    return pixl_fail(err, PIXL_E_EXISTS, 0,
                     "%s differs from the one that comes with pixl, and is left as it is: rename it (and name it so in "
                     "the projects that use it), then try again",
                     f->path);
}

static bool write_files(struct maker *m, void (*say)(void *ctx, const char *path, bool is_new), void *ctx,
                        struct pixl_error *err)
{
    static const char *const folders[] = { "tag-operations", "image-operations" };
    for (size_t i = 0; i < m->n_files; i++)
        if (!compare(m, &m->files[i], err))
            return false;
    for (size_t i = 0; i < (m->recipe != NULL ? 2u : 1u); i++) {
        const char *dir = fs_path(&m->arena, m->dir, folders[i]);
        if (dir == NULL)
            return fail_memory(err);
        if (!fs_make_dirs(dir, 0755, err))
            return false;
    }
    for (size_t i = 0; i < m->n_files; i++) {
        const struct output *f = &m->files[i];
        if (!f->is_there && !fs_write_whole(f->path, f->text, 0644, err))
            return false;
        say(ctx, f->path, !f->is_there);
    }
    return true;
}

bool new_project_write(const char *configs_dir, const struct new_project *p,
                       void (*say)(void *ctx, const char *path, bool is_new), void *ctx, struct pixl_error *err)
{
    struct maker m = { .dir = configs_dir, .p = p };
    buf_auto text;
    buf_init(&text, TEXT_BYTES_MAX);
    arena_init(&m.arena, ARENA_BYTES_MAX);
    bool ok = take_names(&m, err) && take_modalities(&m, err) && add_all_files(&m, &text, err) &&
              write_files(&m, say, ctx, err);
    arena_done(&m.arena);
    return ok;
}

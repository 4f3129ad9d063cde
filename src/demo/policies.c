#include "policies.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fs.h"
#include "dicom/tag.h"

enum { FILE_BYTES_MAX = 256 * 1024, PATHS_BYTES_MAX = 256 * 1024 };

/* Operations and the elements that they are for, eight hexadecimal digits each. */
struct op_list {
    const char *op; /* NULL: behind the last */
    const char *tags;
};

static const struct op_list base_ops[] = {
    { "keep", "00080005 00080008 00080016 00080060 00080061 00080070 00081030 0008103E 00081090 00081140 00081150 "
              "00081160 00089205 00089206 "
              "00089207 00100040 00180022 00180050 00180060 00181020 00181149 00181190 00185100 00200011 00200012 "
              "00200013 00200020 00200032 00200037 00200062 "
              "00280002 00280004 00280006 00280008 00280010 00280011 00280030 00280100 00280101 00280102 00280103 "
              "00280301 00280302 00281050 "
              "00281051 00281052 00281053 00281054 00281055 00282110 00283010 00409224 00409225 00540220 7FE00010" },
    { "replace_UID",
      "00080014 00080018 00081155 0020000D 0020000E 00200052 00200200 0040A124 00880140 30060024 300600C2" },
    { "replace", "00080020 00080030 00080050 00080090 00100010 00100030 00200010 00201040" },
    { "secure-hash", "00100020" },
    { NULL, NULL },
};
static const struct op_list ct_ops[] = {
    { "keep", "00080064 00180015 00180088 00180090 00181100 00181110 00181111 00181120 00181130 00181140 00181150 "
              "00181151 00181152 00181160 "
              "00181170 00181210 00189305 00189306 00189307 00189309 00189310 00189311 00201041" },
    { NULL, NULL },
};
static const struct op_list mri_ops[] = {
    { "keep", "00082112 00089208 00089209 00180020 00180021 00180023 00180024 00180080 00180081 00180082 00180083 "
              "00180087 00180088 00180091 "
              "00180094 00181250 00181251 00181314 00189058 00189231" },
    { "replace", "00080023 0008002A 00080033" },
    { NULL, NULL },
};
static const struct op_list xray_ops[] = {
    { "keep", "00080068 00080100 00080102 00080104 00082218 00101020 00101030 00180015 00181150 00181151 00181152 "
              "00181153 0018115E 00181164 "
              "00181166 00181400 00181411 00181412 00181413 00181508 00181700 00181720 00185101 00186000 00187001 "
              "00187004 00187005 0018701A "
              "00187020 00187022 00187024 00187026 00187030 00187032 00187034 0018704C 00187060 00280300 00280A02 "
              "00280A04 00281040 00281041 "
              "00400555 00540222 00540410 20500020" },
    { NULL, NULL },
};

/* Makers' private elements, by the creator that reserves their block; merged where the manufacturer fits. */
static const char mri_overrides[] = "# Diffusion weighting is kept in private elements.  What else is in those blocks "
                                    "goes, the protocol with the patient's name above all.\n"
                                    "- manufacturer: '^siemens'\n"
                                    "  tags:\n"
                                    "    - name: 'B Value'\n"
                                    "      group: 0x0019\n"
                                    "      element: 0x0C\n"
                                    "      private_creator: 'SIEMENS MR HEADER'\n"
                                    "      op: keep\n"
                                    "- manufacturer: '^philips'\n"
                                    "  tags:\n"
                                    "    - name: 'Diffusion B-Factor'\n"
                                    "      group: 0x2001\n"
                                    "      element: 0x03\n"
                                    "      private_creator: 'Philips Imaging DD 001'\n"
                                    "      op: keep\n";

static const struct {
    const char *name, *about;
    const struct op_list *ops;
} op_files[] = {
    { "base.yaml", "What every image needs.  Whatever is named in no file is removed.", base_ops },
    { "ct.yaml", "How a CT picture was made.", ct_ops },
    { "mri.yaml", "How an MR picture was made.", mri_ops },
    { "xray.yaml", "How an X-ray picture was made; its codes.", xray_ops },
};

struct project_text {
    const char *slug, *name, *modalities, *files, *overrides;
    const char *manufacturers;
    unsigned min_instances;
};
static const struct project_text projects[] = {
    { POLICIES_OMOP_SLUG, POLICIES_OMOP_NAME, "CT", "base.yaml ct.yaml", NULL, "^acme", 2 },
    { POLICIES_CSV_SLUG, POLICIES_CSV_NAME, "DX CR MR", "base.yaml mri.yaml xray.yaml", "mri.yaml",
      "^acme ^siemens ^philips", 1 },
};

static void add_ops(struct buf *b, const struct op_list *list)
{
    for (struct str word, rest = str_of(list->tags); rest.n > 0;) {
        unsigned tag = 0;
        (void)str_split(rest, ' ', &word, &rest);
        for (size_t i = 0; i < word.n; i++)
            tag = tag << 4 | (unsigned)(word.p[i] <= '9' ? word.p[i] - '0' : word.p[i] - 'A' + 10);
        const struct dicom_dict_entry *entry = dicom_dict_find(tag);
        (void)buf_addf(b, "- name: %s\n  group: 0x%04X\n  element: 0x%04X\n  op: %s\n",
                       entry ? entry->keyword : "Private", tag >> 16, tag & 0xFFFF, list->op);
    }
}

/* "- word" lines of a list in one text. */
static void add_list(struct buf *b, const char *words, const char *before, const char *behind)
{
    for (struct str word, rest = str_of(words); rest.n > 0;) {
        (void)str_split(rest, ' ', &word, &rest);
        (void)buf_addf(b, "%s%.*s%s\n", before, STR_ARG(word), behind);
    }
}

/* A text in single quotes, as YAML doubles them. */
static void add_quoted(struct buf *b, const char *text)
{
    (void)buf_add_char(b, '\'');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            (void)buf_add_char(b, '\'');
        (void)buf_add_char(b, *p);
    }
    (void)buf_add_cstr(b, "'\n");
}

static void add_project(struct buf *b, const struct project_text *p, const char *safe_haven_dir)
{
    (void)buf_addf(b, "project:\n  name: '%s'\n  azure_kv_alias: null\n  modalities:\n", p->name);
    add_list(b, p->modalities, "    - ", "");
    (void)buf_add_cstr(b, "series_filters:\n  - localizer\n  - localiser\n  - scout\n  - positioning\n");
    (void)buf_addf(b, "min_instances_per_series: %u\nallowed_manufacturers:\n", p->min_instances);
    add_list(b, p->manufacturers, "  - regex: '", "'");
    (void)buf_add_cstr(b, "tag_operation_files:\n  base:\n");
    add_list(b, p->files, "    - ", "");
    if (p->overrides != NULL) {
        (void)buf_add_cstr(b, "  manufacturer_overrides:\n");
        add_list(b, p->overrides, "    - ", "");
    } else {
        (void)buf_add_cstr(b, "  manufacturer_overrides: null\n");
    }
    (void)buf_add_cstr(b, "destination:\n  dicom: directory\n  parquet: directory\n  directory: ");
    add_quoted(b, safe_haven_dir);
}

static bool write_text(struct arena *a, const char *dir, const char *name, const struct buf *b, struct pixl_error *err)
{
    const char *path = fs_path(a, dir, name);
    if (path == NULL || b->failed)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "project configuration");
    return fs_write_whole(path, buf_str(b), 0644, err);
}

static bool write_op_files(struct arena *a, const char *configs_dir, struct pixl_error *err)
{
    buf_auto b;
    buf_init(&b, FILE_BYTES_MAX);
    const char *dir = fs_path(a, configs_dir, "tag-operations"),
               *overrides = fs_path3(a, configs_dir, "tag-operations", "manufacturer-overrides");
    if (dir == NULL || overrides == NULL)
        return pixl_fail(err, PIXL_E_NOMEM, 0, "project configuration");
    if (!fs_make_dirs(overrides, 0755, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(op_files); i++) {
        buf_clear(&b);
        (void)buf_addf(&b, "# %s\n", op_files[i].about);
        for (const struct op_list *list = op_files[i].ops; list->op != NULL; list++)
            add_ops(&b, list);
        if (!write_text(a, dir, op_files[i].name, &b, err))
            return false;
    }
    buf_clear(&b);
    (void)buf_add_cstr(&b, mri_overrides);
    return write_text(a, overrides, "mri.yaml", &b, err);
}

static bool write_all(struct arena *a, const char *configs_dir, const char *safe_haven_dir, struct pixl_error *err)
{
    buf_auto b;
    buf_init(&b, FILE_BYTES_MAX);
    if (!write_op_files(a, configs_dir, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(projects); i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s.yaml", projects[i].slug);
        buf_clear(&b);
        add_project(&b, &projects[i], safe_haven_dir);
        if (!write_text(a, configs_dir, name, &b, err))
            return false;
    }
    return true;
}

bool policies_write(const char *configs_dir, const char *safe_haven_dir, struct pixl_error *err)
{
    struct arena a;
    arena_init(&a, PATHS_BYTES_MAX);
    bool ok = write_all(&a, configs_dir, safe_haven_dir, err);
    arena_done(&a);
    return ok;
}

#include "shipped.h"

#include <string.h>

#include "shipped_table.inc"

static const struct shipped_file files[] = {
#define SHIPPED(path, bytes) { path, { bytes, sizeof bytes } },
    SHIPPED_FILES
#undef SHIPPED
};

static const struct shipped_modality modalities[] = {
    { "ct", "CT", "ct.yaml", NULL, 2, "computed tomography" },
    { "mr", "MR", "mr.yaml", NULL, 2, "magnetic resonance" },
    { "mr-diffusion", "MR", "mr.yaml mr-diffusion.yaml", NULL, 2, "the same, with makers' private diffusion numbers" },
    { "xray", "CR DX MG", "xray.yaml", NULL, 1, "projection radiography, mammography" },
    { "pet", "PT", "pet.yaml", NULL, 2, "positron emission tomography, with what uptake is computed from" },
    { "us", "US", "us.yaml", "us-regions.recipe", 1, "ultrasound, only its regions; a project of its own" },
    { "rt", "RTDOSE RTPLAN RTSTRUCT RTIMAGE", "rt.yaml", NULL, 1, "radiotherapy, with the names of structures" },
};

const struct shipped_file *shipped_files(size_t *n)
{
    *n = ARRAY_LEN(files);
    return files;
}

const struct shipped_file *shipped_find(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

const struct shipped_modality *shipped_modalities(size_t *n)
{
    *n = ARRAY_LEN(modalities);
    return modalities;
}

/* What people call them otherwise. */
static const struct { const char *word, *name; } synonyms[] = {
    { "mri", "mr" },      { "diffusion", "mr-diffusion" }, { "x-ray", "xray" },       { "mammography", "xray" },
    { "ultrasound", "us" }, { "radiotherapy", "rt" },
};

const struct shipped_modality *shipped_modality_find(struct str word, struct str *codes)
{
    for (size_t i = 0; i < ARRAY_LEN(synonyms); i++)
        if (str_eq_nocase(word, str_of(synonyms[i].word)))
            word = str_of(synonyms[i].name);
    for (size_t i = 0; i < ARRAY_LEN(modalities); i++) {
        struct str all = str_of(modalities[i].codes), rest = all, code;
        if (str_eq(word, str_of(modalities[i].name))) {
            *codes = all;
            return &modalities[i];
        }
        for (bool more = true; more;) {
            more = str_split(rest, ' ', &code, &rest);
            if (str_eq(word, code)) {
                *codes = code;
                return &modalities[i];
            }
        }
    }
    return NULL;
}

#include "policies.h"

#include "config/new_project.h"

static const struct {
    const char *slug, *name, *modalities, *extra_lists, *manufacturers;
} projects[] = {
    { POLICIES_OMOP_SLUG, POLICIES_OMOP_NAME, "CT", NULL, "^acme" },
    { POLICIES_CSV_SLUG, POLICIES_CSV_NAME, "DX,CR,mr-diffusion", "descriptions.yaml", "^acme ^siemens ^philips" },
};

static void ignore(void *ctx, const char *path, bool is_new)
{
    (void)ctx;
    (void)path;
    (void)is_new;
}

bool policies_write(const char *configs_dir, const char *safe_haven_dir, struct pixl_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(projects); i++) {
        const struct new_project p = {
            .project = str_of(projects[i].slug),
            .name = str_of(projects[i].name),
            .modalities = str_of(projects[i].modalities),
            .extra_lists = projects[i].extra_lists,
            .manufacturers = projects[i].manufacturers,
            .directory = safe_haven_dir,
        };
        if (!new_project_write(configs_dir, &p, ignore, NULL, err))
            return false;
    }
    return true;
}

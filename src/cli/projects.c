#include "projects.h"

#include "config/nearest.h"

bool projects_check(struct site *s, struct str wanted, struct pixl_error *err)
{
    struct str *projects;
    size_t n, i = 0;
    struct arena a;
    if (wanted.n == 0)
        return true;
    arena_init(&a, 16 << 20);
    bool ok = store_projects(site_store(s), &a, &projects, &n, err);
    struct nearest near = nearest_to(wanted);
    for (; ok && i < n && !str_eq(wanted, projects[i]); i++)
        nearest_offer(&near, projects[i].p);
    ok = ok && (i < n || pixl_fail(err, PIXL_E_NOT_FOUND, 0, "nothing was asked for in a project '%.*s'%s",
                                   STR_ARG(wanted), nearest_hint(&near).text));
    arena_done(&a);
    return ok;
}

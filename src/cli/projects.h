/* projects.h - a project as a person names it on the command line.
 * Owns: nothing. */
#ifndef PIXL_CLI_PROJECTS_H
#define PIXL_CLI_PROJECTS_H

#include "pipeline/site.h"

/* wanted must be a project that something was asked for in; empty: any will do.
 * Fails: NOT_FOUND, with the nearest one there is; and as store_projects(). */
PIXL_MUST_CHECK bool projects_check(struct site *s, struct str wanted, struct pixl_error *err);

#endif

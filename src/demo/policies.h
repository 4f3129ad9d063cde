/* policies.h - the two projects' rules, made of the shipped lists: what a hospital's information governance would have
 * signed.
 * Owns: nothing.  Threads: any. */
#ifndef PIXL_DEMO_POLICIES_H
#define PIXL_DEMO_POLICIES_H

#include "base/error.h"

#define POLICIES_OMOP_NAME "Demo Hospital Chest CT"
#define POLICIES_OMOP_SLUG "demo-hospital-chest-ct"
#define POLICIES_CSV_NAME  "Demo Hospital X-ray and MRI"
#define POLICIES_CSV_SLUG  "demo-hospital-x-ray-and-mri"

/* Writes both project files and their tag operations into configs_dir, which is made; images and tables go to
 * safe_haven_dir, an absolute path.
 * Fails: as new_project_write(). */
PIXL_MUST_CHECK bool policies_write(const char *configs_dir, const char *safe_haven_dir, struct pixl_error *err);

#endif

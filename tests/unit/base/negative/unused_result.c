/* EXPECT: unused|ignoring return value */
#include "base/fs.h"
void wrong(struct pixl_error *err);
void wrong(struct pixl_error *err) { fs_remove("x", err); }

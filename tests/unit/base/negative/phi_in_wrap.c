/* EXPECT: format */
#include "base/error.h"
#include "base/phi.h"
bool wrong(struct phi_text mrn, struct pixl_error *err);
bool wrong(struct phi_text mrn, struct pixl_error *err) { return pixl_wrap(err, "patient %s", mrn); }

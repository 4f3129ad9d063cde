/* EXPECT: format */
#include "base/phi.h"
bool wrong(struct phi_text mrn, struct buf *b);
bool wrong(struct phi_text mrn, struct buf *b) { return buf_addf(b, "patient %s", mrn); }

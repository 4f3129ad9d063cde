/* EXPECT: incompatible type */
#include "base/phi.h"
bool wrong(struct phi_text mrn, struct buf *b);
bool wrong(struct phi_text mrn, struct buf *b) { return buf_add_str(b, mrn); }

/* EXPECT: format */
#include "base/log.h"
#include "base/phi.h"
void wrong(struct phi_text mrn);
void wrong(struct phi_text mrn) { log_event(LOG_INFO, "a.b", "mrn=%s", mrn); }

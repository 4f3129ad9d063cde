/* EXPECT: format */
#include "base/log.h"
void wrong(void);
void wrong(void) { log_event(LOG_INFO, "a.b", "n=%d"); }

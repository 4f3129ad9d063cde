/* EXPECT: format */
#include "base/log.h"
#include "base/secret.h"
void wrong(struct secret key);
void wrong(struct secret key) { log_event(LOG_INFO, "a.b", "key=%s", key); }

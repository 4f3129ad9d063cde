/* EXPECT: sorry_localtime_is_banned */
void *wrong(const time_t *t);
void *wrong(const time_t *t) { return localtime(t); }

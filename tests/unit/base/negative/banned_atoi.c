/* EXPECT: sorry_atoi_is_banned */
int wrong(const char *from);
int wrong(const char *from) { return atoi(from); }

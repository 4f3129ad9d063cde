/* EXPECT: sorry_system_is_banned */
int wrong(const char *command);
int wrong(const char *command) { return system(command); }

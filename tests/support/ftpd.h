/* ftpd.h - an FTPS server for tests: support/ftpd.py, which says what is in it.  It goes with the test or program that started it. */
#ifndef PIXL_TEST_FTPD_H
#define PIXL_TEST_FTPD_H

#include "secrets/secrets.h"

struct ftpd {
    int port, passive_port, n_passive;
    char root[256], certs[256]; /* what a login sees; ca.pem, other.pem ... */
    void *to_, *from_;
    int pid_;
};
/* arguments: "NAME=VALUE" as ftpd.py takes them, NULL at the end.  Ends the program when there is no server to be had. */
void ftpd_start(struct ftpd *f, const char *const *arguments);
void ftpd_stop(struct ftpd *f);
/* "kill", "start", "stall", "go_on", "other_password", "first_password"; ends the test when it fails. */
void ftpd_do(struct ftpd *f, const char *command);

/* Secrets <prefix>--ftp--...: file is where they are written.  Given.  username and password NULL: the right ones. */
struct secrets *ftpd_secrets(const char *file, const char *prefix, const char *host, int port, const char *username,
                             const char *password);

/* As a file or folder of the login's: names are relative to root, folders are made. */
void ftpd_write(const struct ftpd *f, const char *name, const char *text);
void ftpd_make(const struct ftpd *f, const char *folder);
/* Empties root. */
void ftpd_clear(const struct ftpd *f);

/* root/name in a static ring. */
const char *ftpd_path(const struct ftpd *f, const char *name);

#endif

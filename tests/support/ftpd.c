#include "ftpd.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "python.h"
#include "test.h"

enum { NOBODY = 65534 };

void ftpd_start(struct ftpd *f, const char *const *arguments)
{
    int in = -1, out = -1;
    const char *argv[16] = { NULL, "ftpd.py" };
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL && i < ARRAY_LEN(argv) - 3; i++)
        argv[2 + i] = arguments[i];
    char folder[200];
    (void)signal(SIGPIPE, SIG_IGN); /* as pixl does */
    f->pid_ = python_start(argv, &in, &out);
    f->to_ = fdopen(in, "w");
    f->from_ = fdopen(out, "r");
    if (f->pid_ < 0 || f->to_ == NULL || f->from_ == NULL ||
        fscanf(f->from_, "ready %d %d %d %199s", &f->port, &f->passive_port, &f->n_passive, folder) != 4) {
        printf("no FTPS server could be started\n0 passed, 1 failed, 0 skipped\n");
        exit(1);
    }
    (void)snprintf(f->root, sizeof f->root, "%s/root", folder);
    (void)snprintf(f->certs, sizeof f->certs, "%s/certs", folder);
}

void ftpd_stop(struct ftpd *f)
{
    int status;
    (void)fclose(f->to_);
    (void)waitpid(f->pid_, &status, 0);
    (void)fclose(f->from_);
}

void ftpd_do(struct ftpd *f, const char *command)
{
    static unsigned number;
    char want[64], got[64] = "";
    number = (unsigned)getpid() * 1000 + (number + 1) % 1000;
    fprintf(f->to_, "%u %s\n", number, command);
    (void)fflush(f->to_);
    (void)snprintf(want, sizeof want, "%u ok\n", number);
    int n = (int)strcspn(want, " ") + 1;
    while (fgets(got, sizeof got, f->from_) && strncmp(got, want, (size_t)n) != 0) {
    } /* what a test that was killed did not read */
    REQUIRE(strcmp(got, want) == 0);
}

struct secrets *ftpd_secrets(const char *file, const char *prefix, const char *host, int port, const char *username,
                             const char *password)
{
    char text[1024], url[600];
    struct secrets *s = NULL;
    struct pixl_error err = { 0 };
    (void)snprintf(text, sizeof text,
                   "%s--ftp--host=%s\n%s--ftp--port=%d\n%s--ftp--username=%s\n%s--ftp--password=%s\n", prefix, host,
                   prefix, port, prefix, username != NULL ? username : "ftp", prefix,
                   password != NULL ? password : "CANARY-s3cret:/@%");
    (void)snprintf(url, sizeof url, "file:%s", file);
    REQUIRE_OK(fs_write_whole(file, str_of(text), 0600, &err), err);
    REQUIRE_OK(secrets_open(url, NULL, &s, &err), err);
    return s;
}

const char *ftpd_path(const struct ftpd *f, const char *name)
{
    static char ring[16][1024];
    static unsigned next;
    char *p = ring[next++ % ARRAY_LEN(ring)];
    (void)snprintf(p, sizeof ring[0], "%s/%s", f->root, name);
    return p;
}

static void give_away(const char *path)
{
    if (geteuid() == 0)
        REQUIRE(chown(path, NOBODY, NOBODY) == 0);
}

void ftpd_make(const struct ftpd *f, const char *folder)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s", ftpd_path(f, folder));
    for (char *p = path + strlen(f->root); p != NULL && *p != '\0';) {
        p = strchr(p + 1, '/');
        if (p != NULL)
            *p = '\0';
        if (mkdir(path, 0750) == 0)
            give_away(path);
        if (p != NULL)
            *p = '/';
    }
}

void ftpd_write(const struct ftpd *f, const char *name, const char *text)
{
    char folder[1024];
    struct pixl_error err = { 0 };
    (void)snprintf(folder, sizeof folder, "%s", name);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        *slash = '\0';
        ftpd_make(f, folder);
    }
    REQUIRE_OK(fs_write_whole(ftpd_path(f, name), str_of(text), 0640, &err), err);
    give_away(ftpd_path(f, name));
}

void ftpd_clear(const struct ftpd *f)
{
    struct pixl_error err = { 0 };
    char path[1024];
    DIR *d = opendir(f->root);
    REQUIRE(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            (void)snprintf(path, sizeof path, "%s/%s", f->root, e->d_name);
            REQUIRE_OK(fs_remove_tree(path, &err), err);
        }
    (void)closedir(d);
}

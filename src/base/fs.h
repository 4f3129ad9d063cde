/* fs.h - files and folders that are there whole or not at all.
 *
 * Owns: nothing but what struct fs_new_file holds until commit or abandon.
 * Never: leaves a half file under a final name; follows a symbolic link in the last part of a path
 *        that it writes; lets a descriptor pass to a child (all are CLOEXEC).
 * Threads: any. */
#ifndef PIXL_BASE_FS_H
#define PIXL_BASE_FS_H

#include <stdint.h>
#include <sys/types.h>

#include "arena.h"
#include "error.h"
#include "str.h"

/* dir + "/" + name in the arena; NULL when out of memory.  fs_path3 joins three. */
char *fs_path(struct arena *a, const char *dir, const char *name);
char *fs_path3(struct arena *a, const char *dir, const char *mid, const char *name);

/* Makes path and what is missing above it, with mode; existing folders stay as they are.  Each new
 * folder's parent is synced. */
PIXL_MUST_CHECK bool fs_make_dirs(const char *path, mode_t mode, struct pixl_error *err);

/* fsync of a folder: what was renamed or made in it survives a crash. */
PIXL_MUST_CHECK bool fs_sync_dir(const char *path, struct pixl_error *err);

/* A file under construction: a temporary name beside the final one (".<name>.<suffix>.part", O_EXCL; an old
 * one of the same suffix is replaced), to be committed or abandoned.
 *   fs_new_file_open   suffix: tells writers apart (a fence, a pid)
 *   fs_new_file_commit fsync, rename over the final name, fsync of the folder; fd is closed
 *   fs_new_file_abandon  closes and unlinks; a no-op after commit: made for cleanup */
struct fs_new_file {
    int fd;                      /* -1 when there is none */
    char *temp_path, *final_path;        /* malloc, owned */
};
PIXL_MUST_CHECK bool fs_new_file_open(struct fs_new_file *f, const char *final_path, const char *suffix,
                                      mode_t mode, struct pixl_error *err);
PIXL_MUST_CHECK bool fs_new_file_commit(struct fs_new_file *f, struct pixl_error *err);
void fs_new_file_abandon(struct fs_new_file *f);
#define FS_NEW_FILE_NONE ((struct fs_new_file){ .fd = -1 })
#define fs_new_file_auto PIXL_CLEANUP(fs_new_file_abandon) struct fs_new_file

/* All of data into a new file at path, as above. */
PIXL_MUST_CHECK bool fs_write_whole(const char *path, struct str data, mode_t mode, struct pixl_error *err);

/* The whole file into the arena with a NUL behind it.  Fails: NOT_FOUND, LIMIT when larger than max. */
PIXL_MUST_CHECK bool fs_read_whole(struct arena *a, const char *path, size_t max, struct str *out,
                                   struct pixl_error *err);

/* A descriptor that is closed at the end of its scope; -1: none. */
void fs_fd_closep(int *fd);
#define fs_fd_auto PIXL_CLEANUP(fs_fd_closep) int

/* write(2) and pread(2) until all is done; a short read is CORRUPT ("file is shorter than it was"). */
PIXL_MUST_CHECK bool fs_write_all(int fd, const void *p, size_t n, struct pixl_error *err);
PIXL_MUST_CHECK bool fs_pread_all(int fd, void *p, size_t n, uint64_t offset, struct pixl_error *err);

/* Copies n bytes from offset of in_fd to the current position of out_fd (copy_file_range where it works,
 * else a buffer). */
PIXL_MUST_CHECK bool fs_copy_range(int in_fd, uint64_t offset, uint64_t n, int out_fd, struct pixl_error *err);
/* Asks the kernel to begin writing these bytes to the disk, so that a later fsync finds little left; only a hint. */
void fs_start_writeback(int fd, uint64_t offset, uint64_t n);

/* Copies one file into a new file at to (temporary name, fsync, rename).  *digest (SHA-256, 32 bytes) and
 * *size_bytes of what was copied may be NULL. */
PIXL_MUST_CHECK bool fs_copy_file(const char *from, const char *to, const char *suffix, mode_t mode,
                                  uint8_t *digest, uint64_t *size_bytes, struct pixl_error *err);

/* A file without a name in dir, which is made when it is not there: nothing of it stays behind, whatever happens.
 * *fd given. */
PIXL_MUST_CHECK bool fs_open_nameless(const char *dir, int *fd, struct pixl_error *err);

/* SHA-256 and size of a file. */
PIXL_MUST_CHECK bool fs_digest(const char *path, uint8_t digest[32], uint64_t *size_bytes, struct pixl_error *err);

/* Removes a file; one that is not there is fine.  fs_remove_tree does a whole folder, never following links. */
PIXL_MUST_CHECK bool fs_remove(const char *path, struct pixl_error *err);
PIXL_MUST_CHECK bool fs_remove_tree(const char *path, struct pixl_error *err);

/* Makes link_path a relative symbolic link to target by renaming a fresh one over it.  Fails: EXISTS when
 * something that is no link is there. */
PIXL_MUST_CHECK bool fs_replace_link(const char *link_path, const char *target, struct pixl_error *err);

bool fs_is_dir(const char *path);
bool fs_exists(const char *path);
/* true when path lies on a network file system (NFS, SMB, CIFS, AFS, ...), where SQLite's locks cannot be trusted. */
bool fs_is_network(const char *path);

/* An exclusive lock on a file (flock), which says who holds it.  The file stays when the lock goes.
 *   *fd   given: close to give the lock back; inherited by nobody
 *   BUSY when another process holds it; its number is in the message */
PIXL_MUST_CHECK bool fs_lock(const char *path, int *fd, struct pixl_error *err);
/* The same, held by many at once, but by none beside fs_lock(). */
PIXL_MUST_CHECK bool fs_lock_shared(const char *path, int *fd, struct pixl_error *err);
/* Makes the one into the other.  BUSY: somebody else was faster, and the lock is lost. */
PIXL_MUST_CHECK bool fs_lock_to_shared(int fd, struct pixl_error *err);
/* Is it held?  Makes no file and writes none; whoever takes the lock in the same instant waits that long.
 *   BUSY  as fs_lock(); free, or no such file: true */
PIXL_MUST_CHECK bool fs_lock_look(const char *path, struct pixl_error *err);

#endif

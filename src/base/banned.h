/* banned.h - functions that fail to compile when named: each has a safer way in this house.
 * Forced into every source of ours by the build (-include). */
#ifndef PIXL_BASE_BANNED_H
#define PIXL_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIXL_BANNED(f) sorry_##f##_is_banned_see_base_banned_h
#undef strcpy
#define strcpy(d, s)       PIXL_BANNED(strcpy)        /* buf_add, memcpy with a checked length */
#undef strcat
#define strcat(d, s)       PIXL_BANNED(strcat)
#undef strncpy
#define strncpy(d, s, n)   PIXL_BANNED(strncpy)
#undef strncat
#define strncat(d, s, n)   PIXL_BANNED(strncat)
#undef sprintf
#define sprintf(...)       PIXL_BANNED(sprintf)       /* snprintf, buf_addf */
#undef vsprintf
#define vsprintf(d, f, a)  PIXL_BANNED(vsprintf)
#undef strtok
#define strtok(s, d)       PIXL_BANNED(strtok)        /* str_split */
#undef atoi
#define atoi(s)            PIXL_BANNED(atoi)          /* str_to_i64 */
#undef atol
#define atol(s)            PIXL_BANNED(atol)
#undef atof
#define atof(s)            PIXL_BANNED(atof)          /* str_to_double */
#undef gmtime
#define gmtime(t)          PIXL_BANNED(gmtime)        /* gmtime_r */
#undef localtime
#define localtime(t)       PIXL_BANNED(localtime)
#undef ctime
#define ctime(t)           PIXL_BANNED(ctime)
#undef tmpnam
#define tmpnam(s)          PIXL_BANNED(tmpnam)        /* fs_new_file_open */
#undef mktemp
#define mktemp(s)          PIXL_BANNED(mktemp)
#undef system
#define system(s)          PIXL_BANNED(system)        /* posix_spawn */

#endif

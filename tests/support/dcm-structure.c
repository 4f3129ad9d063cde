/* dcm-structure [--text] FILE... - prints what the reader sees, a line for each element: tag, VR, depth, length,
 * offset, and "duplicate" of one that does not count.
 *   (0008,0060) CS 0 2 350
 * Items are lines of tag (FFFE,E000) and VR "--"; an undefined length is "u", and an "h" stands before that of a sequence
 * written as a value of defined length.  A file that is refused gives "error <code> <text>".  With --text: tag, depth and
 * the value in UTF-8, in hexadecimal, of the elements whose bytes follow
 * Specific Character Set, and "?" before the tag where the decoder has doubts.  With several files each begins with
 * "file <index>".  Compared with other people's readers in tests/system/test_dicom_reader.py. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dicom/charset.h"
#include "dicom/file.h"

static void print_file(const struct dicom_file *f)
{
    for (uint32_t i = 0; i < f->n_elements; i++) {
        const struct dicom_element *e = &f->elements[i];
        printf("(%04X,%04X) %s %u ", (unsigned)DICOM_GROUP(e->tag), (unsigned)DICOM_ELEMENT_OF(e->tag),
               dicom_vr_name(e->vr), (unsigned)e->depth);
        if (e->flags & DICOM_IS_UNDEFINED)
            printf("u");
        else
            printf("%s%" PRIu64, e->flags & DICOM_IS_HIDDEN ? "h" : "", e->value_bytes);
        printf(" %" PRIu64 "%s\n", e->offset, e->flags & DICOM_IS_DUPLICATE ? " duplicate" : "");
    }
}

enum { DEPTH_MAX = 64 };

static bool print_text(struct dicom_file *f, struct pixl_error *err)
{
    struct dicom_charset at[DEPTH_MAX] = { dicom_charset_parse((struct str){ 0 }) };
    for (uint32_t i = f->meta_end; i < f->n_elements; i++) {
        const struct dicom_element *e = &f->elements[i];
        struct str value;
        bool clean;
        if ((e->flags & DICOM_IS_ITEM) && e->depth > 0 && e->depth < DEPTH_MAX)
            at[e->depth] = at[e->depth - 1];
        bool is_set = e->tag == DICOM_SPECIFIC_CHARACTER_SET;
        if (e->depth >= DEPTH_MAX || (!is_set && !dicom_vr_has_charset(e->vr)))
            continue;
        if (!dicom_value(f, i, &value, err))
            return false;
        if (is_set) {
            at[e->depth] = dicom_charset_parse(value);
            continue;
        }
        if (!dicom_charset_decode(&at[e->depth], e->vr, f->arena, value, &value, &clean, err))
            return false;
        printf("%s(%04X,%04X) %u ", clean ? "" : "?", (unsigned)DICOM_GROUP(e->tag), (unsigned)DICOM_ELEMENT_OF(e->tag),
               (unsigned)e->depth);
        for (size_t k = 0; k < value.n; k++)
            printf("%02X", (unsigned char)value.p[k]);
        printf("\n");
    }
    return true;
}

int main(int argc, char **argv)
{
    bool is_text = argc > 1 && strcmp(argv[1], "--text") == 0;
    for (int i = is_text ? 2 : 1; i < argc; i++) {
        struct pixl_error err = { 0 };
        struct dicom_source s;
        struct dicom_file f;
        struct arena a;
        arena_init(&a, (size_t)1 << 30);
        if (argc > 2 && !is_text)
            printf("file %d\n", i - 1);
        int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
        bool ok = dicom_source_fd(fd, &s, &err) && dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err);
        if (ok && is_text)
            ok = print_text(&f, &err);
        else if (ok)
            print_file(&f);
        if (!ok)
            printf("error %s %s\n", pixl_code_name(err.code), err.msg);
        if (fd >= 0)
            (void)close(fd);
        arena_done(&a);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

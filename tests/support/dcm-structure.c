/* dcm-structure FILE... - prints what the reader sees, a line for each element: tag, VR, depth, length, offset.
 *   (0008,0060) CS 0 2 350
 * Items are lines of tag (FFFE,E000) and VR "--"; an undefined length is "u".  A file that is refused gives
 * "error <code> <text>".  With several files each begins with "file <index>".  Compared with other people's readers
 * in tests/system/test_dicom_reader.py. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

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
            printf("%" PRIu64, e->value_bytes);
        printf(" %" PRIu64 "\n", e->offset);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct pixl_error err = { 0 };
        struct dicom_source s;
        struct dicom_file f;
        struct arena a;
        arena_init(&a, (size_t)1 << 30);
        if (argc > 2)
            printf("file %d\n", i - 1);
        int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
        if (dicom_source_fd(fd, &s, &err) && dicom_parse(&s, &DICOM_LIMITS_DEFAULT, &a, &f, &err))
            print_file(&f);
        else
            printf("error %s %s\n", pixl_code_name(err.code), err.msg);
        if (fd >= 0)
            (void)close(fd);
        arena_done(&a);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

/* message-codec {json|jsonpickle} - reads messages, a line each, and writes them in that form, a line each; "refused:" and
 * the error for one that is refused.  Compared with jsonpickle itself in tests/system/test_message.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/message.h"

static void translate(struct str line, enum message_form form)
{
    struct arena a;
    struct study_request r;
    struct pixl_error err = { 0 };
    buf_auto out;
    buf_init(&out, 1 << 20);
    arena_init(&a, 1 << 20);
    if (message_decode(phi_text(line), &MESSAGE_LIMITS_DEFAULT, &a, &r, &err) && message_encode(&r, form, &out, &err))
        printf("%s\n", buf_cstr(&out));
    else
        printf("refused: %s: %s\n", pixl_code_name(err.code), err.msg);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    if (argc != 2 || (strcmp(argv[1], "json") != 0 && strcmp(argv[1], "jsonpickle") != 0)) {
        fprintf(stderr, "usage: message-codec {json|jsonpickle} <LINES\n");
        return 2;
    }
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;)
        translate((struct str){ line, (size_t)n - (line[n - 1] == '\n') },
                  strcmp(argv[1], "json") == 0 ? MESSAGE_JSON : MESSAGE_JSONPICKLE);
    free(line);
    return 0;
}

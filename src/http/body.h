/* body.h - JSON bodies: reading those of requests as FastAPI reads them, and answering what is wrong in its words.
 *
 * Programs that spoke to the Python services find the same status codes and bodies:
 *   {"detail":[{"type":"missing","loc":["body","rate"],"msg":"Field required","input":{}}]}       422
 *   {"detail":"..."}                                                                               others
 * What is no JSON at all is told by line and column, never by its content.
 * Owns: nothing; trees live in the caller's arena.  Threads: any.
 * Source: responses of FastAPI with pydantic 2. */
#ifndef PIXL_HTTP_BODY_H
#define PIXL_HTTP_BODY_H

#include "base/arena.h"
#include "base/http_server.h"
#include "base/json_tree.h"

/* The body as an object.  NULL: there is none, and *an tells why (422; 500 when out of memory). */
const struct json_node *body_object(const struct http_server_request *rq, struct arena *a,
                                    struct http_server_answer *an);

/* Members of it.  false: *an tells why (422).
 * body_double: a number, or a text that is one, as Python would read it; finite.
 * body_text:   not empty; *out in the arena; must_be: false lets it be absent, *out is then empty. */
PIXL_MUST_CHECK bool body_double(const struct json_node *object, const char *name, double *out,
                                 struct http_server_answer *an);
PIXL_MUST_CHECK bool body_text(const struct json_node *object, const char *name, bool must_be, struct str *out,
                               struct http_server_answer *an);

/* {"detail":"text"} with that status; what the buffer held goes. */
void body_detail(struct http_server_answer *an, int status, const char *text);
/* The same for an error of ours: its words are for people, and name no patient. */
void body_error(struct http_server_answer *an, const struct pixl_error *err);

/* Appends a number as Python prints a float: "0.0", "2.5", "1e-05", "1e+16". */
bool body_add_double(struct buf *b, double v);

#endif

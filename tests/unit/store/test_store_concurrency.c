#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "store_helper.h"

#ifdef PIXL_SANITIZED
enum { ROWS = 100, BULK = 60000 };
#else
enum { ROWS = 200, BULK = 150000 };
#endif
enum { WORKERS = 8 };

static void fill(struct store *s, int n)
{
    struct pixl_error err = { 0 };
    struct store_populate *p = NULL;
    bool ok = false;
    for (int tries = 0; !ok && tries < 5; tries++) { /* beside somebody who never pauses it may wait in vain */
        pixl_error_clear(&err);
        ok = store_populate_begin(s, false, &p, &err);
        REQUIRE(ok || err.code == PIXL_E_BUSY);
    }
    REQUIRE_OK(ok, err);
    for (int i = 0; i < n; i++) {
        char accession[16];
        (void)snprintf(accession, sizeof accession, "A%d", i);
        struct ask a = { .mrn = "1", .accession = accession, .procedure = i };
        struct study_request r = request_of(&a);
        enum store_added what;
        REQUIRE_OK(store_populate_add(p, &r, T0, &what, NULL, &err), err);
    }
    REQUIRE_OK(store_populate_end(p, &err), err);
}

/* --- threads --------------------------------------------------------------------------------------------------- */

struct crew {
    struct store *shared;        /* NULL: each worker opens a store of its own on the same file */
    const char *url;
    atomic_int claimed[ROWS + 1], errors;
};
struct worker {
    struct crew *crew;
    char name[32];
};

static bool work_once(struct crew *crew, struct store *s, const char *name, struct arena *a, bool *got)
{
    struct pixl_error err = { 0 };
    struct store_image m;
    struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = name, .now_us = T0, .lease_us = LEASE };
    if (!store_claim_next(s, &c, a, got, &m, &err))
        return false;
    if (!*got)
        return true;
    atomic_fetch_add(&crew->claimed[m.id], 1);
    struct store_move move = move_of(m.id, m.fence, STUDY_MISSING);
    return store_move(s, &move, NULL, &err);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pixl_error err = { 0 };
    struct arena a;
    arena_init(&a, 1 << 20);
    struct store *s = w->crew->shared;
    bool got = true;
    if (s == NULL && !store_open(w->crew->url, &s, &err)) {
        atomic_fetch_add(&w->crew->errors, 1);
        return NULL;
    }
    while (got) {
        if (!work_once(w->crew, s, w->name, &a, &got)) {
            atomic_fetch_add(&w->crew->errors, 1);
            break;
        }
        arena_reset(&a);
    }
    if (w->crew->shared == NULL)
        store_close(s);
    arena_done(&a);
    return NULL;
}

static void test_claim__no_two_threads_get_one_row(void)
{
    for (int own = 0; own < 2; own++) {
        test_row(own ? "a store for each thread" : "one store");
        struct store *s = open_store();
        fill(s, ROWS);
        static struct crew crew;
        memset(&crew, 0, sizeof crew);
        crew.shared = own ? NULL : s;
        crew.url = store_url(true);
        struct worker workers[WORKERS];
        pthread_t threads[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            workers[i].crew = &crew;
            (void)snprintf(workers[i].name, sizeof workers[i].name, "w%d", i);
            REQUIRE(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
        }
        for (int i = 0; i < WORKERS; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_INT(atomic_load(&crew.errors), 0);
        int once = 0;
        for (int i = 1; i <= ROWS; i++)
            once += atomic_load(&crew.claimed[i]) == 1;
        CHECK_INT(once, ROWS);
        CHECK_INT(count_of(s).by_state[STUDY_MISSING], ROWS);
        store_close(s);
    }
}

/* --- processes ------------------------------------------------------------------------------------------------- */

static bool write_id(int fd, int64_t id)
{
    return write(fd, &id, sizeof id) == (ssize_t)sizeof id;
}

/* Claims until nothing is due and tells each number. */
static int claim_all(const char *url, const char *name, int fd)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    if (!store_open(url, &s, &err))
        return 1;
    struct arena a;
    arena_init(&a, 1 << 20);
    bool got = true, ok = true;
    while (ok && got) {
        struct store_image m;
        struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = name, .now_us = T0, .lease_us = LEASE };
        ok = store_claim_next(s, &c, &a, &got, &m, &err) && (!got || write_id(fd, m.id));
        arena_reset(&a);
    }
    arena_done(&a);
    store_close(s);
    return ok ? 0 : 2;
}

static void test_claim__no_two_processes_get_one_row(void)
{
    struct store *s = open_store();
    fill(s, ROWS);
    store_close(s);
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        REQUIRE(children[i] >= 0);
        if (children[i] == 0)
            _exit(claim_all(store_url(true), i ? "b" : "a", fds[1]));
    }
    (void)close(fds[1]);
    static int claimed[ROWS + 1];
    int64_t id;
    while (read(fds[0], &id, sizeof id) == (ssize_t)sizeof id)
        claimed[id]++;
    for (int i = 0; i < 2; i++) {
        int status = -1;
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK_INT(status, 0);
    }
    int once = 0;
    for (int i = 1; i <= ROWS; i++)
        once += claimed[i] == 1;
    CHECK_INT(once, ROWS);
}

static int open_and_add(const char *url, int i)
{
    struct pixl_error err = { 0 };
    struct store *s = NULL;
    struct store_populate *p = NULL;
    char accession[16];
    (void)snprintf(accession, sizeof accession, "A%d", i % 2);
    struct ask a = { .mrn = "1", .accession = accession };
    struct study_request r = request_of(&a);
    enum store_added what;
    if (!store_open(url, &s, &err) || !store_populate_begin(s, false, &p, &err)) {
        (void)fprintf(stderr, "    %s\n", err.msg);
        return 1;
    }
    bool ok = store_populate_add(p, &r, T0, &what, NULL, &err);
    ok = store_populate_end(p, &err) && ok;
    store_close(s);
    return ok ? 0 : 2;
}

/* All make the tables, and the same two studies, at the same moment. */
static void test_open__several_processes_make_one_store(void)
{
    for (int round = 0; round < 5; round++) {
        const char *url = store_url(false);
        pid_t children[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            children[i] = fork();
            REQUIRE(children[i] >= 0);
            if (children[i] == 0)
                _exit(open_and_add(url, i));
        }
        for (int i = 0; i < WORKERS; i++) {
            int status = -1;
            CHECK(waitpid(children[i], &status, 0) == children[i]);
            CHECK_INT(status, 0);
        }
        struct pixl_error err = { 0 };
        struct store *s = NULL;
        REQUIRE_OK(store_open(url, &s, &err), err);
        CHECK_INT(images_in(s), 2);
        CHECK_INT(count_of(s).requests, 2);
        store_close(s);
    }
}

/* A server has shorter transactions, and is slower. */
static int bulk(void)
{
    return is_postgres() ? BULK / 10 : BULK;
}

/* A populate's transactions are long, but another process gets its turn between them; on a machine that is busy with
 * more than this, one may wait in vain and has to ask again. */
static void test_populate__lets_other_processes_work(void)
{
    struct store *s = open_store();
    fill(s, 1);
    store_close(s);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct pixl_error err = { 0 };
        if (!store_open(store_url(true), &s, &err))
            _exit(1);
        fill(s, bulk());
        store_close(s);
        _exit(0);
    }
    struct pixl_error err = { 0 };
    REQUIRE_OK(store_open(store_url(true), &s, &err), err);
    int status = -1, turns = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        struct store_image m = { .id = 0 };
        bool got = false;
        struct store_claim c = { .work = STORE_WORK_RETRIEVE, .owner = ME, .now_us = T0, .lease_us = LEASE };
        if (!store_claim_next(s, &c, test_arena(), &got, &m, &err)) {
            REQUIRE(err.code == PIXL_E_BUSY);
            pixl_error_clear(&err);
        }
        turns += got;
        const struct store_move back = move_of(m.id, m.fence, STUDY_QUEUED);
        while (got && !store_move(s, &back, NULL, &err)) {
            REQUIRE(err.code == PIXL_E_BUSY);
            pixl_error_clear(&err);
        }
    }
    CHECK_INT(status, 0);
    CHECK(turns > 0);
    CHECK_INT(images_in(s), bulk());
    store_close(s);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        TEST(test_claim__no_two_threads_get_one_row),
        TEST(test_claim__no_two_processes_get_one_row),
        TEST(test_open__several_processes_make_one_store),
        TEST(test_populate__lets_other_processes_work),
    };
    return test_main(argc, argv, tests, ARRAY_LEN(tests));
}

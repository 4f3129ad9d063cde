#include "fault.h"
#include "upload_rig.h"

static struct ftpd server;
static char ca[300];
static const struct settings settings = { .ftps_timeout_s = 10 };

static bool deliver(const struct project *p, struct secrets *s, const struct upload_study *z)
{
    upload_auto *u = NULL;
    struct upload_options o = { .secrets = s, .writer = "w1", .settings = &settings };
    if (!upload_open(p, false, &o, &u, &err)) {
        CHECK(u == NULL);
        return false;
    }
    return upload_check(u, &err) && upload_check_key(u, STR("key"), &err) && upload_study(u, z, &err) &&
           upload_table(u, STR("then"), z->zip_path, "omop/public/X.parquet", &err) &&
           upload_withdraw_table(u, STR("then"), "omop/public/X.parquet", &err);
}

static void test_upload_ftps__each_allocation_fails_once(void)
{
    struct project p = project_to_ftps(&server, &ca);
    struct upload_study z = spool("content", 100);
    long n;
    for (n = 0; n < 10000; n++) {
        secrets_auto *s = ftpd_secrets(test_path("secrets.env"), "my-prefix", "localhost", server.port, NULL, NULL);
        ftpd_clear(&server);
        fault_alloc_after(n);
        bool ok = deliver(&p, s, &z);
        bool reached = fault_alloc_stop();
        test_row("allocation %ld", n);
        CHECK(ok || reached);
        CHECK(ok ? err.code == PIXL_OK : err.code == PIXL_E_NOMEM);
        pixl_error_clear(&err);
        size_t files = count_entries(ftpd_path(&server, "my-project"), NULL);
        if (ok)
            CHECK(files == 3 || files == 4);         /* marker, zip, folder of tables; a file of ours that could not be removed */
        if (fs_exists(ftpd_path(&server, ZIP)))
            check_digest(ftpd_path(&server, ZIP), &z);
        if (!reached)
            break;
    }
    CHECK(n > 15);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = { TEST(test_upload_ftps__each_allocation_fails_once) };
    arena_init(&arena, 1 << 20);
    ftpd_start(&server, NULL);
    int rc = test_main(argc, argv, tests, ARRAY_LEN(tests));
    ftpd_stop(&server);
    return rc;
}

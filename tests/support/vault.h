/* vault.h - a stand-in for Azure Key Vault beside a test program: support/vault.py, which says what it obeys. */
#ifndef PIXL_TEST_VAULT_H
#define PIXL_TEST_VAULT_H

#include "config/settings.h"

struct vault {
    int port, other_host_port, expired_port;
    char folder[512];            /* certs/ca.pem, certs/other.pem */
};
extern struct vault vault;

void vault_start(void);
void vault_stop(void);
/* Its answer; ends the test when it is "failed". */
const char *vault_do(const char *command);
/* What signs in at a port of it, trusting FOLDER/certs/<ca>.pem; in a static buffer, good until the next call. */
struct settings vault_settings(int port, const char *ca);
/* "azure:https://localhost:PORT", the same. */
const char *vault_url(int port);

#endif

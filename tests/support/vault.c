#include "vault.h"

#include <string.h>

#include "python_server.h"
#include "test.h"

struct vault vault;
static struct python_server server;

void vault_start(void)
{
    char ready[1024];
    python_server_start(&server, "vault.py", ready, sizeof ready);
    if (sscanf(ready, "%d %d %d %511s", &vault.port, &vault.other_host_port, &vault.expired_port, vault.folder) != 4)
        printf("vault.py: what is '%s'?\n", ready);
}

void vault_stop(void)
{
    python_server_stop(&server);
}

const char *vault_do(const char *command)
{
    const char *answer = python_server_ask(&server, command);
    REQUIRE(strcmp(answer, "failed") != 0);
    return answer;
}

struct settings vault_settings(int port, const char *ca)
{
    static char authority[64], ca_file[600];
    (void)snprintf(authority, sizeof authority, "https://localhost:%d", port);
    (void)snprintf(ca_file, sizeof ca_file, "%s/certs/%s.pem", vault.folder, ca);
    return (struct settings){
        .azure_tenant_id = "11111111-2222-3333-4444-555555555555",
        .azure_client_id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        .azure_client_secret = "s3~cret+v&l ue%=CANARYCLIENTSECRET",
        .azure_authority_host = authority,
        .azure_ca_file = ca_file,
        .secrets_cache_s = 600,
    };
}

const char *vault_url(int port)
{
    static char url[64];
    (void)snprintf(url, sizeof url, "azure:https://localhost:%d", port);
    return url;
}

// keyvault.mjs VAULT-URL TENANT CLIENT SECRET: Microsoft's own client of Azure Key Vault, driven by one JSON list on its standard input:
//   ["get", NAME] | ["get", NAME, VERSION] | ["set", NAME, VALUE] | ["versions", NAME], ...
// It answers with a list of what each gave: {value, version}, {versions: [...]} or {error, status}.  NODE_EXTRA_CA_CERTS names the CA.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const require = createRequire(fileURLToPath(new URL('../../../third/node/package.json', import.meta.url)))
const { ClientSecretCredential } = require('@azure/identity')
const { SecretClient } = require('@azure/keyvault-secrets')

const [url, tenant, id, secret] = process.argv.slice(2)
const credential = new ClientSecretCredential(tenant, id, secret, { authorityHost: url, disableInstanceDiscovery: true })
// The resource in the challenge is Azure's, the host is ours.
const client = new SecretClient(url, credential, { disableChallengeResourceVerification: true, retryOptions: { maxRetries: 2 } })

const calls = {
  get: async (name, version) => {
    const s = await client.getSecret(name, { version })
    return { value: s.value, version: s.properties.version, name: s.name }
  },
  set: async (name, value) => {
    const s = await client.setSecret(name, value)
    return { value: s.value, version: s.properties.version, name: s.name }
  },
  versions: async name => {
    const versions = []
    for await (const p of client.listPropertiesOfSecretVersions(name))
      versions.push({ version: p.version, enabled: p.enabled, created: p.createdOn.getTime() / 1000 })
    return { versions }
  },
}
const answers = []
for (const [what, ...args] of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    answers.push(await calls[what](...args))
  } catch (e) {
    answers.push({ error: e.code ?? e.name, status: e.statusCode ?? null, text: String(e.message) })
  }
}
console.log(JSON.stringify(answers))

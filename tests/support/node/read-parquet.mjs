// read-parquet.mjs FILE...: what hyparquet makes of parquet files, as JSON: rows, columns with their types, compression.
// A 64-bit integer is written as a string, for JSON's numbers do not hold it.  tools/get-node-packages installs the reader.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const require = createRequire(fileURLToPath(new URL('../../../third/node/package.json', import.meta.url)))
const load = name => import(pathToFileURL(require.resolve(name)))
const { parquetMetadataAsync, parquetReadObjects } = await load('hyparquet')
const { compressors } = await load('hyparquet-compressors')

const files = []
for (const path of process.argv.slice(2)) {
  const bytes = readFileSync(path) // whole, as another file may get its name meanwhile
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  const metadata = await parquetMetadataAsync(file)
  files.push({
    columns: metadata.schema.slice(1).map(c => [c.name, c.type, c.converted_type ?? null, c.repetition_type]),
    compression: [...new Set(metadata.row_groups.flatMap(g => g.columns.map(c => c.meta_data.codec)))],
    created_by: metadata.created_by ?? null,
    key_values: (metadata.key_value_metadata ?? []).map(kv => kv.key),
    rows: await parquetReadObjects({ file, metadata, compressors }),
  })
}
process.stdout.write(JSON.stringify(files, (_, v) => typeof v === 'bigint' ? String(v) : v))

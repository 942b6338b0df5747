// Serves this folder and exported files to a browser on this machine.
// node serve.mjs FILE...   prints addresses of pages that play them, until it is stopped
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, dirname, extname, normalize, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = dirname(fileURLToPath(import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }

// Godot's threads share memory, which a browser allows to pages that are cut off from others only.
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

// files: paths that are served as /files/<number>/<name>. Returns the server and its address.
export async function serve(files) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname)
    const [, folder, number] = path.split('/')
    const file = folder === 'files' ? files[number] : resolve(HERE, `.${normalize(path === '/' ? '/index.html' : path)}`)
    try {
      if (!file || (folder !== 'files' && !file.startsWith(HERE + sep))) throw new Error('outside')
      const data = await readFile(file)
      response.writeHead(200, { ...ISOLATED, 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' })
      response.end(data)
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return { server, address: `http://127.0.0.1:${server.address().port}` }
}

export const fileAddress = (files, number) => `/files/${number}/${encodeURIComponent(basename(files[number]))}`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2).map((f) => resolve(f))
  const { address } = await serve(files)
  files.forEach((f, k) => console.log(`${f}\n    ${address}/?file=${fileAddress(files, k)}`))
}

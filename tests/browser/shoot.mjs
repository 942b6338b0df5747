// Pictures of exported files at given times in three.js in headless Chromium.
// node shoot.mjs SPEC.json   with {files, times, view: {eye, target, fov}, size: [w, h], out: folder}
// writes out/<file>_<time>.png and .bin (float32 corners, see player.js), numbered.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { inBrowser } from './browser.mjs'
import { fileAddress, serve } from './serve.mjs'

const { files, times, view, size: [width, height], out } = JSON.parse(readFileSync(process.argv[2]))
const { server, address } = await serve(files)
try {
  await inBrowser({ width, height }, async (page) => {
    for (const k of files.keys()) {
      await page.goto(`${address}/?file=${fileAddress(files, k)}`)
      await page.waitForFunction('window.ready', { timeout: 60_000 })
      for (const [n, time] of times.entries()) {
        const corners = await page.evaluate((t, v) => window.pose(t, v), time, view)
        writeFileSync(join(out, `${k}_${n}.bin`), Buffer.from(corners, 'base64'))
        await page.screenshot({ path: join(out, `${k}_${n}.png`) })
      }
    }
  })
} finally {
  server.close()
}
process.exit(0)

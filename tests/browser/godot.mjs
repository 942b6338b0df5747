// What Godot makes of a character. node godot.mjs PROJECT.zip WIDTH HEIGHT   prints the JSON that godot/main.gd answers
import { inBrowser } from './browser.mjs'
import { fileAddress, serve } from './serve.mjs'

const [project, width, height] = process.argv.slice(2)
const { server, address } = await serve([project])
try {
  const answer = await inBrowser({ width: Number(width), height: Number(height) }, async (page) => {
    const said = []
    page.on('console', (message) => said.push(message.text()))
    await page.goto(`${address}/godot.html?file=${fileAddress([project], 0)}`)
    await page.waitForFunction('window.answer', { timeout: 240_000 }).catch((error) => {
      throw new Error([error.message, ...said].join('\n'))
    })
    const found = await page.evaluate('window.answer')
    if (found.error) throw new Error([found.error, ...said].join('\n'))
    return found
  })
  await new Promise((done) => process.stdout.write(JSON.stringify(answer), done))
} finally {
  server.close()
}
process.exit(0)

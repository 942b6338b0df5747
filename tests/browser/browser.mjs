// A headless Chromium with WebGL on the processor, out of an npm package.
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import chromium from '@sparticuz/chromium'
import puppeteer from 'puppeteer-core'

const MODULES = join(dirname(fileURLToPath(import.meta.url)), 'node_modules')

// The package unpacks into the temporary folder and takes whatever lies there, so it gets one of its own, which becomes
// ours when it is whole; npm removes it together with the package.
async function unpacked() {
  const folder = join(MODULES, '.chromium')
  if (!existsSync(folder)) {
    const before = process.env.TMPDIR
    const fresh = mkdtempSync(join(MODULES, '.unpacking-'))
    process.env.TMPDIR = fresh
    try {
      await chromium.executablePath()
      renameSync(fresh, folder)
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true })
      if (!existsSync(folder)) throw error  // another run was quicker
    } finally {
      if (before === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = before
    }
  }
  return join(folder, 'chromium')
}

// Runs work(page) in a page of this size and closes the browser; an error of the page's own is thrown.
export async function inBrowser({ width, height }, work) {
  const browser = await puppeteer.launch({
    executablePath: await unpacked(), args: chromium.args, headless: 'shell', defaultViewport: { width, height },
  })
  try {
    const page = await browser.newPage()
    const errors = []
    page.on('pageerror', (error) => errors.push(error.message))
    const result = await work(page).catch((error) => { throw errors.length ? new Error(errors.join('\n')) : error })
    if (errors.length) throw new Error(errors.join('\n'))
    return result
  } finally {
    await browser.close()
  }
}

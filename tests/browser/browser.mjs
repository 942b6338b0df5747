// A headless Chromium with WebGL on the processor, out of an npm package.
import chromium from '@sparticuz/chromium'
import puppeteer from 'puppeteer-core'

// Runs work(page) in a page of this size and closes the browser; what the page logs as an error is thrown.
export async function inBrowser({ width, height }, work) {
  const browser = await puppeteer.launch({
    executablePath: await chromium.executablePath(), args: chromium.args, headless: 'shell',
    defaultViewport: { width, height },
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

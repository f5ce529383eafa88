// Chromium as tests want it: with a WebGPU in software, or without any.

import { chromium } from "playwright-core";

const QUIET = ["--no-sandbox", "--disable-gpu-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** SwiftShader, which can show what it made only through Vulkan. */
const WEBGPU = [
  "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan", "--use-vulkan=swiftshader", "--use-angle=swiftshader",
];

export function launch({ webgpu = false } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: webgpu ? [...QUIET, ...WEBGPU] : QUIET,
  });
}

/** A page whose errors are kept. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  return { page, context, errors };
}

/** A page with the module, a model and a generator as globals. */
export async function openWith(browser, url, backend, model = "faces") {
  const opened = await open(browser, `${url}blank.html`);
  await opened.page.evaluate(
    async ([base, name, runs]) => {
      const fsvae = await import(`${base}fsvae.js`);
      await fsvae.default();
      const bytes = await fsvae.download(`${base}models/${name}.safetensors`);
      const network = await fsvae.Network.load(bytes, { name: `${name}.safetensors` });
      const generator = await network.generator({ backend: runs });
      const same = (a, b) => a.length === b.length && a.every((value, at) => value === b[at]);
      Object.assign(globalThis, { fsvae, bytes, network, generator, same });
    },
    [url, model, backend],
  );
  return opened;
}

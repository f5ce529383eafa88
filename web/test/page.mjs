// What the tests of the page share: a browser without WebGPU, the page at two widths, and what holds everywhere.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { launch, open } from "./browser.mjs";
import { serve } from "./server.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const rows = readFileSync(new URL("../../tests/conformance.rows", import.meta.url), "utf8").split("\n");
/** What the oracle has for an image. */
export const digestOf = (model, index, seed = 7) => rows.find((row) => row.startsWith(`${model} generate ${seed} ${index} `)).split(" ")[4];

export let server;
export let browser;
before(async () => {
  server = await serve();
  browser = await launch();
});
after(async () => {
  await browser.close();
  server.close();
});

export const SIZES = [
  ["telephone", { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true }],
  ["desktop", { viewport: { width: 1440, height: 900 } }],
];

/** The page without motion, once its wall is there. */
export async function start(options = {}, hash = "", of = browser, made = true) {
  const opened = await open(of, `${server.url}${hash}`, { reducedMotion: "reduce", ...options });
  if (made) await opened.page.locator("#wall[data-done]").waitFor({ state: "attached" });
  else await opened.page.locator("body[data-model]").waitFor();
  return opened;
}

export const picture = (page, id) => page.locator(id).evaluate((canvas) => canvas.toDataURL());
export const shoot = (page, name) => process.env.SCREENSHOTS && page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });

/** Nothing sticks out to the right, and axe finds nothing. */
export async function sound(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${what}: ${wide} pixels too wide`);
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => (await globalThis.axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
  assert.deepEqual(found, [], what);
}

// The page's own thread while images are made: it is traced, and no task of it is long.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { serve } from "./server.mjs";

/** Milliseconds of a task after which a page is said to stutter. */
const LONGEST = 50;

let server;
before(async () => (server = await serve()));
after(() => server.close());

/** Times of the tasks of the page's thread, in ms of that thread, the longest last. */
function tasks(trace, marker) {
  const { traceEvents: events } = JSON.parse(trace);
  // The process of the page is the one that left the mark.
  const { pid } = events.find(({ name, cat }) => name === marker && cat.includes("blink.user_timing"));
  const main = events.find((event) => event.pid === pid && event.name === "thread_name" && event.args.name === "CrRendererMain");
  const ours = events.filter(({ name, ph, pid: of, tid }) => name.endsWith("RunTask") && ph === "X" && of === pid && tid === main.tid);
  return ours.map(({ tdur, dur }) => (tdur ?? dur) / 1000).sort((a, b) => a - b);
}

async function traced(browser, page, act) {
  await browser.startTracing(page, { categories: ["-*", "toplevel", "blink.user_timing", "disabled-by-default-devtools.timeline"] });
  await page.evaluate(() => performance.mark("fsvae-traced"));
  await act();
  // A task is written down when it has ended, which its answer does not wait for: one more comes behind it.
  await page.evaluate(() => new Promise((done) => setTimeout(done, 0)));
  return tasks((await browser.stopTracing()).toString(), "fsvae-traced");
}

for (const backend of ["cpu", "webgpu"]) {
  test(`images are made without a long task (${backend})`, async () => {
    const browser = await launch({ webgpu: backend === "webgpu" });
    try {
      const { page, errors } = await open(browser, `${server.url}#count=4`);
      await page.locator("#wall[data-done]").waitFor({ state: "attached" });
      await page.locator("#backend").selectOption(backend);
      await page.waitForFunction((of) => document.body.dataset.backend === of, backend);
      const count = backend === "cpu" ? 256 : 64;
      const found = await traced(browser, page, async () => {
        await page.locator("#count").fill(String(count));
        await page.locator("#seed").fill("3");
        await page.locator("#make-form button[type=submit]").click();
        // It plays when it is there.
        await page.locator(`#wall[data-done="faces,3,0,${count}"]`).waitFor();
        await page.locator("#play").getByText("Play").waitFor();
        await page.locator("#step").fill("5");
        await Promise.all([page.waitForEvent("download"), page.locator("#save-wall-gif").click()]);
        await page.locator("#look").click();
        await page.locator("#inside[data-done]").waitFor();
        await page.locator("#tab-draw").click();
        await page.locator("#remade[data-done]").waitFor();
      });
      assert.ok(found.length > 100, `${found.length} tasks are traced`);
      console.log(`${backend}: the longest of ${found.length} tasks took ${found.at(-1).toFixed(1)} ms`);
      assert.ok(found.at(-1) <= LONGEST, `${found.at(-1)} ms`);
      // What is long would be seen.
      const long = await traced(browser, page, () =>
        page.evaluate(() => {
          const end = performance.now() + 300;
          for (let n = 0; performance.now() < end; n += 1) Math.sqrt(n);
        }),
      );
      assert.ok(long.at(-1) > LONGEST, `${long.at(-1)} ms`);
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
  });
}

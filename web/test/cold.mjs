// How long is it from an address to the first image, with nothing kept, on a line of 20 Mbit/s? `node test/cold.mjs` prints it.

import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";

const LINE = { bitsPerSecond: 20e6, latency: 20 };
const RUNS = 5;

for (const model of ["faces-esvae", "faces", "mnist"]) {
  const times = [];
  let bytes;
  for (let run = 0; run < RUNS; run += 1) {
    // All connections of a server share its line; a browser of its own keeps nothing.
    const server = await serve({ line: LINE });
    const browser = await launch();
    try {
      // What the service worker fetches for the time without a network comes on top, and would be on the line, too.
      const page = await (await browser.newContext({ serviceWorkers: "block" })).newPage();
      const start = performance.now();
      await page.goto(`${server.url}#model=${model}&count=64`, { waitUntil: "commit" });
      await page.waitForFunction(() => /^[0-9a-f]{64}$/.test(document.getElementById("digest")?.textContent), undefined, { polling: 10 });
      times.push((performance.now() - start) / 1000);
      bytes = server.sent.bytes;
    } finally {
      await browser.close();
      server.close();
    }
  }
  times.sort((a, b) => a - b);
  const shown = (seconds) => seconds.toFixed(2);
  console.log(`${model}: ${shown(times[RUNS >> 1])} s (${shown(times[0])} to ${shown(times.at(-1))}, ${RUNS} runs), ${(bytes / 1e6).toFixed(2)} MB, of which the line alone takes ${shown((8 * bytes) / LINE.bitsPerSecond)} s`);
}

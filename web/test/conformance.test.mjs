// The rows of ../../tests/conformance.rows, which come from the oracle, in a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { serve } from "./server.mjs";

const text = readFileSync(new URL("../../tests/conformance.rows", import.meta.url), "utf8");
const models = new Map();
for (const line of text.trim().split("\n")) {
  const [model, task, seed, index, pixels, latents] = line.split(" ");
  if (!models.has(model)) models.set(model, []);
  models.get(model).push({ task, seed, index, pixels, latents });
}
/** Every how manieth row: SwiftShader takes a tenth of a second an image and more, and most for those of the large models. */
const EVERY = { webgpu: { random: 7, bundled: 13 }, cpu: { random: 1, bundled: 1 } };

let server;
before(async () => (server = await serve()));
after(() => server.close());

/** Runs in the browser: rows that are not as the oracle says. */
async function check({ base, simd, backend, file, rows }) {
  const { default: init, Network, digest } = await import(`${base}fsvae.js`);
  const { picture } = await import(`${base}pictures.mjs`);
  const { build } = await init({ simd });
  const bytes = new Uint8Array(await (await fetch(`${base}${file}`)).arrayBuffer());
  const network = await Network.load(bytes);
  const generator = await network.generator({ backend });

  async function input(name) {
    if (name.startsWith("sample")) return generator.generate(0n, BigInt(name.slice(6)), 1);
    return picture(name, network.architecture);
  }

  const wrong = [];
  for (const [at, { task, seed, index, pixels, latents }] of rows.entries()) {
    const [numbers, given] = [[BigInt(seed), BigInt(index)], task.startsWith("reconstruct:")];
    const image = given ? await input(task.slice(12)) : undefined;
    const drawn = given ? await generator.encode(image, ...numbers) : await generator.sample(...numbers, 1);
    const made = [await generator.decode(drawn)];
    // Both steps at once, which is the same work again.
    if (at % 4 === 0) made.push(given ? await generator.reconstruct(image, ...numbers) : await generator.generate(...numbers, 1));
    const digests = await Promise.all([drawn, ...made].map(digest));
    const right = (!latents || digests[0] === latents) && digests.slice(1).every((found) => found === pixels);
    if (!right) wrong.push(`${task} ${seed} ${index}`);
  }
  return { build, backend: generator.backend, wrong };
}

for (const [name, backend, simd] of [
  ["WebAssembly with SIMD", "cpu", true],
  ["WebAssembly without SIMD", "cpu", false],
  ["WebGPU", "webgpu", true],
]) {
  test(`rows on ${name}`, async () => {
    const browser = await launch({ webgpu: backend === "webgpu" });
    try {
      const { page, errors } = await open(browser, `${server.url}blank.html`);
      let checked = 0;
      const slowest = [];
      const start = performance.now();
      for (const [model, all] of models) {
        const random = /^\d+$/.test(model);
        if (random && !process.env.FSVAE_MODELS) continue;
        const rows = all.filter((_, n) => n % EVERY[backend][random ? "random" : "bundled"] === 0);
        const file = random ? `random/${model}.safetensors` : `models/${model}.safetensors`;
        const before = performance.now();
        const result = await page.evaluate(check, { base: server.url, simd, backend, file, rows });
        slowest.push([Math.round(performance.now() - before), model]);
        assert.equal(result.build, simd ? "simd" : "plain");
        assert.equal(result.backend.name, backend);
        assert.deepEqual(result.wrong, [], `model ${model}`);
        checked += rows.length;
      }
      assert.ok(checked >= 30, `${checked} rows`);
      assert.deepEqual(errors, []);
      console.log(slowest.sort((a, b) => b[0] - a[0]).map(String).join(" "));
      console.log(`${name}: ${checked} rows as the oracle's in ${Math.round((performance.now() - start) / 1000)} s`);
    } finally {
      await browser.close();
    }
  });
}

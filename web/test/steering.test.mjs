// Directions, bit for bit, against the rows of ../../tests/rates.rows, which come from the oracle.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { launch, openWith } from "./browser.mjs";
import { serve } from "./server.mjs";

const MODEL = "faces-esvae";
/** Rows of directions; SwiftShader takes every other one. */
const rows = readFileSync(new URL("../../tests/rates.rows", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => line.split(" "))
  .filter(([model, task]) => model === MODEL && /^(prior|posterior):/.test(task))
  .map(([, task, seed, index, ...digests]) => ({ task, seed, index, digests }));

let server;
before(async () => (server = await serve()));
after(() => server.close());

/** Runs in the browser: what the rows must be. */
async function steered({ base, rows }) {
  const { picture } = await import(`${base}pictures.mjs`);
  const image = (name) => picture(name, network.architecture);
  const without = ["uniform0", "uniform1", "uniform37", "uniform127", "uniform128", "uniform254", "uniform255"].map(image);
  const withIt = ["ramp", "noise", "disc"].map(image);
  const joined = (images) => Uint8Array.from(images.flatMap((pixels) => Array.from(pixels)));
  const found = [];
  for (const { task, seed, index } of rows) {
    const numbers = [BigInt(seed), BigInt(index)];
    // The oracle has numbered all ten in one row.
    const rates = [await generator.rates(joined(withIt), numbers[0], 7n), await generator.rates(joined(without), numbers[0])];
    const direction = network.direction(...rates);
    const parts = task.split(":");
    const start = parts[0] === "prior" ? await generator.sample(...numbers, 1) : await generator.encode(image(parts[1]), ...numbers);
    const latents = network.along(start, direction, Number(parts.at(-1)), ...numbers);
    const bytes = new Uint8Array(direction.buffer, direction.byteOffset, direction.byteLength);
    found.push(await Promise.all([bytes, latents, await generator.decode(latents)].map(fsvae.digest)));
  }
  return found;
}

for (const backend of ["cpu", "webgpu"]) {
  test(`directions on ${backend}`, async () => {
    const some = backend === "cpu" ? rows : rows.filter((_, n) => n % 4 === 1);
    assert.ok(some.length >= 5, `${some.length} rows`);
    const browser = await launch({ webgpu: backend === "webgpu" });
    try {
      const { page, errors } = await openWith(browser, server.url, backend, MODEL);
      const found = await page.evaluate(steered, { base: server.url, rows: some });
      assert.deepEqual(found, some.map(({ digests }) => digests));
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
  });
}

test("what does not fit is said in a line", async () => {
  const browser = await launch();
  try {
    const { page } = await openWith(browser, server.url, "cpu", MODEL);
    const lines = await page.evaluate(async () => {
      const { timeSteps: steps, latentChannels: channels } = network.architecture;
      const [rates, latents] = [new Uint16Array(channels), new Uint8Array(steps * channels)];
      const acts = [
        () => network.direction([1, 2], rates),
        () => network.direction(rates, new Uint16Array(channels - 1)),
        () => network.direction(rates, new Uint16Array(0)),
        () => network.along(latents, new Int32Array(channels), "far", 7n),
        () => network.along(latents, new Int32Array(channels), Number.NaN, 7n),
        () => network.along(latents, new Int32Array(1), 1, 7n),
        () => network.along(latents, rates, 1, 7n),
        () => generator.rates(new Uint8Array(5), 7n),
      ];
      const lines = [];
      for (const act of acts) lines.push(await (async () => act())().then(() => "no error", ({ code, message }) => `${code}: ${message}`));
      return lines;
    });
    const expected = [
      /^input: expected rates as a Uint16Array, found Array$/, /^input: \d+ numbers are no rates of C = \d+$/, /^input: 0 numbers are no rates/,
      /^input: amount: expected a number, found "far"$/, /^input: no direction can be gone NaN times/, /^input: expected rates of C = \d+ channels, found C = 1$/,
      /^input: expected a direction as a Int32Array, found Uint16Array$/, /^input: expected images of \d+ bytes .* found 5 bytes$/,
    ];
    lines.forEach((line, at) => assert.match(line, expected[at]));
    assert.equal(lines.length, expected.length);
  } finally {
    await browser.close();
  }
});

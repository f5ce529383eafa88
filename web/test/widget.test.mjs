// The widget of the Python package, loaded as anywidget loads it, with a model that answers as Python does.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { open } from "./browser.mjs";
import { cpu, gpu, server } from "./stage.mjs";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const script = read("python/fsvae/widget/widget.js");
/** Digests of the oracle, by index. */
const expected = read("tests/conformance.rows")
  .split("\n")
  .map((line) => line.split(" "))
  .filter(([model, task, seed]) => model === "faces" && task === "generate" && seed === "7")
  .map(([, , , , pixels]) => pixels);

/** Runs in the browser: a widget in the page, its model as `model`, and how to wait for what it says. */
async function start([base, text, traits, damaged]) {
  const files = ["fsvae.js", "simd/bindings.js", "simd/bindings_bg.wasm", "models/faces.safetensors"];
  const listeners = {};
  const state = { model: "faces", backend: "cpu", seed: "7", first: "0", count: 5, columns: null, step: null, chosen: null, status: "", ...traits };
  const tell = (event, ...told) => [...(listeners[event] ?? [])].forEach((listener) => listener(...told));
  const model = {
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      tell(`change:${name}`);
    },
    save_changes: () => undefined,
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
    async send({ kind }) {
      const buffers = await Promise.all(files.map(async (file) => new DataView(await (await fetch(base + file)).arrayBuffer())));
      if (damaged) buffers[3] = new DataView(new ArrayBuffer(64));
      tell("msg:custom", { kind }, buffers);
    },
  };
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const widget = (await import(url)).default();
  const ends = [widget.initialize({ model })];
  const el = document.body.appendChild(document.createElement("div"));
  ends.push(widget.render({ model, el }));
  const said = async (what) => {
    while (!what.test(state.status)) await new Promise((resolve) => setTimeout(resolve, 20));
    return state.status;
  };
  const canvas = el.querySelector("canvas");
  /** The digest of the n-th image on the canvas, of `columns` in a row. */
  const digest = async (n, columns, side = 16) => {
    const { data } = canvas.getContext("2d").getImageData((n % columns) * side, Math.floor(n / columns) * side, side, side);
    const pixels = data.filter((_, at) => at % 4 < 3);
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", pixels));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const listening = () => Object.values(listeners).reduce((sum, set) => sum + set.size, 0);
  Object.assign(globalThis, { model, el, canvas, said, digest, ends, listening });
}

async function widget(browser, traits, damaged = false) {
  const opened = await open(browser, `${server.url}blank.html`, { reducedMotion: traits.motion ?? "reduce" });
  await opened.page.evaluate(start, [server.url, script, traits, damaged]);
  return opened;
}

for (const backend of ["cpu", "gpu"]) {
  test(`a widget shows the images of its seed (${backend})`, async () => {
    const { page, context, errors } = await widget(backend === "cpu" ? cpu : gpu, { backend });
    const status = await page.evaluate(() => said(/^Made/));
    assert.match(status, backend === "cpu" ? /the CPU, in WebAssembly$/ : /SwiftShader/i);
    const shown = await page.evaluate(() => Promise.all([0, 1, 2, 3, 4].map((n) => digest(n, 3))));
    assert.deepEqual(shown, expected.slice(0, 5));
    assert.deepEqual(errors, []);
    await context.close();
  });
}

test("controls set traits, and traits what is shown", async () => {
  const { page, context, errors } = await widget(cpu, { seed: "1", count: 1 });
  await page.evaluate(() => said(/^Made/));
  await page.getByRole("textbox", { name: "seed" }).fill("18446744073709551616");
  await page.getByRole("textbox", { name: "seed" }).press("Enter");
  await page.getByText(/seed: expected a number from 0 to 18446744073709551615, found "18446744073709551616"/).waitFor();
  assert.equal(await page.evaluate(() => model.get("seed")), "1");
  await page.evaluate(() => model.set("status", ""));
  await page.getByRole("textbox", { name: "seed" }).fill("7");
  await page.getByRole("textbox", { name: "seed" }).press("Enter");
  await page.evaluate(() => said(/^Made/));
  assert.equal(await page.evaluate(() => model.get("seed")), "7");
  assert.equal(await page.evaluate(() => digest(0, 1)), expected[0]);
  await page.evaluate(() => {
    model.set("status", "");
    model.set("first", "2");
    model.set("count", 4);
  });
  await page.evaluate(() => said(/^Made/));
  assert.equal(await page.evaluate(() => digest(1, 2)), expected[3]);
  await page.evaluate(() => model.set("step", 1));
  assert.notEqual(await page.evaluate(() => digest(1, 2)), expected[3]);
  assert.match(await page.locator("output").textContent(), /^1 of 16$/);
  await page.getByRole("slider").fill("16");
  assert.equal(await page.evaluate(() => model.get("step")), 16);
  assert.equal(await page.evaluate(() => digest(1, 2)), expected[3]);
  const { width, height } = await page.locator("canvas").boundingBox();
  await page.locator("canvas").click({ position: { x: width * 0.25, y: height * 0.75 } });
  assert.equal(await page.evaluate(() => model.get("chosen")), "4");
  await page.evaluate(() => ends[1]());
  assert.equal(await page.evaluate(() => listening()), 0, "a view that is gone hears nothing");
  assert.deepEqual(errors, []);
  await context.close();
});

test("images form", async () => {
  const { page, context } = await widget(cpu, { count: 1, motion: "no-preference" });
  const steps = await page.evaluate(async () => {
    const seen = [];
    while (seen.at(-1) !== "16 of 16") {
      const shown = el.querySelector("output").textContent;
      if (shown && shown !== seen.at(-1)) seen.push(shown);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return seen;
  });
  assert.deepEqual(steps, Array.from({ length: 16 }, (_, t) => `${t + 1} of 16`));
  await page.evaluate(() => said(/^Made/));
  assert.equal(await page.evaluate(() => digest(0, 1)), expected[0]);
  await context.close();
});

test("what cannot be opened is said", async () => {
  const { page, context } = await widget(cpu, {}, true);
  assert.match(await page.evaluate(() => said(/./)), /^faces: /);
  await context.close();
});

// The page by its controls, on a telephone and on a desktop.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { launch } from "./browser.mjs";
import { browser, digestOf, picture, server, shoot, SIZES, sound, start } from "./page.mjs";

for (const [size, options] of SIZES) {
  for (const colorScheme of ["light", "dark"]) {
    test(`all parts, ${size}, ${colorScheme}`, async () => {
      const { page, context, errors } = await start({ ...options, colorScheme });
      const name = `${size}-${colorScheme}`;

      assert.match(await page.locator("#status").textContent(), /^WebGPU is not available here: no GPU adapter found.* WebAssembly with SIMD is used/);
      await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("faces", 0));
      const ended = await picture(page, "#wall");
      await page.locator("#step").fill("3");
      assert.equal(await page.locator("#step-shown").textContent(), "3 of 16");
      assert.notEqual(await picture(page, "#wall"), ended);
      await page.locator("#step").fill("16");
      assert.equal(await picture(page, "#wall"), ended);
      // The second image of the wall.
      const box = await page.locator("#wall").boundingBox();
      await page.locator("#wall").click({ position: { x: (box.width / 8) * 1.5, y: box.height / 16 } });
      assert.equal(await page.locator("#chosen").inputValue(), "1");
      await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("faces", 1));
      assert.match(page.url(), /#part=make&model=faces&seed=7&first=0&count=64&image=1$/);
      await sound(page, `make ${name}`);
      await shoot(page, `make-${name}`);

      await page.locator("#look").click();
      await page.locator("#inside[data-done]").waitFor();
      await page.locator("#layer").selectOption("decoder.1");
      assert.match(await page.locator("#inside-said").textContent(), /^decoder\.1: [\d,]+ neurons, [\d,]+ fire at this time step/);
      const map = await picture(page, "#map");
      await page.locator("#inside-step").fill("2");
      assert.notEqual(await picture(page, "#map"), map);
      await page.locator("#map").hover({ position: { x: 5, y: 5 } });
      assert.match(await page.locator("#inside-said").textContent(), /channel 0, row \d+, column \d+: [|·]{16} \(\d+ spikes\)$/);
      assert.ok((await page.locator("#work tr").count()) >= 5);
      await sound(page, `inside ${name}`);
      await shoot(page, `inside-${name}`);

      await page.locator("#tab-draw").click();
      await page.locator("#remade[data-done]").waitFor();
      const empty = await picture(page, "#remade");
      const sheet = await page.locator("#sheet").boundingBox();
      await page.mouse.move(sheet.x + 60, sheet.y + 50);
      await page.mouse.down();
      await page.mouse.move(sheet.x + 120, sheet.y + 150, { steps: 5 });
      await page.mouse.up();
      await page.waitForFunction((before) => document.getElementById("remade").toDataURL() !== before, empty);
      await page.locator("#walk-form button").click();
      await page.locator("#walk[data-done]").waitFor();
      const from = await picture(page, "#walk");
      await page.locator("#way").fill("24");
      assert.notEqual(await picture(page, "#walk"), from);
      await page.locator("#with-drawing").click();
      await page.locator("#direction-form button[type=submit]").click();
      await page.locator("#directed[data-done]").waitFor();
      assert.equal(await page.locator("#with-said").textContent(), "and 1 of your own");
      const still = await picture(page, "#directed");
      await page.locator("#amount").fill("24");
      assert.equal(await page.locator("#amount-shown").textContent(), "3.00");
      assert.notEqual(await picture(page, "#directed"), still);
      await sound(page, `draw ${name}`);
      await shoot(page, `draw-${name}`);

      await page.locator("#tab-measure").click();
      await sound(page, `measure ${name}`);
      assert.deepEqual(errors, []);
      await context.close();
    });
  }
}

test("an address is an image", async () => {
  const { page, context, errors } = await start({}, "#part=make&model=mnist&seed=7&first=0&count=16&image=9");
  await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("mnist", 9));
  await page.locator("#model").selectOption("fashion");
  await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("fashion", 9));
  assert.match(page.url(), /model=fashion/);
  assert.deepEqual(errors, []);
  await context.close();
});

/** What Chromium's own decoder finds in an animation: sizes and times in ms; its pictures stay in the page. */
async function decoded(page, path) {
  return page.evaluate(async (base64) => {
    const data = await (await fetch(`data:image/gif;base64,${base64}`)).arrayBuffer();
    const decoder = new ImageDecoder({ data, type: "image/gif" });
    await decoder.tracks.ready;
    await decoder.completed;
    const { frameCount, repetitionCount } = decoder.tracks.selectedTrack;
    const pictures = [];
    globalThis.animation = [];
    for (let frameIndex = 0; frameIndex < frameCount; frameIndex += 1) {
      const { image } = await decoder.decode({ frameIndex });
      const { displayWidth: width, displayHeight: height } = image;
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.drawImage(image, 0, 0);
      globalThis.animation.push(context.getImageData(0, 0, width, height).data);
      pictures.push([width, height, image.duration / 1000]);
    }
    return { endless: repetitionCount === Infinity, pictures };
  }, readFileSync(path).toString("base64"));
}

test("an image and a wall are saved as they form", async () => {
  const { page, context, errors } = await start({}, "#count=6");
  const saved = async (button) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator(button).click()]);
    return { name: download.suggestedFilename(), ...(await decoded(page, await download.path())) };
  };
  /** How far the animation is from a canvas at a time step, enlarged: at most, and on average. */
  const off = async (id, step) => {
    await page.locator("#step").fill(String(step));
    return page.locator(id).evaluate((canvas, step) => {
      const seen = globalThis.animation[step - 1];
      const scale = Math.sqrt(seen.length / 4 / canvas.width / canvas.height);
      const context = new OffscreenCanvas(canvas.width * scale, canvas.height * scale).getContext("2d");
      context.imageSmoothingEnabled = false;
      context.drawImage(canvas, 0, 0, canvas.width * scale, canvas.height * scale);
      const { data } = context.getImageData(0, 0, canvas.width * scale, canvas.height * scale);
      const differences = data.map((value, n) => Math.abs(value - seen[n]));
      return [differences.reduce((a, b) => Math.max(a, b), 0), differences.reduce((a, b) => a + b, 0) / data.length];
    }, step);
  };
  const shapes = (width, height) => Array.from({ length: 16 }, (_, n) => [width, height, n === 15 ? 1500 : 100]);
  await page.locator("#chosen").fill("2");
  await page.locator("#chosen").press("Enter");
  const one = await saved("#save-one-gif");
  assert.deepEqual(one, { name: "faces-7-2.gif", endless: true, pictures: shapes(400, 400) });
  // An image has no more pixels than a GIF has colours: each is as it is.
  for (const step of [1, 7, 16]) assert.deepEqual(await off("#one", step), [0, 0], `time step ${step}`);

  const wall = await saved("#save-wall-gif");
  assert.deepEqual(wall, { name: "faces-7-0.gif", endless: true, pictures: shapes(384, 256) });
  // Of more colours, those are near.
  for (const step of [1, 16]) {
    const [most, mean] = await off("#wall", step);
    assert.ok(most <= 40 && mean < 4, `time step ${step}: off by ${most}, on average ${mean}`);
  }

  // Grey pictures have 256 colours at most, and codes of all lengths.
  await page.locator("#model").selectOption("mnist");
  await page.locator("#wall[data-done^=mnist]").waitFor();
  await saved("#save-wall-gif");
  assert.deepEqual(await off("#wall", 16), [0, 0]);
  assert.deepEqual(errors, []);
  await context.close();
});

/** What `fsvae generate --first 11 --along` makes at amounts of 0, 1.5 and -3, of `fsvae direction` and images 0, 1, 2, 5 against 9, 3. */
const DIRECTED = [
  "10019623accb6d66c6e76a268f036d2a20682d0b66b0d87881af7c15e0d3ad68",
  "d5404b02d65a2aea11de886cb48c4999a4f845827c4c99fad1422d1243c4ca5f",
  "c9d60e366b766c8d6ecccdb16c1c0fa91d0512e6aadb6b560496d894bfc84ec0",
];

test("a direction is that of the command line", async () => {
  const { page, context, errors } = await start({}, "#model=faces-esvae&count=4");
  await page.locator("#tab-draw").click();
  await page.locator("#remade[data-done]").waitFor();
  await page.locator("#with-numbers").fill("0-2, 5");
  await page.locator("#without-numbers").fill("9 3");
  await page.locator("#go-image").fill("11");
  await page.locator("#direction-form button[type=submit]").click();
  await page.locator("#directed[data-done]").waitFor();
  const digestAt = async (amount) => {
    await page.locator("#amount").fill(String(12 + 4 * amount));
    return page.locator("#directed").evaluate(async (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const { digest } = await import("./fsvae.js");
      return digest(Uint8Array.from(data.filter((_, n) => n % 4 < 3)));
    });
  };
  const found = [];
  for (const amount of [0, 1.5, -3]) found.push(await digestAt(amount));
  assert.deepEqual(found, DIRECTED);
  assert.equal(await page.locator("#with-set").evaluate((canvas) => canvas.width), 4 * 16);
  for (const [numbers, line] of [["3-1", /^With it: expected numbers of images such as 0-7, 12, found "3-1"$/], ["", /^With it: expected 1 to 256 images, found 0$/], ["0-256", /^With it: expected at most 256 images, found 0-256$/]]) {
    await page.locator("#with-numbers").fill(numbers);
    await page.locator("#direction-form button[type=submit]").click();
    await page.locator("#trouble:not([hidden])").waitFor();
    assert.match(await page.locator("#trouble").textContent(), line);
  }
  assert.deepEqual(errors, []);
  await context.close();
});

test("the keyboard is enough", async () => {
  const { page, context, errors } = await start();
  await page.locator("#seed").focus();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("0");
  await page.keyboard.press("Enter");
  await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("faces", 0, 0));
  await page.locator("#tab-make").focus();
  await page.keyboard.press("ArrowRight");
  await page.locator("#inside[data-done]").waitFor();
  await page.keyboard.press("ArrowRight");
  await page.locator("#remade[data-done]").waitFor();
  await page.locator("#sheet").focus();
  const before = await page.locator("#remade").getAttribute("data-done");
  await page.keyboard.press(" ");
  await page.waitForFunction((done) => document.getElementById("remade").dataset.done !== done, before);
  // What Space has drawn is there: the rest is the arrows'.
  const dot = await picture(page, "#remade");
  for (let n = 0; n < 8; n += 1) await page.keyboard.press("ArrowUp");
  await page.waitForFunction((drawn) => document.getElementById("remade").toDataURL() !== drawn, dot);
  assert.match(await page.locator("#pen-said").textContent(), /^Pen down at 128, 32\.$/);
  assert.deepEqual(errors, []);
  await context.close();
});

test("wrong input is said, and what was there goes on", async () => {
  const { page, context, errors } = await start();
  const trouble = page.locator("#trouble:not([hidden])");
  await page.locator("#file").setInputFiles({ name: "broken.safetensors", mimeType: "", buffer: Buffer.from("no model at all") });
  await trouble.waitFor();
  assert.match(await trouble.textContent(), /^broken\.safetensors: /);
  assert.equal(await page.locator("#model").inputValue(), "faces");
  await page.locator("#seed").fill("seven");
  await page.locator("#make-form button[type=submit]").click();
  await page.waitForFunction(() => /^Seed: expected a number/.test(document.getElementById("trouble").textContent));
  await page.locator("#seed").fill("0");
  await page.locator("#make-form button[type=submit]").click();
  await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("faces", 0, 0));
  assert.equal(await page.locator("#trouble").isHidden(), true);
  // What follows stops a wall that is being made: it is made all the same.
  const whole = (seed) => page.locator(`#wall[data-done="faces,${seed},0,256"]`).waitFor();
  const making = () => page.waitForFunction(() => /^\d+ of 256 images$/.test(document.getElementById("status").textContent));
  await page.locator("#count").fill("256");
  await page.locator("#make-form button[type=submit]").click();
  await making();
  await page.locator("#backend").selectOption("webgpu");
  await trouble.waitFor();
  assert.match(await trouble.textContent(), /^no GPU adapter found/);
  assert.equal(await page.locator("#model").inputValue(), "faces");
  assert.equal(await page.locator("#backend").inputValue(), "auto");
  await whole(0);
  await page.locator("#seed").fill("7");
  await page.locator("#make-form button[type=submit]").click();
  await making();
  await page.evaluate(() => {
    const folder = { name: "folder", type: "", size: 0, arrayBuffer: async () => Promise.reject(new Error("not a file")) };
    dispatchEvent(Object.assign(new Event("drop"), { dataTransfer: { files: [folder] } }));
  });
  await page.waitForFunction(() => document.getElementById("trouble").textContent === "folder: not a file");
  await whole(7);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a model that cannot be opened is not kept, and the one before it is shown", async () => {
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.setDefaultTimeout(60_000);
  const trouble = (start) => page.waitForFunction((text) => document.getElementById("trouble").textContent.startsWith(text), start);
  const digest = (expected) => page.waitForFunction((found) => document.getElementById("digest").textContent === found, expected);
  const broken = (route) => route.fulfill({ body: "<!doctype html>" });
  await context.route("**/models/*", broken);
  await page.goto(`${server.url}#count=4`);
  await trouble("faces: ");
  // No control of a page without a model throws.
  assert.equal(await page.locator("#model").inputValue(), "");
  await page.locator("#make-form button[type=submit]").click();
  await page.locator("#play").click();
  await page.locator("#step").fill("3");
  await page.locator("#chosen").fill("2");
  await page.locator("#chosen").press("Enter");
  assert.equal(await page.locator("#trouble").isHidden(), true);
  assert.equal(await page.locator("#save-one").isDisabled(), true);
  await page.locator("#tab-measure").click();
  await page.locator("#go").click();
  await trouble("no model is loaded yet");
  await page.locator("#tab-make").click();
  await page.locator("#chosen").fill("0");
  await page.locator("#chosen").press("Enter");
  await context.unroute("**/models/*", broken);
  await page.locator("#model").selectOption("faces");
  await digest(digestOf("faces", 0));
  assert.equal(await page.locator("#trouble").isHidden(), true);
  assert.equal(await page.locator("#save-one").isEnabled(), true);
  // An address whose model is not there.
  await context.route("**/models/*", broken);
  await page.evaluate(() => (location.hash = "#part=make&model=mnist&seed=0&first=0&count=4&image=0"));
  await trouble("mnist: ");
  await digest(digestOf("faces", 0, 0));
  assert.equal(await page.locator("#model").inputValue(), "faces");
  assert.equal(await page.locator("#seed").inputValue(), "0");
  assert.match(page.url(), /model=faces&seed=0/);
  await context.unroute("**/models/*", broken);
  await page.evaluate(() => (location.hash = "#part=make&model=mnist&seed=7&first=0&count=16&image=9"));
  await digest(digestOf("mnist", 9));
  assert.equal(await page.locator("#model").inputValue(), "mnist");
  assert.deepEqual(errors, []);
  await context.close();
});

test("an own model is used", async () => {
  const { page, context, errors } = await start();
  const file = new URL("../dist/models/mnist.safetensors", import.meta.url);
  await page.locator("#file").setInputFiles({ name: "mine.safetensors", mimeType: "", buffer: readFileSync(file) });
  await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("mnist", 0));
  assert.doesNotMatch(page.url(), /model=/);
  assert.deepEqual(errors, []);
  await context.close();
});

test("without a network it works from the second time on", async () => {
  const { page, context } = await start();
  await page.evaluate(async () => (await navigator.serviceWorker.ready).active);
  await page.waitForFunction(async () => {
    const [name] = (await caches.keys()).filter((key) => key.startsWith("fsvae-page-"));
    return name && Boolean(await (await caches.open(name)).match("fsvae.js"));
  });
  await context.setOffline(true);
  await page.reload();
  await page.locator("#wall[data-done]").waitFor({ state: "attached" });
  await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("faces", 0));
  // What verifies is there, too, though it was never asked for.
  await page.locator("#tab-measure").click();
  await page.locator("#go").click();
  await page.waitForFunction(() => /^Verifying, [1-9]/.test(document.getElementById("measure-said").textContent));
  await context.close();
});

test("WebGPU makes the same, and its device may go away", async () => {
  const gpu = await launch({ webgpu: true });
  try {
    const context = await gpu.newContext({ reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    // Workers have no other way in: their program is given a handle to the devices.
    await page.route("**/worker.js", async (route) => {
      const body = `const request = GPUAdapter.prototype.requestDevice;
        GPUAdapter.prototype.requestDevice = async function (...given) {
          const device = await request.apply(this, given);
          addEventListener("message", ({ data }) => { if (data.what === "wall" && data.wanted.seed === 99n && !self.gone) { device.lost.then(() => (self.gone = true)); device.destroy(); } }, { capture: true });
          return device;
        };`;
      const response = await route.fetch();
      await route.fulfill({ response, body: `${body}\n${await response.text()}` });
    });
    await page.goto(`${server.url}#count=4`);
    await page.locator("#wall[data-done]").waitFor({ state: "attached" });
    assert.match(await page.locator("#status").textContent(), /the only GPU adapter is software/);
    await page.locator("#backend").selectOption("webgpu");
    await page.waitForFunction(() => /^Runs on WebGPU: /.test(document.getElementById("status").textContent));
    for (const seed of ["7", "99", "7"]) {
      await page.locator("#seed").fill(seed);
      await page.locator("#make-form button[type=submit]").click();
      await page.waitForFunction((of) => document.getElementById("wall").dataset.done === `faces,${of},0,4`, seed);
    }
    await page.waitForFunction((digest) => document.getElementById("digest").textContent === digest, digestOf("faces", 0));
    assert.equal(await page.locator("#trouble").isHidden(), true);
    assert.equal(await page.workers()[0].evaluate(() => self.gone), true);
    assert.equal(await page.locator("body").getAttribute("data-backend"), "webgpu");
  } finally {
    await gpu.close();
  }
});

// The module as applications use it: streams, spikes, canvases, errors, devices that are lost, verification.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, openWith } from "./browser.mjs";
import { cpu, gpu, server } from "./stage.mjs";

const start = (browser, backend, model) => openWith(browser, server.url, backend, model);

const both = (name, act) => {
  for (const backend of ["cpu", "webgpu"]) {
    test(`${name} (${backend})`, async () => {
      const { page, context, errors } = await start(backend === "cpu" ? cpu : gpu, backend);
      await act(page, backend);
      assert.deepEqual(errors, []);
      await context.close();
    });
  }
};

both("streams give what generate gives", async (page) => {
  const result = await page.evaluate(async () => {
    const expected = await generator.generate(7n, 5n, 6);
    const [indices, images] = [[], []];
    for await (const batch of generator.stream(7n, 5n, { batch: 2 })) {
      indices.push([String(batch.first), batch.count]);
      images.push(...batch.images);
      if (images.length >= expected.length) break;
    }
    return { indices, same: same(expected, images) };
  });
  assert.deepEqual(result, { indices: [["5", 2], ["7", 2], ["9", 2]], same: true });
});

both("frames end in the image, and spikes are the latents", async (page) => {
  const result = await page.evaluate(async () => {
    const frames = await generator.frames(7n, 3n, 2);
    const images = await generator.generate(7n, 3n, 2);
    const latents = await generator.sample(7n, 3n, 2);
    const [latent, first] = await generator.spikes(7n, 3n, 2, ["latent", "decoder.0"]);
    return {
      frames: frames.length / images.length,
      last: same(frames.slice(-images.length), images),
      latents: same(latent.raster(), latents),
      counted: first.raster().reduce((sum, spike) => sum + spike, 0) === first.count && first.count > 0,
      words: first.words.length === 2 * first.neurons,
    };
  });
  assert.deepEqual(result, { frames: 16, last: true, latents: true, counted: true, words: true });
});

both("a walk goes from one image to the other", async (page) => {
  const result = await page.evaluate(async () => {
    const [a, b] = [await generator.sample(7n, 0n, 1), await generator.sample(7n, 1n, 1)];
    return [same(network.interpolate(a, b, 7n, 0, 9), a), same(network.interpolate(a, b, 7n, 8, 9), b), same(network.interpolate(a, b, 7n, 4, 9), a)];
  });
  assert.deepEqual(result, [true, true, false]);
});

both("a canvas shows the images", async (page) => {
  const size = await page.evaluate(async () => {
    const canvas = document.body.appendChild(document.createElement("canvas"));
    await generator.drawTo(canvas, 7n, 0n, 6, { columns: 3 });
    return [canvas.width, canvas.height];
  });
  assert.deepEqual(size, [48, 32]);
  // What WebGPU has presented cannot be read back from the canvas any more: a picture of the page can.
  const seen = await page.locator("canvas").screenshot();
  const result = await page.evaluate(async (png) => {
    const pixels = (picture) => {
      const copy = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
      copy.drawImage(picture, 0, 0);
      return copy.getImageData(0, 0, picture.width, picture.height).data;
    };
    const expected = fsvae.tiles(await generator.generate(7n, 0n, 6), network.architecture, 3).data;
    const seen = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    // Nor are there pictures of canvases in workers.
    const offscreen = new OffscreenCanvas(1, 1);
    await generator.drawTo(offscreen, 7n, 0n, 6, { columns: 3 });
    return { seen: same(pixels(seen), expected), offscreen: same(pixels(offscreen), expected) };
  }, seen.toString("base64"));
  assert.deepEqual(result, { seen: true, offscreen: true });
});

test("a texture of the generator's device shows the images", async () => {
  const { page, context, errors } = await start(gpu, "webgpu");
  const result = await page.evaluate(async () => {
    const { device } = generator;
    const { STORAGE_BINDING, COPY_SRC } = GPUTextureUsage;
    const make = (of, size = [64, 40], format = "rgba8unorm", usage = STORAGE_BINDING | COPY_SRC) => of.createTexture({ size, format, usage });
    const texture = make(device);
    await generator.drawTo(texture, 7n, 0n, 6, { columns: 3 });
    const buffer = device.createBuffer({ size: 256 * 40, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow: 256 }, [64, 40]);
    device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ);
    const bytes = new Uint8Array(buffer.getMappedRange());
    const seen = [];
    for (let n = 0; n < 6; n += 1) {
      const image = [];
      for (let y = 0; y < 16; y += 1) {
        for (let x = 0; x < 16; x += 1) {
          const at = 256 * (16 * Math.floor(n / 3) + y) + 4 * (16 * (n % 3) + x);
          image.push(...bytes.subarray(at, at + 3));
        }
      }
      seen.push(await fsvae.digest(Uint8Array.from(image)));
    }
    const images = await generator.generate(7n, 0n, 6);
    const expected = await Promise.all(Array.from({ length: 6 }, (_, n) => fsvae.digest(images.slice(n * 768, (n + 1) * 768))));
    const refused = async (of) => generator.drawTo(of, 7n, 0n, 6, { columns: 3 }).then(() => "no error", ({ code, message }) => `${code}: ${message}`);
    const other = await (await navigator.gpu.requestAdapter()).requestDevice();
    const lines = [
      await refused(make(device, [47, 40])), await refused(make(device, [64, 40], "rgba16float")), await refused(make(device, [64, 40, 2])),
      await refused(make(device, undefined, undefined, COPY_SRC)), await refused(make(other)),
    ];
    // And the device goes on.
    await generator.drawTo(texture, 7n, 0n, 6, { columns: 3 });
    const cpu = await network.generator({ backend: "cpu" });
    lines.push(await cpu.drawTo(texture, 7n, 0n, 6).then(() => "no error", ({ code, message }) => `${code}: ${message}`));
    return { seen, expected, device: device instanceof GPUDevice, none: cpu.device, lines };
  });
  assert.deepEqual(result.seen, result.expected);
  assert.ok(result.device && result.none === undefined);
  const expected = [
    /^input: .*expected a texture of 48 x 32 texels at least, found 47 x 40$/, /^input: expected a texture of format rgba8unorm, 2d, one layer, found rgba16float/,
    /^input: .* 2 layers$/, /^input: .*expected a texture of usage/, /^input: the device refused the texture; expected one of `generator\.device`: /, /^input: a GPUTexture needs the backend webgpu/,
  ];
  result.lines.forEach((line, at) => assert.match(line, expected[at]));
  assert.deepEqual(errors, []);
  await context.close();
});

both("the backend is verified", async (page) => {
  const { right, verdict, steps } = await page.evaluate(async () => {
    const steps = [];
    const report = await generator.verify({ seconds: 0, onProgress: ({ check, step, steps: all }) => steps.push([check, step, all]) });
    return { ...report, steps };
  });
  assert.ok(right, verdict);
  assert.match(verdict, /^fsvae \d.* · verified: .*1 round in \d+ s · all right$/);
  assert.equal(steps.length, steps[0][2]);
});

test("what is wrong is said in a line", async () => {
  const { page, context, errors } = await start(cpu, "cpu");
  const said = await page.evaluate(async () => {
    const acts = [
      () => fsvae.Network.load(bytes.slice(0, 1000), { name: "cut.safetensors" }),
      () => fsvae.Network.load(new TextEncoder().encode("<!doctype html>"), { name: "page.safetensors" }),
      () => fsvae.Network.load("faces"),
      () => network.generator({ backend: "cuda" }),
      () => network.generator({ backend: "cpu", adapter: "low-power" }),
      () => network.generator({ backend: "webgpu", adapter: "best" }),
      () => network.generator({ backend: "webgpu" }),
      () => generator.generate(7, 0n, 1),
      () => generator.generate(-1n, 0n, 1),
      () => generator.generate(7n, 2n ** 64n - 2n, 3),
      () => generator.generate(7n, 0n, 1.5),
      () => generator.spikes(7n, 0n, 1, ["decoder.9"]),
      () => generator.encode(new Uint8Array(5), 7n),
      () => generator.decode(new Uint8Array(5)),
      () => generator.drawTo(document.body, 7n, 0n, 1),
    ];
    const lines = [];
    for (const act of acts) {
      try {
        await act();
        lines.push("no error");
      } catch (error) {
        lines.push(`${error instanceof Error && error.code}: ${error.message}`);
      }
    }
    return lines;
  });
  const expected = [
    /^input: cut\.safetensors: /, /^input: page\.safetensors: /, /^input: expected a checkpoint as a Uint8Array, found String$/,
    /^input: backend: expected "auto", "webgpu" or "cpu", found "cuda"$/, /^input: adapter names a GPU/,
    /^input: adapter: expected "high-performance" or "low-power", found "best"$/, /^failed: no GPU adapter found/,
    /^input: seed: expected a BigInt from 0n to 18446744073709551615n, found 7$/, /^input: seed: .* found -1n$/,
    /^input: 3 images from index 18446744073709551614 on pass 18446744073709551615$/, /^input: count: expected a whole number/,
    /^input: no layer "decoder\.9" there: expected /, /^input: expected images of 768 bytes .* found 5 bytes$/, /^input: /, /^input: expected a canvas or a GPUTexture, found HTMLBodyElement$/,
  ];
  assert.equal(said.length, expected.length);
  said.forEach((line, at) => assert.match(line, expected[at]));
  assert.ok(said.every((line) => !line.includes("\n")));
  assert.deepEqual(errors, []);
  await context.close();
});

test("auto says why there is no GPU", async () => {
  const { page, context, errors } = await start(cpu, "auto");
  const { name, fallback } = await page.evaluate(() => generator.backend);
  assert.equal(name, "cpu");
  assert.match(fallback, /no GPU adapter found/);
  assert.deepEqual(await page.evaluate(() => fsvae.adapters()), []);
  // Nor where the browser knows nothing of WebGPU.
  await page.addInitScript(() => delete Navigator.prototype.gpu);
  await page.reload();
  assert.equal(await page.evaluate(() => "gpu" in navigator), false);
  const without = await page.evaluate(async (base) => {
    const fsvae = await import(`${base}fsvae.js`);
    await fsvae.default();
    const network = await fsvae.Network.load(await fsvae.download(`${base}models/faces.safetensors`));
    return (await network.generator()).backend;
  }, server.url);
  assert.match(without.fallback, /no GPU adapter found/);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a device that is lost is made again", async () => {
  const { page, context } = await open(gpu, `${server.url}blank.html`);
  await page.evaluate(() => {
    const request = GPUAdapter.prototype.requestDevice;
    globalThis.devices = [];
    GPUAdapter.prototype.requestDevice = async function (...given) {
      const device = await request.apply(this, given);
      devices.push(device);
      return device;
    };
  });
  const result = await page.evaluate(async (base) => {
    const fsvae = await import(`${base}fsvae.js`);
    await fsvae.default();
    const network = await fsvae.Network.load(await fsvae.download(`${base}models/faces.safetensors`));
    const generator = await network.generator({ backend: "webgpu" });
    const before = await generator.generate(7n, 0n, 4);
    devices.at(-1).destroy();
    await devices.at(-1).lost;
    const error = await generator.generate(7n, 0n, 4).then(() => "no error", ({ code, message }) => `${code}: ${message}`);
    await generator.rebuild();
    const again = await generator.generate(7n, 0n, 4);
    return { error, same: again.every((value, at) => value === before[at]), devices: devices.length };
  }, server.url);
  assert.match(result.error, /^device-lost: .*the device was lost$/);
  assert.equal(result.same, true);
  assert.equal(result.devices, 2);
  await context.close();
});

test("the example of docs/web.md shows its images", async () => {
  const { page, context, errors } = await open(cpu, `${server.url}example.html`);
  await page.waitForFunction(() => document.querySelector("p").textContent.startsWith("Made on "));
  const lit = await page.locator("canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.width, canvas.height, data.some((value, at) => at % 4 < 3 && value > 0)];
  });
  assert.deepEqual(lit, [128, 128, true]);
  assert.deepEqual(errors, []);
  await context.close();
});

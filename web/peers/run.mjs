// fsvae against ONNX Runtime Web, each on WebAssembly and on WebGPU, on the same latents, in one page, by turns.
// `bash run.sh` prepares what this needs.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, open } from "../test/browser.mjs";

const [MODEL = "faces", BATCH = "16", ROUNDS = "15"] = process.argv.slice(2);
const ROOTS = { dist: "../dist/", ort: "node_modules/onnxruntime-web/dist/", made: "made/" };
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const [, root, ...rest] = normalize(pathname).split("/");
  if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>peers</title><link rel=icon href=data:,>");
  const file = ROOTS[root] && join(fileURLToPath(new URL(ROOTS[root], import.meta.url)), ...rest);
  const bytes = file && (await readFile(file).catch(() => undefined));
  if (!bytes) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(bytes);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${server.address().port}/`;

/** Runs in the page. One thread each: more of them need headers that static hosts cannot send. */
async function measure({ base, model, batch, rounds }) {
  const fsvae = await import(`${base}dist/fsvae.js`);
  await fsvae.default();
  const network = await fsvae.Network.load(await fsvae.download(`${base}dist/models/${model}.safetensors`));
  const { timeSteps: steps, latentChannels: channels, side, channels: colours } = network.architecture;
  const ort = await import(`${base}ort/ort.webgpu.min.mjs`);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = `${base}ort/`;
  const graph = await fsvae.download(`${base}made/${model}-${batch}.onnx`);

  const cpu = await network.generator({ backend: "cpu" });
  const latents = await cpu.sample(7n, 0n, batch);
  // [n, T, C] is [T, n, C] there.
  const turned = new Float32Array(latents.length);
  latents.forEach((spike, at) => {
    const [n, t, c] = [Math.floor(at / (steps * channels)), Math.floor(at / channels) % steps, at % channels];
    turned[(t * batch + n) * channels + c] = spike;
  });
  const names = ["fsvae, WebAssembly", "fsvae, WebGPU", "ONNX Runtime Web, WebAssembly", "ONNX Runtime Web, WebGPU"];
  const failed = {};
  const contenders = {};
  for (const [name, backend] of [[names[0], "cpu"], [names[1], "webgpu"]]) {
    try {
      const generator = backend === "cpu" ? cpu : await network.generator({ backend });
      contenders[name] = () => generator.decode(latents);
    } catch ({ message }) {
      failed[name] = message;
    }
  }
  for (const [name, provider] of [[names[2], "wasm"], [names[3], "webgpu"]]) {
    try {
      const session = await ort.InferenceSession.create(graph, { executionProviders: [provider] });
      contenders[name] = async () => {
        const { images } = await session.run({ latents: new ort.Tensor("float32", turned, [steps, batch, channels]) });
        return images.getData();
      };
      await contenders[name]();
    } catch (error) {
      delete contenders[name];
      failed[name] = String(error.message ?? error).split("\n")[0];
    }
  }
  const expected = await cpu.decode(latents);
  const results = {};
  for (const [name, run] of Object.entries(contenders)) {
    const images = await run();
    const near = expected.reduce((sum, value, at) => sum + (Math.abs(value - images[at]) <= 1), 0) / expected.length;
    results[name] = { near, times: [] };
    if (images.length !== batch * side * side * colours) throw new Error(`${name}: ${images.length} bytes`);
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      const start = performance.now();
      await run();
      results[name].times.push(performance.now() - start);
    }
  }
  return { results, failed };
}

const browser = await launch({ webgpu: true });
try {
  const { page } = await open(browser, base);
  page.setDefaultTimeout(600_000);
  const { results, failed } = await page.evaluate(measure, { base, model: MODEL, batch: Number(BATCH), rounds: Number(ROUNDS) });
  console.log(`${MODEL}, ${BATCH} images at once, ${ROUNDS} rounds, Chromium ${browser.version()}`);
  for (const [name, { near, times }] of Object.entries(results)) {
    times.sort((a, b) => a - b);
    const rate = (share) => ((1000 * Number(BATCH)) / times[Math.round(share * (times.length - 1))]).toPrecision(3);
    console.log(`${name}: ${rate(0.5)} images/s (${rate(0.75)} to ${rate(0.25)}), ${(100 * near).toFixed(2)} % of the values within 1 of the oracle's`);
  }
  for (const [name, line] of Object.entries(failed)) console.log(`${name}: failed: ${line}`);
} finally {
  await browser.close();
  server.close();
}

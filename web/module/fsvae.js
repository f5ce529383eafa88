// fsvae in browsers: arguments are checked here, the rest is WebAssembly. See fsvae.d.ts for what each function takes.

/** The bindings of the build that this browser runs, once `init` was awaited. */
let bindings;
let starting;

/** The smallest module with an instruction of SIMD128. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

export default function init(options = {}) {
  starting ??= start(options).catch((error) => {
    starting = undefined; // a network that failed may be there next time
    throw error;
  });
  return starting;
}

async function start({ simd, onProgress, parts } = {}) {
  const build = (simd ?? WebAssembly.validate(SIMD)) ? "simd" : "plain";
  const loaded = parts?.bindings ?? (build === "simd" ? await import("./simd/bindings.js") : await import("./plain/bindings.js"));
  const from = parts?.wasm ?? new URL(`./${build}/bindings_bg.wasm`, import.meta.url);
  await loaded.default({ module_or_path: onProgress && !parts ? await download(from, onProgress) : from });
  bindings = { ...loaded, build };
  return { build };
}

/** A further module, which is loaded when it is asked for. */
function further(load) {
  let loading;
  return () => {
    loading ??= (async () => {
      const loaded = await load(ready().build === "simd");
      await loaded.default();
      return loaded;
    })().catch((error) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}

const verifier = further((simd) => (simd ? import("./simd-verify/bindings.js") : import("./plain-verify/bindings.js")));
/** Without SIMD128 it would be larger than any module may be. */
const bencher = further(async (simd) => {
  if (!simd) throw failure("bench: expected a browser with SIMD128 of WebAssembly, found one without, or `simd: false`");
  return import("./simd-bench/bindings.js");
});
const comparer = further(() => import("./compare/bindings.js"));

function ready() {
  if (!bindings) throw failure("call `await init()` first");
  return bindings;
}

/** Fetches a file and says how far it is. */
export async function download(url, onProgress = () => {}) {
  const response = await fetch(url);
  if (!response.ok) throw failure(`${url}: ${response.status} ${response.statusText}`);
  // What is compressed has another length when it is read.
  const encoded = response.headers.has("content-encoding");
  const total = encoded ? undefined : Number(response.headers.get("content-length")) || undefined;
  const parts = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    loaded += part.value.length;
    onProgress(loaded, total);
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Browsers have at most one adapter for each preference, often the same for both. */
export async function adapters() {
  const found = [];
  for (const id of ["high-performance", "low-power"]) {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: id });
    if (!adapter) continue;
    const { vendor = "", architecture = "", description = "", isFallbackAdapter = false } = adapter.info ?? {};
    const name = nameOf(adapter.info);
    if (!found.some((other) => other.name === name)) {
      found.push({ id, name, vendor, architecture, description, software: isFallbackAdapter });
    }
  }
  return found;
}

function nameOf({ vendor = "", architecture = "", description = "" } = {}) {
  return description || [vendor, architecture].filter(Boolean).join(" ") || "an adapter without a name";
}

export class Network {
  #network;
  #architecture;
  #checkpoint;

  constructor(network, checkpoint) {
    this.#network = network;
    this.#architecture = network.architecture();
    this.#checkpoint = checkpoint;
  }

  static async load(bytes, { name = "checkpoint" } = {}) {
    const { Network: Loaded } = ready();
    const loaded = new Loaded(octets(bytes, "a checkpoint"), String(name));
    // A blob, which `bench` reads, is not in this thread's memory and does not change with the bytes.
    return new Network(loaded, { name: String(name), file: new Blob([bytes]) });
  }

  get architecture() {
    return this.#architecture;
  }

  async generator({ backend = "auto", adapter } = {}) {
    const generator = await this.#network.generator(String(backend), adapter === undefined ? undefined : String(adapter));
    const result = new Generator(generator, this.#architecture, this.#checkpoint, adapter);
    await result.readBackend();
    return result;
  }

  fit({ data, width, height }) {
    return this.#network.fit(octets(data, "a picture's data"), whole(width, "width"), whole(height, "height"));
  }

  interpolate(a, b, seed, step, steps) {
    const latents = [octets(a, "latents"), octets(b, "latents")];
    return this.#network.interpolate(...latents, big(seed, "seed"), whole(step, "step"), whole(steps, "steps"));
  }

  direction(withIt, without) {
    return this.#network.direction(typed(withIt, Uint16Array, "rates"), typed(without, Uint16Array, "rates"));
  }

  along(latents, direction, amount, seed, first = 0n) {
    if (typeof amount !== "number") throw failure(`amount: expected a number, found ${shown(amount)}`);
    const way = typed(direction, Int32Array, "a direction");
    return this.#network.along(octets(latents, "latents"), way, amount, big(seed, "seed"), big(first, "first"));
  }

  operations(seed, first, count) {
    return this.#network.operations(...these(seed, first, count));
  }

  free() {
    this.#network.free();
  }
}

export class Generator {
  #generator;
  #architecture;
  #checkpoint;
  #adapter;
  #backend;

  constructor(generator, architecture, checkpoint, adapter) {
    this.#generator = generator;
    this.#checkpoint = checkpoint;
    this.#adapter = adapter;
    this.#architecture = architecture;
  }

  /** What the browser says of the adapter, which the module does not get to know. */
  async readBackend() {
    const backend = this.#generator.backend();
    if (backend.name === "webgpu" && !backend.adapter) {
      backend.adapter = nameOf((await navigator.gpu?.requestAdapter({ powerPreference: this.#adapter }))?.info);
    }
    this.#backend = Object.freeze(backend);
  }

  get backend() {
    return this.#backend;
  }

  get device() {
    return this.#generator.device();
  }

  async generate(seed, first, count) {
    return this.#generator.generate(...these(seed, first, count));
  }

  async sample(seed, first, count) {
    return this.#generator.sample(...these(seed, first, count));
  }

  async frames(seed, first, count) {
    return this.#generator.frames(...these(seed, first, count));
  }

  async spikes(seed, first, count, layers) {
    if (!Array.isArray(layers)) throw failure(`layers: expected names of layers, found ${shown(layers)}`);
    const spikes = await this.#generator.spikes(...these(seed, first, count), layers.map(String));
    return spikes.map((layer) => new LayerSpikes(layer));
  }

  async encode(images, seed, first = 0n) {
    return this.#generator.encode(octets(images, "images"), big(seed, "seed"), big(first, "first"));
  }

  async decode(latents) {
    return this.#generator.decode(octets(latents, "latents"));
  }

  async reconstruct(images, seed, first = 0n) {
    return this.#generator.reconstruct(octets(images, "images"), big(seed, "seed"), big(first, "first"));
  }

  async rates(images, seed, first = 0n) {
    return this.#generator.rates(octets(images, "images"), big(seed, "seed"), big(first, "first"));
  }

  async *stream(seed, first = 0n, { batch } = {}) {
    const size = batch === undefined ? undefined : whole(batch, "batch");
    const stream = this.#generator.stream(big(seed, "seed"), big(first, "first"), size);
    try {
      for (let part = await stream.next(); part; part = await stream.next()) yield part;
    } finally {
      stream.free();
    }
  }

  async drawTo(target, seed, first, count, { columns = Math.ceil(Math.sqrt(count)) } = {}) {
    const texture = typeof GPUTexture !== "undefined" && target instanceof GPUTexture;
    if (!texture && typeof target?.getContext !== "function") {
      throw failure(`expected a canvas or a GPUTexture, found ${target?.constructor?.name ?? shown(target)}`);
    }
    const range = these(seed, first, count);
    if (this.backend.name === "webgpu") return this.#generator.drawTo(target, ...range, whole(columns, "columns"));
    if (texture) throw failure("a GPUTexture needs the backend webgpu: this generator is on the CPU");
    if (count === 0) return;
    const images = await this.#generator.generate(...range);
    const picture = tiles(images, this.#architecture, columns);
    [target.width, target.height] = [picture.width, picture.height];
    const context = target.getContext("2d");
    if (!context) throw failure("the canvas has another context than 2d");
    context.putImageData(picture, 0, 0);
  }

  async verify({ seconds = 20, onProgress = () => {} } = {}) {
    const start = performance.now();
    const spent = () => (performance.now() - start) / 1000;
    const { Verification } = await verifier();
    const verification = await Verification.open(this.backend.name, this.#adapter);
    try {
      let report;
      do {
        onProgress(await verification.next());
        await new Promise((resolve) => setTimeout(resolve)); // whoever waits for this thread has a turn
        report = verification.report(spent());
      } while (report.rounds === 0 || spent() < seconds);
      return report;
    } finally {
      verification.free();
    }
  }

  async bench(onProgress = () => {}, { seed = 0n, quick = false } = {}) {
    const { Measurement } = await bencher();
    const { file } = this.#checkpoint;
    const name = this.#checkpoint.name.replace(/\.[^.]*$/, "");
    const threads = navigator.hardwareConcurrency ?? 1;
    const measurement = new Measurement(name, browser(), this.backend.adapter ?? "", threads, big(seed, "seed"), Boolean(quick));
    const bytes = new Uint8Array(await file.arrayBuffer());
    const { json, line, right } = await measurement.run(bytes, this.backend.name, this.#adapter, onProgress);
    return { report: JSON.parse(json), json, line, right };
  }

  async rebuild() {
    await this.#generator.rebuild();
    await this.readBackend();
  }

  free() {
    this.#generator.free();
  }
}

export class LayerSpikes {
  constructor({ name, side, channels, timeSteps, words }) {
    Object.assign(this, { name, side, channels, timeSteps, words });
  }

  get neurons() {
    return this.side * this.side * this.channels;
  }

  /** Spikes in all. */
  get count() {
    let count = 0;
    for (let word of this.words) for (; word; word &= word - 1) count += 1;
    return count;
  }

  /** `[n, T, y, x, channels]`, each 0 or 1. */
  raster() {
    const { neurons, timeSteps, words } = this;
    const raster = new Uint8Array(words.length * timeSteps);
    words.forEach((word, at) => {
      const image = Math.floor(at / neurons);
      for (let step = 0; step < timeSteps; step += 1) {
        raster[(image * timeSteps + step) * neurons + (at % neurons)] = (word >>> step) & 1;
      }
    });
    return raster;
  }
}

/** Files of `bench` side by side, as `fsvae bench compare` prints them. */
export async function compare(files) {
  const { Comparison } = await comparer();
  const comparison = new Comparison();
  try {
    for (const { name, json } of files) comparison.add(String(name), String(json));
    return comparison.text();
  } finally {
    comparison.free();
  }
}

/** The browser and its system, as far as it says. */
function browser() {
  const brands = navigator.userAgentData?.brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand.replace(/[^a-z]/gi, "")));
  const brand = brands?.at(-1);
  const agent = navigator.userAgent ?? "";
  const name = brand ? `${brand.brand} ${brand.version}` : (agent.match(/(Firefox|Version|Edg|Chrome)\/[\d.]+/)?.[0] ?? "a browser").replace("Version", "Safari").replace("/", " ");
  return [name, navigator.userAgentData?.platform].filter(Boolean).join(", ");
}

/** Images as tiles of one picture. */
export function tiles(images, { side, channels }, columns) {
  const bytes = side * side * channels;
  const count = images.length / bytes;
  columns = Math.max(1, Math.min(whole(columns, "columns"), count));
  const picture = new ImageData(columns * side, Math.max(1, Math.ceil(count / columns)) * side);
  for (let n = 0; n < count; n += 1) {
    const [left, top] = [(n % columns) * side, Math.floor(n / columns) * side];
    for (let pixel = 0; pixel < side * side; pixel += 1) {
      const from = n * bytes + pixel * channels;
      const to = 4 * ((top + Math.floor(pixel / side)) * picture.width + left + (pixel % side));
      for (let colour = 0; colour < 3; colour += 1) {
        picture.data[to + colour] = images[from + (channels === 1 ? 0 : colour)];
      }
      picture.data[to + 3] = 255;
    }
  }
  return picture;
}

/** SHA-256 of an image's pixels in hexadecimal: what `fsvae generate --digests` prints. */
export async function digest(image) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", octets(image, "an image")));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function failure(line) {
  return Object.assign(new Error(line), { code: "input" });
}

function shown(value) {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function big(value, name) {
  if (typeof value !== "bigint" || value !== BigInt.asUintN(64, value)) {
    throw failure(`${name}: expected a BigInt from 0n to 18446744073709551615n, found ${shown(value)}`);
  }
  return value;
}

function whole(value, name) {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw failure(`${name}: expected a whole number from 0 to 4294967295, found ${shown(value)}`);
  }
  return value;
}

function these(seed, first, count) {
  return [big(seed, "seed"), big(first, "first"), whole(count, "count")];
}

function typed(value, Type, name) {
  if (value instanceof Type) return value;
  throw failure(`expected ${name} as a ${Type.name}, found ${value?.constructor?.name ?? shown(value)}`);
}

function octets(value, name) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof Uint8ClampedArray) return new Uint8Array(value.buffer, value.byteOffset, value.length);
  throw failure(`expected ${name} as a Uint8Array, found ${value?.constructor?.name ?? shown(value)}`);
}

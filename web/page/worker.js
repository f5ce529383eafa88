// All that computes, away from the page's thread.

import init, { compare, download, Network, tiles } from "./fsvae.js";
import { gif } from "./gif.js";

/** Other models are another cache: build.sh writes their digest here. */
const MODELS = "fsvae-models-MODELSTAMP";

let build;
let network;
let generator;
/** The wall that is asked for last; another one stops it. */
let wall = 0;

const say = (event, told = {}) => postMessage({ event, ...told });

/** A shipped model, from the browser's cache once it was there; `keep` puts it there. */
async function shipped(name) {
  // The name of the cache is for caches on the way, which may have the model of another build.
  const url = new URL(`models/${name}.safetensors?${MODELS}`, import.meta.url);
  // There is no cache on pages without https.
  const cache = await self.caches?.open(MODELS).catch(() => undefined);
  const kept = await cache?.match(url);
  if (kept) return { bytes: new Uint8Array(await kept.arrayBuffer()), keep: async () => undefined };
  const bytes = await download(url, (loaded, total) => say("loading", { thing: `the model ${name}`, loaded, total }));
  const keep = async () => {
    if (!cache) return;
    const old = (await caches.keys()).filter((other) => other.startsWith("fsvae-models") && other !== MODELS);
    await Promise.all(old.map((other) => caches.delete(other)));
    await cache.put(url, new Response(bytes));
  };
  return { bytes, keep };
}

function tell() {
  say("backend", { backend: generator.backend, build });
}

/** Does it again on a new device if the first was lost meanwhile. */
async function kept(act) {
  try {
    return await act();
  } catch (error) {
    if (error.code !== "device-lost") throw error;
    say("lost", { message: error.message });
    await generator.rebuild();
    tell();
    return act();
  }
}

/** Generated images, and then pictures, as the network's pixels. */
async function pixels(seed, { indices, pictures }) {
  const all = [];
  for (const index of indices) all.push(await kept(() => generator.generate(seed, index, 1)));
  for (const picture of pictures) all.push(network.fit(picture));
  const joined = new Uint8Array(all.length * all[0].length);
  all.forEach((image, n) => joined.set(image, n * image.length));
  return joined;
}

const does = {
  async open({ name, bytes, backend }) {
    ({ build } = await init({ onProgress: (loaded, total) => say("loading", { thing: "the program", loaded, total }) }));
    const found = bytes ? { bytes, keep: async () => undefined } : await shipped(name);
    const opened = await Network.load(found.bytes, { name });
    // What cannot be loaded is not kept; a full disk only means another download.
    await found.keep().catch(() => undefined);
    const runs = await opened.generator({ backend });
    generator?.free();
    network?.free();
    [network, generator] = [opened, runs];
    wall += 1;
    tell();
    return network.architecture;
  },

  async backend({ backend }) {
    const runs = await network.generator({ backend });
    generator.free();
    generator = runs;
    wall += 1;
    tell();
  },

  /** Frames of a few images at a time; the page draws them as they come. */
  async wall({ seed, first, count, number }) {
    const mine = (wall += 1);
    const some = generator.backend.name === "cpu" ? 8 : 32;
    for (let at = 0; at < count && mine === wall; at += some) {
      const images = Math.min(some, count - at);
      const frames = await kept(() => generator.frames(seed, first + BigInt(at), images));
      if (mine === wall) postMessage({ event: "frames", number, at, images, frames }, [frames.buffer]);
      await new Promise((resolve) => setTimeout(resolve)); // another wall may be asked for meanwhile
    }
    return mine === wall;
  },

  async inside({ seed, index }) {
    // The encoder does not run when an image is generated.
    const { layers } = network.architecture;
    const generated = layers.slice(layers.findIndex(({ name }) => name === "latent"));
    const names = generated.map(({ name }) => name);
    const spikes = await kept(() => generator.spikes(seed, index, 1, names));
    const frames = await kept(() => generator.frames(seed, index, 1));
    return { layers: spikes.map((layer) => ({ ...layer })), frames, operations: network.operations(seed, index, 1) };
  },

  async reconstruct({ picture, seed }) {
    const pixels = network.fit(picture);
    return kept(() => generator.reconstruct(pixels, seed));
  },

  async walk({ seed, from, picture, to, steps }) {
    const a = await kept(() => (picture ? generator.encode(network.fit(picture), seed) : generator.sample(seed, from, 1)));
    const b = await kept(() => generator.sample(seed, to, 1));
    const { timeSteps, latentChannels } = network.architecture;
    const latents = new Uint8Array(steps * timeSteps * latentChannels);
    for (let step = 0; step < steps; step += 1) {
      latents.set(network.interpolate(a, b, seed, step, steps), step * timeSteps * latentChannels);
    }
    return kept(() => generator.decode(latents));
  },

  verify: () => generator.verify({ seconds: 0, onProgress: (step) => say("verified", { step }) }),

  bench: () => generator.bench((news) => say("measured", { news })),

  compare: ({ files }) => compare(files),

  /** What `fsvae direction` and `--along` do, for all amounts at once. */
  async direct({ seed, base, amounts, ...sets }) {
    const { timeSteps, latentChannels } = network.architecture;
    const of = { with: await pixels(seed, sets.with), without: await pixels(seed, sets.without) };
    const rates = {};
    for (const set of ["with", "without"]) rates[set] = await kept(() => generator.rates(of[set], seed));
    const direction = network.direction(rates.with, rates.without);
    const { picture, index = 0n } = base;
    const start = await kept(() => (picture ? generator.encode(network.fit(picture), seed) : generator.sample(seed, index, 1)));
    const latents = new Uint8Array(amounts.length * timeSteps * latentChannels);
    amounts.forEach((amount, n) => latents.set(network.along(start, direction, amount, seed, index), n * timeSteps * latentChannels));
    return { ...of, images: await kept(() => generator.decode(latents)) };
  },

  /** `frames` are the images after each time step. */
  gif: ({ frames, columns, scale }) => gif(frames.map((images) => tiles(images, network.architecture, columns)), scale),
};

/** One thing at a time, so that a model is not freed while it is at work; walls alone give way. */
let last = Promise.resolve();

addEventListener("message", ({ data: { call, what, wanted } }) => {
  if (what === "open" || what === "wall" || what === "backend") wall += 1;
  last = last.then(async () => {
    try {
      if (what !== "open" && !network) throw new Error("no model is loaded yet");
      postMessage({ call, result: await does[what](wanted) });
    } catch (error) {
      postMessage({ call, error: { message: error.message ?? String(error), code: error.code } });
    }
  });
});

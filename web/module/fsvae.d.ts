/** fsvae: spiking image generation on WebGPU, or in WebAssembly where there is none; the same images bit for bit. */

/** Loads the module: the build with SIMD128 where the browser has it. Await it once before anything else. */
export default function init(options?: {
  /** Which build, instead of the browser's best. */
  simd?: boolean;
  /** How many bytes are there; `total` is what the server says, if it does not compress. */
  onProgress?: (loaded: number, total?: number) => void;
  /**
   * For who has a build's files but no addresses: its `bindings.js`, imported, and the bytes of its `bindings_bg.wasm`.
   * `verify` is not there then.
   */
  parts?: { bindings: object; wasm: BufferSource };
}): Promise<{ build: "simd" | "plain" }>;

/** What functions of this module throw: `message` is one line. */
export interface FsvaeError extends Error {
  /** `input`: give something else; `device-lost`: `rebuild()` and go on; `failed`: the device refused. */
  code: "input" | "device-lost" | "failed";
}

/** The GPUs that the browser offers: one, or one for each preference. */
export function adapters(): Promise<Adapter[]>;

export interface Adapter {
  /** What `generator({ adapter })` takes. */
  id: "high-performance" | "low-power";
  /** For people; browsers say little. */
  name: string;
  vendor: string;
  architecture: string;
  description: string;
  /** Emulated on the CPU. */
  software: boolean;
}

export interface Architecture {
  family: "fsvae" | "esvae";
  /** T */
  timeSteps: number;
  /** C */
  latentChannels: number;
  /** Height and width of an image. */
  side: number;
  /** 1 (grey) or 3 (RGB). */
  channels: number;
  parameters: number;
  /** Layers of spiking neurons in the order of the data flow; the names that `spikes` takes. */
  layers: { name: string; side: number; channels: number }[];
}

export class Network {
  private constructor();
  /** From the bytes of a `.safetensors` or `.pth` file. `name` is what errors call it. */
  static load(bytes: Uint8Array | ArrayBuffer, options?: { name?: string }): Promise<Network>;
  readonly architecture: Architecture;
  /** `auto` takes a GPU that is none in software, or else the CPU, and `backend.fallback` says why. */
  generator(options?: { backend?: "auto" | "webgpu" | "cpu"; adapter?: Adapter["id"] }): Promise<Generator>;
  /** A picture of any size as the network's pixels `[side, side, channels]`. */
  fit(picture: ImageData): Uint8Array;
  /** Latents `[T, C]` on the way from `a` (step 0) to `b` (step `steps - 1`); each spike changes once. */
  interpolate(a: Uint8Array, b: Uint8Array, seed: bigint, step: number, steps: number): Uint8Array;
  /**
   * The way from images without something to images with it: by how much the rate of each latent channel differs on average,
   * `[C]`, of 65,536. It takes what `generator.rates` gives.
   */
  direction(withIt: Uint16Array, without: Uint16Array): Int32Array;
  /**
   * Latents `[n, T, C]` moved by `amount` times a direction, rounded to a 256th; below 0 it is the other way. The n-th has
   * index `first` + n. What `fsvae generate --along` does.
   */
  along(latents: Uint8Array, direction: Int32Array, amount: number, seed: bigint, first?: bigint): Uint8Array;
  /** What the spikes of generating some images cost: additions (the mean of an image), and multiply-adds if dense. */
  operations(seed: bigint, first: bigint, count: number): { name: string; additions: number; dense: number }[];
  free(): void;
}

export interface Backend {
  name: "webgpu" | "cpu";
  /** The GPU, as far as the browser says. */
  adapter?: string;
  /** Why `auto` took the CPU, if it did. */
  fallback?: string;
  /** Images that are made at once, at most. */
  batch: number;
}

/** Makes images. An image is a function of network, seed and index. Calls may overlap. */
export class Generator {
  private constructor();
  readonly backend: Backend;
  /**
   * The GPU's device, `undefined` on the CPU, another one after `rebuild`. Textures for `drawTo`, and canvases of an
   * application's own pipelines, are made on it: WebGPU's textures belong to one device, and wgpu, on which this module
   * stands, makes its devices itself and takes over none.
   */
  readonly device: GPUDevice | undefined;
  /** Images `first` and on, u8 `[count, side, side, channels]`. */
  generate(seed: bigint, first: bigint, count: number): Promise<Uint8Array>;
  /** The latent spikes that `generate` draws, 0 or 1, `[count, T, C]`. */
  sample(seed: bigint, first: bigint, count: number): Promise<Uint8Array>;
  /** The images after each time step, u8 `[T, count, side, side, channels]`; the last are `generate`'s. */
  frames(seed: bigint, first: bigint, count: number): Promise<Uint8Array>;
  /** What fires in some layers while images are made. */
  spikes(seed: bigint, first: bigint, count: number, layers: string[]): Promise<LayerSpikes[]>;
  /** Images u8 `[n, side, side, channels]` as latents `[n, T, C]`, drawn from the posterior; the n-th has index `first` + n. */
  encode(images: Uint8Array, seed: bigint, first?: bigint): Promise<Uint8Array>;
  /** Latents `[n, T, C]` as images. */
  decode(latents: Uint8Array): Promise<Uint8Array>;
  /** `decode` of `encode`. */
  reconstruct(images: Uint8Array, seed: bigint, first?: bigint): Promise<Uint8Array>;
  /** How often the channels of images u8 `[n, side, side, channels]` spike, `[n, C]`, of 65,536: what directions are made of. */
  rates(images: Uint8Array, seed: bigint, first?: bigint): Promise<Uint16Array>;
  /** Images from `first` on, batch by batch; a slow consumer stops the device. */
  stream(seed: bigint, first?: bigint, options?: { batch?: number }): AsyncGenerator<Batch, void, void>;
  /**
   * Draws images as tiles. A canvas gets their size, and must have no other context before (`webgpu` on a GPU, `2d` on the
   * CPU). A texture must be of `generator.device`, of format `rgba8unorm` and usage `STORAGE_BINDING`, and large enough; it is
   * drawn when the promise is kept, and what is submitted later on that device's queue sees it anyway. On a GPU no pixel passes
   * through JavaScript.
   */
  drawTo(
    target: HTMLCanvasElement | OffscreenCanvas | GPUTexture,
    seed: bigint,
    first: bigint,
    count: number,
    options?: { columns?: number },
  ): Promise<void>;
  /** Does this browser's backend compute right? One round at least. */
  verify(options?: { seconds?: number; onProgress?: (step: VerifyStep) => void }): Promise<VerifyReport>;
  /**
   * How fast is this backend? Some 20 seconds, on a device of its own; images are compared first. `quick` shows in a few that
   * all works. Needs SIMD128, and a Worker: on the CPU it blocks its thread.
   */
  bench(onProgress?: (news: BenchNews) => void, options?: { seed?: bigint; quick?: boolean }): Promise<BenchResult>;
  /** Takes a new device after one was lost. Images stay the same. */
  rebuild(): Promise<void>;
  free(): void;
}

export interface Batch {
  first: bigint;
  count: number;
  /** u8 `[count, side, side, channels]` */
  images: Uint8Array;
}

export interface VerifyStep {
  check: string;
  round: number;
  step: number;
  steps: number;
  faults: string[];
}

export interface VerifyReport {
  right: boolean;
  rounds: number;
  /** One line to paste. */
  verdict: string;
  faults: string[];
}

/** What is done now, or a row as `fsvae bench` prints it. */
export type BenchNews = { step: string } | { what: string; result: string };

export interface BenchResult {
  /** What `fsvae bench --json` writes. `results` has one backend. */
  report: { schema: "fsvae-bench"; version: 1; results: { backend: string; status: "ok" | "wrong" | "failed" }[]; [key: string]: unknown };
  /** The same as a file. */
  json: string;
  /** One line to paste, as the command line's. */
  line: string;
  /** Whether it was measured, and all images that were compared are right. */
  right: boolean;
}

/** Files of `bench`, of one model, side by side, as `fsvae bench compare` prints them; the first is what the others are held against. */
export function compare(files: { name: string; json: string }[]): Promise<string>;

/** The spike trains of one layer. */
export class LayerSpikes {
  private constructor();
  name: string;
  side: number;
  channels: number;
  timeSteps: number;
  /** `[n, y, x, channels]`; bit t is the spike at time step t. */
  words: Uint32Array;
  readonly neurons: number;
  readonly count: number;
  /** `[n, T, y, x, channels]`, each 0 or 1. */
  raster(): Uint8Array;
}

/** Images `[n, side, side, channels]` as tiles of one picture, `columns` in a row. */
export function tiles(images: Uint8Array, architecture: Architecture, columns: number): ImageData;

/** SHA-256 of an image's pixels in hexadecimal: what `fsvae generate --digests` prints. */
export function digest(image: Uint8Array): Promise<string>;

/** Fetches a file and says how far it is. */
export function download(
  url: string | URL,
  onProgress?: (loaded: number, total?: number) => void,
): Promise<Uint8Array>;

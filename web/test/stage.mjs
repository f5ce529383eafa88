// What the tests of a file share: the files served, a browser without WebGPU and one with.

import { after, before } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";

export let server;
export let cpu;
export let gpu;
before(async () => {
  server = await serve();
  [cpu, gpu] = [await launch(), await launch({ webgpu: true })];
});
after(async () => {
  await Promise.all([cpu.close(), gpu.close()]);
  server.close();
});

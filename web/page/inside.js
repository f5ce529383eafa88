// Look inside: what fires while an image is made.

import { ask } from "./client.js";
import { byId, put } from "./dom.js";
import { tiles } from "./fsvae.js";

const ink = (picture, at, value) => picture.data.set([value, value, value, 255], 4 * at);

/** How many tiles are in a row, and how far it is from one to the next. Linear layers are neurons in a square. */
const grid = ({ side, channels }) => ({ wide: Math.ceil(Math.sqrt(channels)), pitch: side === 1 ? 1 : side + 1 });

/** A tile for each channel, a row and a column of grey between them. */
function map(layer, step) {
  const { side, channels, words } = layer;
  const { wide, pitch } = grid(layer);
  const picture = new ImageData(wide * pitch, Math.ceil(channels / wide) * pitch);
  for (let at = 0; at < picture.width * picture.height; at += 1) ink(picture, at, 70);
  words.forEach((word, at) => {
    const [pixel, channel] = [Math.floor(at / channels), at % channels];
    const x = (channel % wide) * pitch + (pixel % side);
    const y = Math.floor(channel / wide) * pitch + Math.floor(pixel / side);
    ink(picture, y * picture.width + x, (word >>> step) & 1 ? 255 : 0);
  });
  return picture;
}

/** More rows than that are no picture on a screen. */
const ROWS = 384;

/** Neurons of a row of the raster. */
const group = ({ words }) => Math.ceil(words.length / ROWS);

/** Neurons from top to bottom, time steps from left to right; the step that is shown is in colour. */
function raster(layer, step) {
  const { words, timeSteps } = layer;
  const some = group(layer);
  const picture = new ImageData(timeSteps, Math.ceil(words.length / some));
  for (let row = 0; row < picture.height; row += 1) {
    const neurons = words.subarray(row * some, (row + 1) * some);
    for (let t = 0; t < timeSteps; t += 1) {
      let fire = 0;
      for (const word of neurons) fire += (word >>> t) & 1;
      // Few of many fire: the root makes them visible.
      const light = Math.sqrt(fire / neurons.length);
      const colour = t === step ? [255 * light, 180 * light, 60 + 24 * light] : [255 * light, 255 * light, 255 * light];
      picture.data.set([...colour, 255], 4 * (row * timeSteps + t));
    }
  }
  return picture;
}

const bits = (word) => {
  let count = 0;
  for (let rest = word; rest; rest &= rest - 1) count += 1;
  return count;
};

export function insidePart(page, status) {
  const [slider, select] = [byId("inside-step"), byId("layer")];
  let seen;
  let of = "";

  const chosen = () => seen.layers.find(({ name }) => name === select.value) ?? seen.layers[0];

  function redraw() {
    if (!seen) return;
    const layer = chosen();
    const step = Number(slider.value) - 1;
    byId("inside-step-shown").textContent = `${step + 1} of ${layer.timeSteps}`;
    const bytes = seen.frames.length / layer.timeSteps;
    put(byId("inside-one"), tiles(seen.frames.subarray(step * bytes, (step + 1) * bytes), page.architecture, 1));
    put(byId("map"), map(layer, step));
    put(byId("raster"), raster(layer, step));
    const some = group(layer);
    byId("raster-said").textContent =
      "Raster: neurons from top to bottom, time steps from left to right" +
      (some > 1 ? `; a row is ${some} neurons, the brighter, the more of them fire` : "");
    let [all, now] = [0, 0];
    for (const word of layer.words) {
      all += bits(word);
      now += (word >>> step) & 1;
    }
    const neurons = layer.words.length;
    const share = ((100 * all) / neurons / layer.timeSteps).toFixed(1);
    byId("inside-said").textContent =
      `${layer.name}: ${neurons.toLocaleString("en")} neurons, ${now.toLocaleString("en")} fire at this time step, ` +
      `${all.toLocaleString("en")} spikes in all, ${share} % of what is possible.`;
    byId("map").setAttribute("aria-label", `Map of ${layer.name} at time step ${step + 1}: ${now} of ${neurons} neurons fire`);
    byId("raster").setAttribute("aria-label", `Raster of ${layer.name}: ${neurons} neurons, ${layer.timeSteps} time steps, ${all} spikes`);
  }

  function work() {
    const rows = seen.operations.map(({ name, additions, dense }) => {
      const row = document.createElement("tr");
      const numbers = [additions, dense].map((n) => Math.round(n).toLocaleString("en"));
      for (const text of [name, ...numbers, dense ? `${((100 * additions) / dense).toFixed(1)} %` : ""]) row.insertCell().textContent = text;
      return row;
    });
    byId("work").replaceChildren(...rows);
    const [additions, dense] = ["additions", "dense"].map((key) => seen.operations.reduce((sum, layer) => sum + layer[key], 0));
    byId("work-said").textContent =
      `This image took ${(additions / 1e6).toFixed(1)} million additions. The same network, if it computed zeros, too, ` +
      `would take ${(dense / 1e6).toFixed(1)} million multiply-adds.`;
  }

  async function look() {
    const { seed, chosen: index, model } = page;
    const wanted = [model, seed, index].join();
    of = wanted;
    byId("inside-image").textContent = String(index);
    await status.during(async () => {
      const come = await ask("inside", { seed, index }).catch((error) => {
        if (of === wanted) of = ""; // it is asked for again when it is shown again
        throw error;
      });
      if (of !== wanted) return;
      seen = come;
      const before = select.value;
      select.replaceChildren(...seen.layers.map(({ name }) => new Option(name)));
      if (seen.layers.some(({ name }) => name === before)) select.value = before;
      redraw();
      work();
      byId("inside").dataset.done = of;
    });
  }

  slider.addEventListener("input", redraw);
  select.addEventListener("change", redraw);
  byId("map").addEventListener("pointermove", ({ offsetX, offsetY, target }) => {
    if (!seen) return;
    const layer = chosen();
    const { wide, pitch } = grid(layer);
    const [x, y] = [offsetX, offsetY].map((at) => Math.floor((at / target.clientWidth) * target.width));
    const channel = Math.floor(y / pitch) * wide + Math.floor(x / pitch);
    const [column, row] = [x % pitch, y % pitch];
    if (channel >= layer.channels || column >= layer.side || row >= layer.side) return;
    const word = layer.words[(row * layer.side + column) * layer.channels + channel];
    const train = Array.from({ length: layer.timeSteps }, (_, t) => ((word >>> t) & 1 ? "|" : "·")).join("");
    byId("inside-said").textContent = `${layer.name}, channel ${channel}, row ${row}, column ${column}: ${train} (${bits(word)} spikes)`;
  });

  return {
    opened() {
      seen = undefined;
      of = "";
      slider.max = String(page.architecture.timeSteps);
      slider.value = slider.max;
    },
    shown() {
      if (of !== [page.model, page.seed, page.chosen].join()) look();
    },
  };
}

// The widget in the browser: Python sends the page's module and a checkpoint once, the images are made here.

const MAX = 2n ** 64n;
/** A time step is shown so long. */
const TICK_MS = 90;

/** Images that are made at once: on the CPU the notebook's thread has a turn between them. */
const some = (backend) => (backend.name === "cpu" ? 2 : 32);

/** What Python sends when it is asked; it may be busy with a cell until then. */
function parts(model) {
  return new Promise((resolve) => {
    const come = (content, buffers) => {
      if (content.kind !== "parts") return;
      model.off("msg:custom", come);
      resolve(buffers.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)));
    };
    model.on("msg:custom", come);
    model.send({ kind: "parts" });
  });
}

/** A script of the module; it has no address that could be imported. */
async function load(script) {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function open(model) {
  const [script, bindings, wasm, checkpoint] = await parts(model);
  const { default: init, Network, tiles } = await load(script);
  await init({ parts: { bindings: await load(bindings), wasm } });
  const network = await Network.load(checkpoint, { name: model.get("model") });
  const backend = model.get("backend");
  const generator = await network.generator({ backend: backend === "gpu" ? "webgpu" : backend });
  const close = () => {
    generator.free();
    network.free();
  };
  return { generator, tiles, close, ...network.architecture };
}

/** Again on a new device if the first was lost meanwhile. */
async function frames(generator, ...range) {
  try {
    return await generator.frames(...range);
  } catch (error) {
    if (error.code !== "device-lost") throw error;
    await generator.rebuild();
    return generator.frames(...range);
  }
}

function element(parent, kind, properties) {
  return parent.appendChild(Object.assign(document.createElement(kind), properties));
}

function controls(el) {
  el.classList.add("fsvae");
  const canvas = element(el, "canvas", { width: 1, height: 1 });
  canvas.setAttribute("role", "img");
  const row = element(el, "div", {});
  const play = element(row, "button", { type: "button", textContent: "Form", title: "Shows the time steps one by one" });
  const step = element(element(row, "label", { textContent: "time step " }), "input", { type: "range", min: 1, disabled: true });
  const shown = element(row, "output", {});
  const seed = element(element(row, "label", { textContent: "seed " }), "input", { type: "text", inputMode: "numeric" });
  const line = element(el, "p", { textContent: "Waiting for Python …" });
  line.setAttribute("role", "status");
  return { canvas, play, step, shown, seed, line };
}

/** One view of the widget: what it shows follows the traits, and the controls set them. */
function view(opening, model, el) {
  const { canvas, play, step, shown, seed, line } = controls(el);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let engine;
  /** Of each image that has come, its pixels after each time step. */
  let made = [];
  /** The range that is asked for last; another one stops it. */
  let asked = 0;
  let timer;

  const first = () => BigInt(model.get("first"));
  const columns = () => model.get("columns") ?? Math.ceil(Math.sqrt(model.get("count")));

  function say(text) {
    line.textContent = text;
    model.set("status", text);
    model.save_changes();
  }

  function tile(n) {
    const { tiles, side } = engine;
    const picture = tiles(made[n][step.value - 1], engine, 1);
    canvas.getContext("2d").putImageData(picture, (n % columns()) * side, Math.floor(n / columns()) * side);
  }

  function at(time) {
    step.value = time;
    shown.textContent = `${step.value} of ${engine.timeSteps}`;
    made.forEach((_, n) => tile(n));
  }

  /** The time step that the trait names; without one the images form, and stay. */
  function form() {
    clearInterval(timer);
    if (!engine) return;
    const wanted = model.get("step");
    if (wanted !== null || still) {
      at(wanted ?? engine.timeSteps);
      return;
    }
    at(1);
    timer = setInterval(() => {
      at(Number(step.value) + 1);
      if (Number(step.value) >= engine.timeSteps) clearInterval(timer);
    }, TICK_MS);
  }

  async function make() {
    const mine = (asked += 1);
    seed.value = model.get("seed");
    if (!engine) return;
    const [count, { generator, timeSteps, side }] = [model.get("count"), engine];
    const { backend } = generator;
    const where = backend.name === "cpu" ? "the CPU, in WebAssembly" : backend.adapter;
    made = [];
    canvas.width = Math.min(count, columns()) * side;
    canvas.height = Math.ceil(count / columns()) * side;
    canvas.style.width = `${canvas.width * Math.max(1, Math.floor(384 / canvas.width))}px`;
    canvas.setAttribute("aria-label", `${count} images of seed ${seed.value}, from index ${first()}`);
    form();
    for (let n = 0; n < count; n += some(backend)) {
      const images = Math.min(some(backend), count - n);
      const come = await frames(generator, BigInt(seed.value), first() + BigInt(n), images);
      await new Promise((resolve) => setTimeout(resolve));
      if (mine !== asked) return;
      const bytes = come.length / timeSteps / images;
      for (let image = 0; image < images; image += 1) {
        const pixels = (_, t) => come.subarray((t * images + image) * bytes, (t * images + image + 1) * bytes);
        made[n + image] = Array.from({ length: timeSteps }, pixels);
        tile(n + image);
      }
      line.textContent = `${n + images} of ${count} images`;
    }
    say(`Made in this browser on ${where}`);
  }

  const failed = (error) => say(error.message ?? String(error));
  const remake = () => make().catch(failed);
  const resize = () => engine && remake();

  play.onclick = () => {
    model.set("step", null);
    model.save_changes();
    form();
  };
  step.oninput = () => {
    model.set("step", Number(step.value));
    model.save_changes();
    form();
  };
  seed.onchange = () => {
    const text = seed.value.trim();
    if (!/^\d+$/.test(text) || BigInt(text) >= MAX) {
      line.textContent = `seed: expected a number from 0 to ${MAX - 1n}, found "${seed.value}"`;
      return;
    }
    model.set("seed", text);
    model.save_changes();
  };
  canvas.onclick = ({ offsetX, offsetY }) => {
    if (!engine) return;
    const scale = canvas.width / canvas.clientWidth / engine.side;
    const n = Math.floor(offsetY * scale) * columns() + Math.floor(offsetX * scale);
    if (n >= model.get("count")) return;
    model.set("chosen", String(first() + BigInt(n)));
    model.save_changes();
  };

  const events = ["change:seed", "change:first", "change:count"];
  for (const event of events) model.on(event, remake);
  model.on("change:columns", resize);
  model.on("change:step", form);
  const opened = async () => {
    engine = await opening;
    step.max = engine.timeSteps;
    step.disabled = false;
    await make();
  };
  seed.value = model.get("seed");
  opened().catch(failed);

  return () => {
    asked += 1;
    clearInterval(timer);
    for (const event of events) model.off(event, remake);
    model.off("change:columns", resize);
    model.off("change:step", form);
  };
}

/** Of one widget; its views share what was loaded. */
export default () => {
  let opening;
  return {
    initialize({ model }) {
      opening = open(model);
      // The views say it.
      opening.catch(() => undefined);
      return () => opening.then(({ close }) => close(), () => undefined);
    },
    render: ({ model, el }) => view(opening, model, el),
  };
};

// Make: a wall of images that form over the time steps.

import { ask, on } from "./client.js";
import { byId, field, put, save, savePng } from "./dom.js";
import { digest, tiles } from "./fsvae.js";

export function makePart(page, status) {
  const [wall, one, slider] = [byId("wall"), byId("one"), byId("step")];
  /** Of each image that has come, all its frames, `[T][bytes]`. */
  let frames = [];
  let number = 0;
  let made = "";
  let timer;

  const columns = () => Math.ceil(Math.sqrt(page.count));
  const side = () => page.architecture.side;
  const step = () => Number(slider.value) - 1;

  on("frames", ({ number: of, at, images, frames: come }) => {
    if (of !== number) return;
    const { timeSteps } = page.architecture;
    const bytes = come.length / timeSteps / images;
    for (let n = 0; n < images; n += 1) {
      frames[at + n] = Array.from({ length: timeSteps }, (_, t) => come.subarray((t * images + n) * bytes, (t * images + n + 1) * bytes));
    }
    for (let n = at; n < at + images; n += 1) tile(n);
    status.say(`${Math.min(page.count, at + images)} of ${page.count} images`);
    if (chosenAt() >= at && chosenAt() < at + images) choose(page.chosen);
  });

  /** Draws the n-th image of the wall as it is at the slider's time step. */
  function tile(n) {
    const context = wall.getContext("2d");
    const picture = tiles(frames[n][step()], page.architecture, 1);
    context.putImageData(picture, (n % columns()) * side(), Math.floor(n / columns()) * side());
  }

  function redraw() {
    if (!page.architecture) return;
    const { timeSteps } = page.architecture;
    byId("step-shown").textContent = `${step() + 1} of ${timeSteps}`;
    frames.forEach((_, n) => tile(n));
    const chosen = frames[chosenAt()];
    if (chosen) put(one, tiles(chosen[step()], page.architecture, 1));
  }

  const chosenAt = () => Number(page.chosen - page.first);

  /** Shows one image with its digest and its address. */
  async function choose(index) {
    page.chosen = index;
    byId("chosen").value = String(index);
    page.remember();
    byId("link").href = location.hash;
    const chosen = frames[chosenAt()];
    if (!chosen) {
      blank();
      return;
    }
    one.setAttribute("aria-label", `Image ${index} of seed ${page.seed}`);
    put(one, tiles(chosen[step()], page.architecture, 1));
    for (const id of ["save-one", "save-one-gif"]) byId(id).disabled = false;
    const of = number;
    const found = crypto.subtle ? await digest(chosen.at(-1)) : "browsers compute it on https pages only";
    if (of === number && page.chosen === index) byId("digest").textContent = found;
  }

  /** Nothing of another image stays until the chosen one has come. */
  function blank() {
    one.getContext("2d").clearRect(0, 0, one.width, one.height);
    one.setAttribute("aria-label", "The chosen image");
    byId("digest").textContent = "";
    for (const id of ["save-one", "save-one-gif"]) byId(id).disabled = true;
  }

  async function make() {
    if (!page.architecture) return;
    stop();
    blank();
    const { seed, first, count, architecture } = page;
    number += 1;
    frames = [];
    made = [page.model, seed, first, count].join();
    slider.max = String(architecture.timeSteps);
    slider.value = slider.max;
    [wall.width, wall.height] = [columns() * side(), Math.ceil(count / columns()) * side()];
    wall.setAttribute("aria-label", `${count} generated images of the model ${page.model}, seed ${seed}, from image ${first} on`);
    delete wall.dataset.done;
    await status.during(async () => {
      if (first + BigInt(count) > 2n ** 64n) throw new Error(`${count} images from image ${first} on pass the last, 18446744073709551615`);
      const mine = number;
      const whole = await ask("wall", { seed, first, count, number });
      if (mine !== number) return;
      if (!whole) {
        made = ""; // it was stopped for a model or a backend that may fail: it is made again when it is shown
        return;
      }
      wall.dataset.done = made;
      status.rest();
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
    });
  }

  function stop() {
    clearInterval(timer);
    timer = undefined;
    byId("play").textContent = "Play";
  }

  function play() {
    if (!page.architecture) return;
    stop();
    byId("play").textContent = "Stop";
    slider.value = "1";
    redraw();
    timer = setInterval(() => {
      slider.value = String(step() + 2);
      redraw();
      if (slider.value === slider.max) stop();
    }, 120);
  }

  /** Reads the form. */
  function wanted() {
    status.during(async () => {
      page.seed = field("seed", "Seed");
      page.first = field("first", "First image");
      const { value, valueAsNumber } = byId("count");
      if (!Number.isInteger(valueAsNumber) || valueAsNumber < 1 || valueAsNumber > 256) throw new Error(`How many: expected a number from 1 to 256, found "${value}"`);
      page.count = valueAsNumber;
      page.chosen = page.first;
      page.remember();
      await make();
    });
  }

  byId("make-form").addEventListener("submit", (event) => {
    event.preventDefault();
    wanted();
  });
  byId("another").addEventListener("click", () => {
    byId("seed").value = String(crypto.getRandomValues(new BigUint64Array(1))[0] >> 32n);
    wanted();
  });
  slider.addEventListener("input", () => {
    stop();
    redraw();
  });
  byId("play").addEventListener("click", () => (timer ? stop() : play()));
  wall.addEventListener("click", ({ offsetX, offsetY }) => {
    const size = wall.clientWidth / columns();
    const at = Math.floor(offsetY / size) * columns() + Math.floor(offsetX / size);
    if (frames[at]) choose(page.first + BigInt(at));
  });
  byId("chosen").addEventListener("change", () =>
    status.during(async () => {
      const index = field("chosen", "Image");
      if (index >= page.first && index < page.first + BigInt(page.count)) return choose(index);
      // Somewhere else: the wall goes there.
      [page.first, page.chosen] = [index, index];
      byId("first").value = String(index);
      return make();
    }),
  );
  byId("save-wall").addEventListener("click", () => page.architecture && savePng(wall, `${page.model}-${page.seed}-${page.first}.png`));
  byId("save-one").addEventListener("click", () => savePng(one, `${page.model}-${page.seed}-${page.chosen}.png`));
  /** As it forms, enlarged to some 400 pixels. */
  const saveGif = (chosen, columns, width, name) =>
    status.during(async () => {
      status.say("Making the animation …");
      const bytes = chosen[0].at(-1).length;
      const steps = Array.from({ length: page.architecture.timeSteps }, (_, t) => {
        const step = new Uint8Array(chosen.length * bytes);
        chosen.forEach((frame, n) => step.set(frame[t], n * bytes));
        return step;
      });
      const file = await ask("gif", { frames: steps, columns, scale: Math.max(1, Math.floor(400 / width)) });
      save(new Blob([file], { type: "image/gif" }), name);
      status.rest();
    });
  byId("save-wall-gif").addEventListener("click", () => {
    if (wall.dataset.done) saveGif(frames, columns(), wall.width, `${page.model}-${page.seed}-${page.first}.gif`);
  });
  byId("save-one-gif").addEventListener("click", () => saveGif([frames[chosenAt()]], 1, side(), `${page.model}-${page.seed}-${page.chosen}.gif`));
  byId("look").addEventListener("click", () => page.show("inside"));

  return {
    opened() {
      made = ""; // on another backend, too
      for (const name of ["seed", "first", "count", "chosen"]) byId(name).value = String(page[name]);
    },
    shown() {
      if (made !== [page.model, page.seed, page.first, page.count].join()) make();
      else choose(page.chosen);
    },
  };
}

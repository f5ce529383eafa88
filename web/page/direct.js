// Draw, directions: more or less of something, which a few images have and others have not.

import { ask } from "./client.js";
import { byId, field, number, put } from "./dom.js";
import { tiles } from "./fsvae.js";

/** Amounts from -3 to 3, in quarters. */
const AMOUNTS = Array.from({ length: 25 }, (_, n) => (n - 12) / 4);
const SETS = ["with", "without"];
/** Pictures of a set. */
const MOST = 256;

/** Numbers and ranges of images, such as `0-7, 12`. */
function numbers(text, name) {
  const found = [];
  for (const part of text.split(/[\s,]+/).filter(Boolean)) {
    const [from, to, more] = part.split("-").map(number);
    const last = part.includes("-") ? to : from;
    if (from === undefined || last === undefined || more !== undefined || last < from) {
      throw new Error(`${name}: expected numbers of images such as 0-7, 12, found "${part}"`);
    }
    if (last - from >= BigInt(MOST)) throw new Error(`${name}: expected at most ${MOST} images, found ${part}`);
    for (let index = from; index <= last; index += 1n) found.push(index);
  }
  return found;
}

export function directPart(page, status, drawing) {
  const added = { with: [], without: [] };
  let images;

  function counted(set) {
    const { length } = added[set];
    byId(`${set}-said`).textContent = length ? `and ${length} of your own` : "";
    byId(`${set}-none`).hidden = length === 0;
  }

  for (const set of SETS) {
    byId(`${set}-drawing`).addEventListener("click", () => {
      added[set].push(drawing());
      counted(set);
    });
    byId(`${set}-none`).addEventListener("click", () => {
      added[set] = [];
      counted(set);
      byId(`${set}-numbers`).focus();
    });
    byId(`${set}-files`).addEventListener("change", ({ target }) =>
      status.during(async () => {
        for (const file of target.files) added[set].push(await read(file));
        counted(set);
        target.value = "";
      }),
    );
  }

  function show() {
    const at = Number(byId("amount").value);
    byId("amount-shown").textContent = AMOUNTS[at].toFixed(2);
    if (!images) return;
    const bytes = images.length / AMOUNTS.length;
    put(byId("directed"), tiles(images.subarray(at * bytes, (at + 1) * bytes), page.architecture, 1));
  }
  byId("amount").addEventListener("input", show);
  byId("go-from").addEventListener("change", ({ target }) => (byId("go-image").disabled = target.value === "drawing"));

  byId("direction-form").addEventListener("submit", (event) => {
    event.preventDefault();
    status.during(async () => {
      const wanted = { seed: page.seed, amounts: AMOUNTS };
      for (const set of SETS) {
        const name = set === "with" ? "With it" : "Without it";
        wanted[set] = { indices: numbers(byId(`${set}-numbers`).value, name), pictures: added[set] };
        const all = wanted[set].indices.length + added[set].length;
        if (all < 1 || all > MOST) throw new Error(`${name}: expected 1 to ${MOST} images, found ${all}`);
      }
      wanted.base = byId("go-from").value === "drawing" ? { picture: drawing() } : { index: field("go-image", "Change image") };
      const found = await ask("direct", wanted);
      for (const set of SETS) {
        const { side, channels } = page.architecture;
        const count = found[set].length / (side * side * channels);
        put(byId(`${set}-set`), tiles(found[set], page.architecture, Math.min(8, count)));
        byId(`${set}-set`).hidden = false;
        byId(`${set}-set`).setAttribute("aria-label", `The ${count} images ${set} it`);
      }
      images = found.images;
      byId("directed").dataset.done = String(Number(byId("directed").dataset.done ?? 0) + 1);
      show();
    });
  });

  show();
  return {
    opened() {
      images = undefined;
      for (const set of SETS) byId(`${set}-set`).hidden = true;
      const canvas = byId("directed");
      canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    },
  };
}

/** A file as a picture. */
async function read(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name}: this browser cannot read it as a picture`);
  });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

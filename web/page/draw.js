// Draw: what the network makes of a drawing, and the walk between two images.

import { ask } from "./client.js";
import { directPart } from "./direct.js";
import { byId, field, put } from "./dom.js";
import { tiles } from "./fsvae.js";

const WALK = 25;

export function drawPart(page, status) {
  const sheet = byId("sheet");
  const context = sheet.getContext("2d", { willReadFrequently: true });
  const pen = { x: sheet.width / 2, y: sheet.height / 2, down: false };
  let asked = false;
  let again = false;
  let walk;
  let fresh = true;

  function clear() {
    context.fillStyle = "#000";
    context.fillRect(0, 0, sheet.width, sheet.height);
  }

  const drawing = () => context.getImageData(0, 0, sheet.width, sheet.height);

  /** Asks for the reconstruction; strokes that come meanwhile are in the next one. */
  async function remake() {
    if (!page.architecture) return;
    again = asked;
    if (asked) return;
    asked = true;
    await status.during(async () => {
      const start = performance.now();
      const pixels = await ask("reconstruct", { picture: drawing(), seed: page.seed });
      put(byId("remade"), tiles(pixels, page.architecture, 1));
      byId("draw-said").textContent = `Made again from spikes in ${Math.round(performance.now() - start)} ms.`;
      byId("remade").dataset.done = String(Number(byId("remade").dataset.done ?? 0) + 1);
    });
    asked = false;
    if (again) remake();
  }

  function line(x, y) {
    context.lineWidth = Number(byId("pen").value);
    context.lineCap = "round";
    context.strokeStyle = byId("colour").value;
    context.beginPath();
    context.moveTo(pen.x, pen.y);
    context.lineTo(x, y);
    context.stroke();
    [pen.x, pen.y] = [x, y];
    remake();
  }

  const at = ({ offsetX, offsetY }) => [offsetX, offsetY].map((to) => (to * sheet.width) / sheet.clientWidth);

  sheet.addEventListener("pointerdown", (event) => {
    sheet.setPointerCapture(event.pointerId);
    [pen.x, pen.y] = at(event);
    pen.down = true;
    line(pen.x, pen.y);
  });
  sheet.addEventListener("pointermove", (event) => pen.down && line(...at(event)));
  for (const end of ["pointerup", "pointercancel"]) sheet.addEventListener(end, () => (pen.down = false));
  sheet.addEventListener("keydown", (event) => {
    const step = 12;
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
    const inside = (to) => Math.min(sheet.width, Math.max(0, to));
    const [x, y] = [inside(pen.x + dx), inside(pen.y + dy)];
    if (event.key === " ") {
      // Held or pressed once: a dot, and the pen stays down for the arrows.
      pen.down = !pen.down || event.repeat;
      line(pen.x, pen.y);
    } else if (dx || dy) {
      if (pen.down) line(x, y);
      else [pen.x, pen.y] = [x, y];
    } else return;
    byId("pen-said").textContent = `Pen ${pen.down ? "down" : "up"} at ${Math.round(pen.x)}, ${Math.round(pen.y)}.`;
    event.preventDefault();
  });
  sheet.addEventListener("blur", () => (pen.down = false));
  byId("clear").addEventListener("click", () => {
    clear();
    remake();
  });

  async function picture(file) {
    await status.during(async () => {
      const bitmap = await createImageBitmap(file).catch(() => {
        throw new Error(`${file.name}: this browser cannot read it as a picture`);
      });
      clear();
      context.drawImage(bitmap, 0, 0, sheet.width, sheet.height);
      await remake();
    });
  }
  byId("picture").addEventListener("change", ({ target }) => target.files[0] && picture(target.files[0]));

  function way() {
    const step = Number(byId("way").value);
    byId("way-shown").textContent = `${Math.round((100 * step) / (WALK - 1))} %`;
    if (!walk) return;
    const bytes = walk.length / WALK;
    put(byId("walk"), tiles(walk.subarray(step * bytes, (step + 1) * bytes), page.architecture, 1));
  }
  byId("way").addEventListener("input", way);
  byId("walk-from").addEventListener("change", ({ target }) => (byId("walk-a").disabled = target.value === "drawing"));
  byId("walk-form").addEventListener("submit", (event) => {
    event.preventDefault();
    status.during(async () => {
      const to = field("walk-b", "to image");
      const from = byId("walk-from").value === "drawing" ? { picture: drawing() } : { from: field("walk-a", "From image") };
      walk = await ask("walk", { seed: page.seed, to, steps: WALK, ...from });
      byId("walk").dataset.done = String(walk.length);
      way();
    });
  });

  const direct = directPart(page, status, drawing);

  clear();
  return {
    picture,
    opened() {
      walk = undefined;
      fresh = true;
      direct.opened();
      byId("colour").closest("label").hidden = page.architecture.channels === 1;
      if (page.architecture.channels === 1) byId("colour").value = "#ffffff";
    },
    shown() {
      if (fresh) remake();
      fresh = false;
    },
  };
}

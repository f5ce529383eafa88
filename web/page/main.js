// The page: what is open, the tabs, the address, and what is said about all of it.

import { ask, on } from "./client.js";
import { byId, number, shown } from "./dom.js";
import { makePart } from "./make.js";
import { insidePart } from "./inside.js";
import { drawPart } from "./draw.js";
import { measurePart } from "./measure.js";
import { listen } from "./status.js";

const PARTS = ["make", "inside", "draw", "measure"];

/** What all parts know. */
const page = {
  architecture: undefined,
  /** A shipped model's name, or `own:` and the name of a file; none until it is open. */
  model: undefined,
  part: "make",
  seed: 7n,
  first: 0n,
  count: 64,
  chosen: 0n,
  /** Puts what is shown into the address. */
  remember,
  show,
};

const status = listen();
const parts = { make: makePart(page, status), inside: insidePart(page, status), draw: drawPart(page, status), measure: measurePart(page, status) };

function remember() {
  if (!page.architecture) return; // the address says what is to be opened
  const { model, part, seed, first, count, chosen } = page;
  const address = new URLSearchParams({ part, model, seed, first, count, image: chosen });
  // An own file is not at an address.
  if (!isShipped(model)) address.delete("model");
  history.replaceState(null, "", `#${address}`);
}

/** Takes from the address what it has; the model it names is returned, for it is not open yet. */
function recall() {
  const address = new URLSearchParams(location.hash.slice(1));
  const big = (name, otherwise) => number(address.get(name) ?? "") ?? otherwise;
  page.seed = big("seed", page.seed);
  page.first = big("first", page.first);
  page.count = Math.min(256, Math.max(1, Number(big("count", BigInt(page.count)))));
  page.chosen = big("image", page.first);
  if (page.chosen < page.first || page.chosen >= page.first + BigInt(page.count)) page.first = page.chosen;
  if (PARTS.includes(address.get("part"))) page.part = address.get("part");
  return isShipped(address.get("model")) ? address.get("model") : undefined;
}

const isShipped = (name) => [...byId("model").options].some(({ value }) => value === name);

/** Asks for another model or backend. The wall is stopped for it, and goes on if there is none. */
async function change(what, wanted) {
  try {
    return await ask(what, wanted);
  } catch (error) {
    if (page.architecture) show(page.part);
    throw error;
  }
}

function changed() {
  for (const part of Object.values(parts)) part.opened();
  show(page.part);
}

/** Opens a shipped model, or a file of this name. */
async function open(name, bytesOf) {
  await status.during(async () => {
    try {
      const bytes = await bytesOf?.();
      page.architecture = await change("open", { name, bytes, backend: byId("backend").value });
      page.model = bytesOf ? `own:${name}` : name;
    } finally {
      // What is open, which may be what was open before.
      byId("model").value = isShipped(page.model) ? page.model : "";
    }
    document.body.dataset.model = page.model;
    changed();
  });
}

async function openFile(file) {
  if (file.type.startsWith("image/")) {
    show("draw");
    await parts.draw.picture(file);
    return;
  }
  status.say(`Reading ${file.name} (${shown(file.size)}) …`);
  await open(file.name, async () => {
    const bytes = await file.arrayBuffer().catch(({ message }) => {
      throw new Error(`${file.name}: ${message}`); // a folder, or gone
    });
    return new Uint8Array(bytes);
  });
}

/** Changes to a part of the page. */
function show(part) {
  page.part = part;
  for (const name of PARTS) {
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === part));
    tab.tabIndex = name === part ? 0 : -1;
    byId(name).hidden = name !== part;
  }
  if (!page.architecture) return;
  remember();
  parts[part].shown();
}

for (const name of PARTS) {
  const tab = byId(`tab-${name}`);
  tab.addEventListener("click", () => show(name));
  tab.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = PARTS[(PARTS.indexOf(name) + step + PARTS.length) % PARTS.length];
    show(next);
    byId(`tab-${next}`).focus();
  });
}

byId("model").addEventListener("change", ({ target }) => open(target.value));
byId("file").addEventListener("change", ({ target }) => target.files[0] && openFile(target.files[0]));
let backend = byId("backend").value;
byId("backend").addEventListener("change", ({ target }) =>
  status.during(async () => {
    const wanted = target.value;
    target.value = backend; // until it is so
    await change("backend", { backend: wanted });
    backend = target.value = wanted;
    changed();
  }),
);

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) openFile(file);
});
addEventListener("hashchange", () => {
  const model = recall();
  parts.make.opened();
  if (model && model !== page.model) open(model);
  else show(page.part);
});

const initial = recall() ?? "faces";
byId("model").value = initial;
show(page.part);
open(initial);

// The page works without a network from the second time on.
navigator.serviceWorker?.register(new URL("offline.js", import.meta.url)).catch(() => undefined);
on("stopped", ({ message }) => status.trouble(`The program stopped: ${message}. Load the page again.`));

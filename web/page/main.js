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
  /** A shipped model's name, or the name of a file. */
  model: "faces",
  part: "make",
  seed: 7n,
  first: 0n,
  count: 64,
  chosen: 0n,
  /** Puts what is shown into the address. */
  remember,
  show,
};

const status = listen(page);
const parts = { make: makePart(page, status), inside: insidePart(page, status), draw: drawPart(page, status), measure: measurePart(page, status) };

function remember() {
  const { model, part, seed, first, count, chosen } = page;
  const address = new URLSearchParams({ part, model, seed, first, count, image: chosen });
  // An own file is not at an address.
  if (!isShipped(model)) address.delete("model");
  history.replaceState(null, "", `#${address}`);
}

function recall() {
  const address = new URLSearchParams(location.hash.slice(1));
  const big = (name, otherwise) => number(address.get(name) ?? "") ?? otherwise;
  page.seed = big("seed", page.seed);
  page.first = big("first", page.first);
  page.count = Math.min(256, Math.max(1, Number(big("count", BigInt(page.count)))));
  page.chosen = big("image", page.first);
  if (page.chosen < page.first || page.chosen >= page.first + BigInt(page.count)) page.first = page.chosen;
  if (PARTS.includes(address.get("part"))) page.part = address.get("part");
  if (isShipped(address.get("model"))) page.model = address.get("model");
}

const isShipped = (name) => [...byId("model").options].some(({ value }) => value === name && !value.startsWith("own:"));

async function open(wanted, name) {
  await status.during(async () => {
    page.architecture = await ask("open", { ...wanted, backend: byId("backend").value });
    page.model = name;
    document.body.dataset.model = name;
    remember();
    for (const part of Object.values(parts)) part.opened();
    parts[page.part].shown();
  });
}

async function openFile(file) {
  if (file.type.startsWith("image/")) {
    show("draw");
    await parts.draw.picture(file);
    return;
  }
  status.say(`Reading ${file.name} (${shown(file.size)}) …`);
  await open({ bytes: new Uint8Array(await file.arrayBuffer()), name: file.name }, `own:${file.name}`);
  byId("model").value = "";
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

byId("model").addEventListener("change", ({ target }) => open({ name: target.value }, target.value));
byId("file").addEventListener("change", ({ target }) => target.files[0] && openFile(target.files[0]));
let backend = byId("backend").value;
byId("backend").addEventListener("change", ({ target }) =>
  status.during(async () => {
    const wanted = target.value;
    target.value = backend; // until it is so
    await ask("backend", { backend: wanted });
    backend = target.value = wanted;
    for (const part of Object.values(parts)) part.opened();
    parts[page.part].shown();
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
  const before = page.model;
  recall();
  if (page.model === before) {
    show(page.part);
    parts.make.opened();
    return;
  }
  byId("model").value = page.model;
  open({ name: page.model }, page.model);
});

recall();
byId("model").value = page.model;
show(page.part);
open({ name: page.model }, page.model);

// The page works without a network from the second time on.
navigator.serviceWorker?.register(new URL("offline.js", import.meta.url)).catch(() => undefined);
on("stopped", ({ message }) => status.trouble(`The program stopped: ${message}. Load the page again.`));

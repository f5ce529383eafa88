// Measure: verify, then a short benchmark, and a line to paste.

import { ask, on } from "./client.js";
import { byId, save } from "./dom.js";

const SECONDS = 8;

export function measurePart(page, status) {
  const said = byId("measure-said");
  let told;
  let record;

  on("backend", (event) => (told = event));
  on("verified", ({ step: { check, step, steps, faults } }) => {
    said.textContent = `Verifying, ${step} of ${steps}: ${check}${faults.length ? ` WRONG: ${faults[0]}` : ""}`;
  });
  on("measured", ({ what, done }) => {
    said.textContent = `Measuring ${what}: ${Math.round(100 * done)} %`;
  });

  function line({ model, backend, build, verdict, measured }) {
    const { perSecond, spread, milliseconds, batch } = measured;
    const runs = backend.name === "webgpu" ? `WebGPU, ${backend.adapter}` : `WebAssembly${build === "simd" ? " with SIMD" : ""}`;
    const speed = `${perSecond.toPrecision(3)} images/s (±${(100 * spread).toFixed(0)} %, ${batch} at once), one alone ${milliseconds.toPrecision(3)} ms`;
    return `${verdict}\nfsvae ${model} · ${runs} · ${browser()} · ${speed}`;
  }

  async function go() {
    byId("go").disabled = true;
    byId("result").textContent = "";
    await status.during(async () => {
      said.textContent = "Verifying …";
      // Both at once, for nothing comes between them then. When the first answer is there, so is that of all that was asked
      // before, and the model and the backend are those of both.
      const verified = ask("verify").then((report) => ({ ...report, model: page.model, backend: told.backend, build: told.build }));
      const [{ model, backend, build, right, verdict, faults }, measured] = await Promise.all([verified, ask("measure", { seconds: SECONDS })]);
      record = { model, backend, build, browser: browser(), right, verdict, faults, measured };
      byId("result").textContent = line(record);
      said.textContent = right ? "All right." : "Something is computed wrong: please report the text below.";
      for (const id of ["copy", "download"]) byId(id).disabled = false;
    });
    byId("go").disabled = false;
  }

  byId("go").addEventListener("click", go);
  byId("copy").addEventListener("click", () =>
    status.during(async () => {
      await navigator.clipboard.writeText(byId("result").textContent);
      said.textContent = "Copied.";
    }),
  );
  byId("download").addEventListener("click", () => save(new Blob([`${JSON.stringify(record, null, 2)}\n`], { type: "application/json" }), "fsvae-browser.json"));

  return {
    opened() {
      byId("result").textContent = "";
      said.textContent = "";
      for (const id of ["copy", "download"]) byId(id).disabled = true;
    },
    shown() {},
  };
}

/** The browser and its system, as far as it says. */
function browser() {
  const brands = navigator.userAgentData?.brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand.replace(/[^a-z]/gi, "")));
  const brand = brands?.at(-1);
  const name = brand ? `${brand.brand} ${brand.version}` : (navigator.userAgent.match(/(Firefox|Version|Edg|Chrome)\/[\d.]+/)?.[0] ?? "a browser").replace("Version", "Safari");
  return [name, navigator.userAgentData?.platform].filter(Boolean).join(", ");
}

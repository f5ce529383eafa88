// Measure: verify, then the benchmark of the command line, with its line to paste and its records.

import { ask, on } from "./client.js";
import { byId, save } from "./dom.js";

export function measurePart(page, status) {
  const said = byId("measure-said");
  const rows = byId("rows");
  let json;

  on("verified", ({ step: { check, step, steps, faults } }) => {
    said.textContent = `Verifying, ${step} of ${steps}: ${check}${faults.length ? ` WRONG: ${faults[0]}` : ""}`;
  });
  on("measured", ({ news: { step, what, result } }) => {
    if (step) said.textContent = `Measuring: ${step} …`;
    else row(what, result);
  });

  function row(...cells) {
    const line = rows.insertRow();
    for (const cell of cells) line.insertCell().textContent = cell;
    byId("rows-table").hidden = false;
  }

  function blank() {
    json = undefined;
    rows.replaceChildren();
    byId("rows-table").hidden = true;
    byId("records").hidden = true;
    for (const id of ["result", "compared"]) byId(id).textContent = "";
    for (const id of ["copy", "download"]) byId(id).disabled = true;
  }

  async function go() {
    byId("go").disabled = true;
    blank();
    await status.during(async () => {
      said.textContent = "Verifying …";
      try {
        // Both are asked for at once, for nothing comes between them then.
        const [{ right, verdict }, bench] = await Promise.all([ask("verify"), ask("bench")]);
        ({ json } = bench);
        byId("result").textContent = `${verdict}\n${bench.line}`;
        const [{ status: found, reason }] = bench.report.results;
        if (!bench.right) said.textContent = `It could not be measured (${found}): ${reason}`;
        else if (right) said.textContent = "All right.";
        else said.textContent = "Something is computed wrong: please report the text below.";
        for (const id of ["copy", "download"]) byId(id).disabled = false;
        const text = await compared(bench);
        if (json !== bench.json) return; // another model is open
        byId("compared").textContent = text;
        byId("records").hidden = false;
      } catch (error) {
        said.textContent = "";
        throw error;
      }
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
  byId("download").addEventListener("click", () => save(new Blob([json], { type: "application/json" }), "fsvae-bench.json"));

  return {
    opened() {
      blank();
      said.textContent = "";
    },
    shown() {},
  };
}

/** The shipped records of the same model, and this one, as `fsvae bench compare` sets them side by side. */
async function compared({ report, json }) {
  const at = (file) => new URL(`records/${file}`, import.meta.url);
  const fetched = async (file) => {
    const response = await fetch(at(file));
    if (!response.ok) throw new Error(`records/${file}: ${response.status} ${response.statusText}`);
    return response;
  };
  const index = await (await fetched("index.json")).json();
  const same = index.filter(({ model }) => model.sha256 === report.model.sha256);
  if (!same.length) {
    const others = [...new Set(index.map(({ model }) => model.name))].join(", ");
    return `No record of the model ${report.model.name} with these weights ships with this page; there are some of ${others}.`;
  }
  const files = await Promise.all(same.map(async ({ file }) => ({ name: file, json: await (await fetched(file)).text() })));
  return ask("compare", { files: [...files, { name: "this browser", json }] });
}

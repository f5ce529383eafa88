// The benchmark of the command line in a browser: its file, its line, and its comparison.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { launch, open, openWith } from "./browser.mjs";
import { serve } from "./server.mjs";

// Of the weights that the model has today: others are not set beside it.
const RECORD = "2026-11-27-xeon-2-cores.json";
const known = readFileSync(new URL("../../src/bench/known.rows", import.meta.url), "utf8").split("\n");

let server;
before(async () => (server = await serve()));
after(() => server.close());

// SwiftShader takes long: it has the small model.
for (const [backend, model, runs] of [["cpu", "mnist", /^[^·]+ \(CPU, [^·]+\)$/], ["webgpu", "faces-esvae", /^[^·]*\S \(WebGPU\)$/]]) {
  test(`it is measured (${backend})`, async () => {
    const browser = await launch({ webgpu: backend === "webgpu" });
    try {
      const { page, errors } = await openWith(browser, server.url, backend, model);
      const { report, json, line, right, news, compared } = await page.evaluate(
        async ([base, record, model]) => {
          const news = [];
          const result = await generator.bench((told) => news.push(told), { seed: 7n, quick: true });
          const shipped = model === "mnist" ? await (await fetch(`${base}records/${record}`)).text() : result.json;
          const compared = await fsvae.compare([{ name: record, json: shipped }, { name: "this browser", json: result.json }]);
          return { ...result, news, compared };
        },
        [server.url, RECORD, model],
      );
      const [result] = report.results;
      assert.ok(right, JSON.stringify(result));
      assert.deepEqual(JSON.parse(json), report);
      assert.equal(report.schema, "fsvae-bench");
      assert.equal(report.version, 1);
      const file = readFileSync(new URL(`../dist/models/${model}.safetensors`, import.meta.url));
      const family = model.endsWith("-esvae") ? "esvae" : "fsvae";
      assert.deepEqual(report.model, { name: model, sha256: createHash("sha256").update(file).digest("hex"), family });
      assert.equal(report.options.quick, true);
      assert.equal(report.options.seed, 7);
      assert.match(report.machine.os, /\d/);
      assert.ok(report.operations.layers.length >= 5 && report.operations.layers.every(({ additions }) => additions > 0));
      assert.equal(result.status, "ok");
      const expected = known.filter((row) => row.startsWith(`${model} `)).length;
      assert.ok(expected >= 3 && result.verified.with_oracle >= expected, `${result.verified.with_oracle} of the oracle's ${expected}`);
      assert.deepEqual(result.throughput.map(({ batch }) => batch).slice(0, 1), [1]);
      assert.ok(result.throughput.every(({ samples_ns: samples }) => samples.length > 0 && samples.every((sample) => sample >= 0)));
      assert.equal(result.adapter === null, backend === "cpu");
      const parts = line.split(" · ");
      assert.equal(parts.length, 7, line);
      assert.match(parts[0], /^fsvae \d+\.\d+\.\d+/);
      assert.match(parts[1], runs);
      assert.equal(parts[2], model);
      assert.match(parts[3], /^[\d.,]+ images\/s ±[\d.]+ %$/);
      assert.match(parts[4], /^first image [\d.]+ (us|ms|s)$/);
      assert.equal(parts[5], "- of integer limit");
      assert.match(parts[6], /^verified (\d+)\/\1$/);
      // Each step is said before its rows.
      assert.equal(news[0].step, "opening");
      const rows = news.filter(({ what }) => what).map(({ what }) => what);
      assert.deepEqual(rows.filter((what) => /^(cold start|first image|batch 1)$/.test(what)), ["cold start", "first image", "batch 1"]);
      assert.ok(news.findIndex(({ what }) => what === "batch 1") > news.findIndex(({ step }) => step === "throughput at batch 1"));
      const lines = compared.split("\n");
      assert.equal(lines[0], `model  ${model}`);
      assert.match(lines[2], /^backend +file +images\/s +ratio +batch +latency +ratio +p99 +cold start +ratio of$/);
      assert.match(lines.find((text) => text.includes("this browser ")), /^.*  this browser +[\d.]+/);
      assert.match(compared, /this browser was made with --quick/);
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
  });
}

test("files that do not go together are refused in a line", async () => {
  const browser = await launch();
  try {
    const { page } = await openWith(browser, server.url, "cpu", "faces");
    const lines = await page.evaluate(
      async ([base, record]) => {
        const json = await (await fetch(`${base}records/${record}`)).text();
        const other = JSON.stringify({ ...JSON.parse(json), model: { name: "x", sha256: "12" } });
        const refused = (...files) => fsvae.compare(files.map((text, n) => ({ name: `${n}.json`, json: text }))).then((text) => text, ({ code, message }) => `${code}: ${message}`);
        return [await refused("no JSON"), await refused("{}"), await refused(json, other), await refused(json, json)];
      },
      [server.url, RECORD],
    );
    assert.match(lines[0], /^input: 0\.json: expected a file of `fsvae bench --json`, found no JSON: /);
    assert.match(lines[1], /^input: 0\.json: expected a file of `fsvae bench --json` \("schema": "fsvae-bench"\), found/);
    assert.match(lines[2], /^input: 1\.json: expected model mnist \(SHA-256 \w+\) as in 0\.json, found x \(SHA-256 12\)$/);
    assert.match(lines[3], /^model {2}mnist\n/);
    // Each backend is held against itself.
    const rows = lines[3].split("\n").filter((line) => line.includes("1.json"));
    assert.ok(rows.length > 0 && rows.every((line) => /  1\.00  .*  1\.00  .* 0\.json$/.test(line)), lines[3]);
  } finally {
    await browser.close();
  }
});

test("without SIMD128 it is refused in a line", async () => {
  const browser = await launch();
  try {
    const { page } = await open(browser, `${server.url}blank.html`);
    const line = await page.evaluate(async (base) => {
      const { default: init, download, Network } = await import(`${base}fsvae.js`);
      await init({ simd: false });
      const network = await Network.load(await download(`${base}models/faces-esvae.safetensors`));
      const generator = await network.generator({ backend: "cpu" });
      return generator.bench().then(() => "measured", ({ message }) => message);
    }, server.url);
    assert.match(line, /^bench: expected a browser with SIMD128 of WebAssembly, found/);
  } finally {
    await browser.close();
  }
});

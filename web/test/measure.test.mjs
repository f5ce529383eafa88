// What is measured on the page: its line, its file, and the records beside it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { browser, shoot, SIZES, sound, start } from "./page.mjs";

/** Verification and measurement take half a minute, and more where others compute, too. */
const LONG = 180_000;
const measured = (page) => page.locator("#records:not([hidden])").waitFor({ timeout: LONG });

test("a measurement is a line and a file", async () => {
  const { page, context, errors } = await start({}, "#part=measure", browser, false);
  await page.locator("#go").click();
  await measured(page);
  const result = await page.locator("#result").textContent();
  assert.match(result, /^fsvae \d.* · verified: .* · all right\nfsvae \d\S* · [^·]+ \(CPU, [^·]+\) · faces · [\d.,]+ images\/s ±[\d.]+ % · first image [\d.]+ (ms|us) · - of integer limit · verified (\d+)\/\2$/);
  assert.match(await page.locator("#compared").textContent(), /^No record of the model faces with these weights ships with this page; there are some of mnist\.$/);
  const rows = await page.locator("#rows tr td:first-child").allTextContents();
  assert.deepEqual(rows.slice(0, 3), ["cold start", "first image", "batch 1"]);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
  const report = JSON.parse(readFileSync(await download.path(), "utf8"));
  assert.deepEqual([report.schema, report.version, report.results[0].status], ["fsvae-bench", 1, "ok"]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a measurement stands beside the records of its model", async () => {
  const { page, context, errors } = await start({}, "#part=measure&model=mnist", browser, false);
  await page.locator("#go").click();
  await page.locator("#rows tr").first().waitFor({ timeout: LONG });
  assert.ok(await page.locator("#go").isDisabled(), "rows are shown as they are measured");
  await measured(page);
  const text = await page.locator("#compared").textContent();
  assert.match(text, /^model {2}mnist\n\nbackend +file +images\/s +ratio/);
  assert.match(text, / {2}2026-11-27-xeon-2-cores\.json +\d/);
  // Ratios are of the first record's processor.
  const [, first] = /^CPU +(\S+\.json) /m.exec(text);
  const own = / {2}this browser +[\d.]+ k? ?[\d.]+ .* (\S+\.json)$/m.exec(text);
  assert.equal(own[1], first);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("#copy").click();
  await page.getByText("Copied.").waitFor();
  const pasted = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(pasted, await page.locator("#result").textContent());
  assert.match(pasted, / · mnist · /);
  for (const [size, { viewport }] of SIZES) {
    await page.setViewportSize(viewport);
    await sound(page, `compared ${size}`);
    await shoot(page, `compared-${size}`);
  }
  assert.deepEqual(errors, []);
  await context.close();
});

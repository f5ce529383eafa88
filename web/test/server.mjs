// Serves dist/ below a sub-path, as a static host would, and can be slow.

import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const MODELS = process.env.FSVAE_MODELS;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json" };

/** Bytes one after the other on a line that all connections share. */
class Line {
  #free = 0;

  constructor({ bitsPerSecond, latency }) {
    Object.assign(this, { bitsPerSecond, latency });
  }

  async carry(bytes, response) {
    await sleep(this.latency);
    const piece = 16_384;
    for (let at = 0; at < bytes.length; at += piece) {
      const part = bytes.subarray(at, at + piece);
      this.#free = Math.max(this.#free, performance.now()) + (8000 * part.length) / this.bitsPerSecond;
      await sleep(this.#free - performance.now());
      response.write(part);
    }
    response.end();
  }
}

/**
 * With a `line` of so many `bitsPerSecond` and milliseconds of `latency`, what compresses is compressed, as hosts do it.
 * Files below `/some/where/`, with the example of docs/web.md as `example.html`; those of FSVAE_MODELS below `/some/where/random/`.
 */
export async function serve({ line: slow } = {}) {
  const line = slow && new Line(slow);
  const sent = { bytes: 0 };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const inside = pathname.startsWith("/some/where/") ? normalize(decodeURIComponent(pathname.slice(12))) : "..";
    const random = MODELS && inside.startsWith("random/");
    const file = random ? join(MODELS, inside.slice(7)) : join(DIST, inside.endsWith("/") || inside === "." ? "index.html" : inside);
    const found = inside.startsWith("..") ? undefined : await stat(file).catch(() => undefined);
    if (inside === "blank.html") {
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>blank</title><link rel=icon href=data:,>");
    } else if (inside === "example.html") {
      const page = await readFile(new URL("../../docs/web.md", import.meta.url), "utf8");
      response.writeHead(200, { "content-type": "text/html" }).end(page.match(/```html\n(.*?)```/s)[1]);
    } else if (inside === "pictures.mjs") {
      const code = await readFile(new URL("pictures.mjs", import.meta.url));
      response.writeHead(200, { "content-type": "text/javascript" }).end(code);
    } else if (!found?.isFile()) {
      response.writeHead(404).end();
    } else if (line) {
      const type = TYPES[extname(file)];
      const bytes = type ? gzipSync(await readFile(file)) : await readFile(file);
      sent.bytes += bytes.length;
      response.writeHead(200, { "content-type": type ?? "application/octet-stream", "content-length": bytes.length, ...(type && { "content-encoding": "gzip" }) });
      await line.carry(bytes, response);
    } else {
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": found.size });
      createReadStream(file).pipe(response);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/some/where/`, close: () => server.close(), sent };
}

// Serves dist/ below a sub-path, as a static host would, and can be slow.

import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const MODELS = process.env.FSVAE_MODELS;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json" };

/** Files below `/some/where/`, with the example of docs/web.md as `example.html`; those of FSVAE_MODELS below `/some/where/random/`. */
export async function serve() {
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
    } else if (!found?.isFile()) {
      response.writeHead(404).end();
    } else {
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": found.size });
      createReadStream(file).pipe(response);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/some/where/`, close: () => server.close() };
}

// A service worker: what was loaded once is there without a network, and is renewed when there is one.

const CACHE = "fsvae-page-BUILD";
const FILES = [
  "./", "index.html", "style.css", "main.js", "client.js", "dom.js", "status.js", "make.js", "inside.js", "draw.js",
  "measure.js", "worker.js", "bench.js", "fsvae.js",
  "simd/bindings.js", "simd/bindings_bg.wasm", "plain/bindings.js", "plain/bindings_bg.wasm",
];

addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })))),
  );
  skipWaiting();
});

addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("fsvae-page-") && name !== CACHE;
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))).then(() => clients.claim()),
  );
});

addEventListener("fetch", (event) => {
  const { request } = event;
  // Models are kept by the page's worker.
  if (request.method !== "GET" || !request.url.startsWith(registration.scope) || request.url.endsWith(".safetensors")) return;
  event.respondWith(
    caches.open(CACHE).then(async (cache) => (await cache.match(request, { ignoreSearch: true })) ?? load(request, cache)),
  );
});

/** What only some need is kept once it was there. */
async function load(request, cache) {
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone()).catch(() => undefined); // a full disk is no reason to fail
  return response;
}

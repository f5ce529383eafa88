// A service worker: the page's files are there without a network; a new build is shown by the load after next.

const CACHE = "fsvae-page-BUILD";
const FILES = [
  "./", "index.html", "style.css", "main.js", "client.js", "dom.js", "status.js", "make.js", "inside.js", "draw.js",
  "direct.js", "measure.js", "worker.js", "gif.js", "fsvae.js",
  MADE, // build.sh writes the module's builds and the records here
];

addEventListener("install", (event) => {
  event.waitUntil(
    // Not from the browser's own cache, which may have files of another build.
    caches.open(CACHE).then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })))),
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
  if (request.method !== "GET" || !request.url.startsWith(registration.scope) || new URL(request.url).pathname.endsWith(".safetensors")) return;
  event.respondWith(
    caches.open(CACHE).then(async (cache) => (await cache.match(request, { ignoreSearch: true })) ?? fetch(request)),
  );
});

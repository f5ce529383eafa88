// The page's end of the worker: calls are promises, everything else are events.

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
const heard = new EventTarget();
let calls = 0;

worker.addEventListener("message", ({ data }) => {
  if (data.event) {
    heard.dispatchEvent(new CustomEvent(data.event, { detail: data }));
    return;
  }
  const { resolve, reject } = waiting.get(data.call) ?? {};
  if (!resolve) return; // the worker was given up
  waiting.delete(data.call);
  if (data.error) reject(Object.assign(new Error(data.error.message), { code: data.error.code }));
  else resolve(data.result);
});

// A worker that fails to load, or stops: what was asked of it never comes.
worker.addEventListener("error", (event) => {
  const error = new Error(event.message || "the worker of this page could not be loaded");
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
  heard.dispatchEvent(new CustomEvent("stopped", { detail: { message: error.message } }));
});

/** Asks the worker to do something. */
export function ask(what, wanted = {}) {
  const call = (calls += 1);
  return new Promise((resolve, reject) => {
    waiting.set(call, { resolve, reject });
    worker.postMessage({ call, what, wanted });
  });
}

/** Events: `loading`, `backend`, `lost`, `frames`, `verified`, `measured`, `stopped`. */
export function on(event, act) {
  heard.addEventListener(event, ({ detail }) => act(detail));
}

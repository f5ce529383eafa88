// What is going on, in sentences.

import { on } from "./client.js";
import { byId, shown } from "./dom.js";

export function listen() {
  const [line, bar, alarm] = [byId("status"), byId("progress"), byId("trouble")];
  /** What is being made: not all of the page, for nothing is read out of what is busy. */
  const pictures = document.querySelectorAll("main canvas");
  let backend = "";
  let busy = 0;

  const say = (text) => {
    line.textContent = text;
  };
  const trouble = (text) => {
    alarm.textContent = text;
    alarm.hidden = !text;
  };

  on("loading", ({ thing, loaded, total }) => {
    say(`Loading ${thing}: ${shown(loaded)}${total ? ` of ${shown(total)}` : ""} …`);
    bar.hidden = false;
    if (total) bar.value = Math.min(1, loaded / total);
    else bar.removeAttribute("value");
  });
  on("backend", ({ backend: { name, adapter, fallback }, build }) => {
    bar.hidden = true;
    const assembly = `WebAssembly${build === "simd" ? " with SIMD" : ""}`;
    if (name === "webgpu") backend = `Runs on WebGPU: ${adapter}.`;
    else if (fallback) backend = `WebGPU is not available here: ${fallback}. ${assembly} is used instead; the images are the same.`;
    else backend = `Runs on the CPU, in ${assembly}.`;
    document.body.dataset.backend = name;
    say(backend);
  });
  on("lost", ({ message }) => say(`The GPU went away (${message}). It is asked for again, and work goes on …`));

  return {
    say,
    trouble,
    /** What is said when nothing is going on. */
    rest: () => say(backend),
    /** Does something and says what went wrong, if anything did. */
    async during(act) {
      busy += 1;
      for (const picture of pictures) picture.ariaBusy = "true";
      trouble("");
      try {
        return await act();
      } catch (error) {
        trouble(error.message);
        bar.hidden = true;
        say(backend || "Nothing is loaded.");
      } finally {
        busy -= 1;
        if (busy === 0) for (const picture of pictures) picture.ariaBusy = "false";
      }
    },
  };
}

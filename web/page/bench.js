// Images a second, until their pixels are in memory.

/** Browsers round their clocks: a sample is at least so long. */
const SAMPLE = 50;

/** Medians and spreads of one image alone and of whole batches. */
export async function measure(generator, { side, channels }, seconds, onProgress) {
  // Compiles shaders, which is not what is measured, and finds how much fits a sample.
  await generator.generate(7n, 0n, 1);
  const alone = await samples(generator, 1, seconds / 4, (done) => onProgress({ what: "one image alone", done }));
  const batch = generator.backend.batch;
  await generator.generate(7n, 0n, batch);
  const many = await samples(generator, batch, (3 * seconds) / 4, (done) => onProgress({ what: `${batch} images at once`, done }));
  return { side, channels, batch, milliseconds: alone.median, perSecond: 1000 / many.median, spread: many.spread, samples: many.count };
}

/** Milliseconds an image. */
async function samples(generator, count, seconds, onProgress) {
  const times = [];
  const end = performance.now() + 1000 * seconds;
  let first = 0n;
  while (performance.now() < end || times.length < 5) {
    const start = performance.now();
    let images = 0;
    do {
      await generator.generate(7n, first, count);
      first += BigInt(count);
      images += count;
    } while (performance.now() - start < SAMPLE);
    times.push((performance.now() - start) / images);
    onProgress(Math.min(1, 1 - (end - performance.now()) / (1000 * seconds)));
    await new Promise((resolve) => setTimeout(resolve));
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.round(share * (times.length - 1))];
  return { median: at(0.5), spread: (at(0.75) - at(0.25)) / (2 * at(0.5)), count: times.length };
}

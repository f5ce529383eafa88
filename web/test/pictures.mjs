// The pictures that rows of the oracle are of, for tests in Node.js and in browsers.

export function picture(name, { side, channels }) {
  const image = new Uint8Array(side * side * channels);
  const at = (x, y, c) => {
    const square = (to) => (2 * to - side) ** 2;
    if (name.startsWith("uniform")) return Number(name.slice(7));
    if (name === "ramp") return 7 * x + 13 * y + 29 * c;
    if (name === "disc") return square(x) + square(y) < Math.floor(side ** 2 / 2) ? 255 : 0;
    if (name !== "noise") throw new Error(`no image ${name}`);
    const mixed = (Math.imul(x, 374761393) + Math.imul(y, 668265263) + Math.imul(c, 2246822519) + 12345) | 0;
    return Math.imul(mixed, 2654435761) >>> 24;
  };
  image.forEach((_, n) => (image[n] = at(Math.floor(n / channels) % side, Math.floor(n / channels / side), n % channels)));
  return image;
}

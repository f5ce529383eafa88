// Small things that all parts use.

export const byId = (id) => document.getElementById(id);

/** A number of 64 bits as people write it, decimal or 0x...; undefined if it is none. */
export function number(text) {
  const trimmed = text.trim();
  if (!/^(\d+|0x[0-9a-f]+)$/i.test(trimmed)) return undefined;
  const value = BigInt(trimmed);
  return value < 2n ** 64n ? value : undefined;
}

/** The number in a field, or an error that says what is expected there. */
export function field(id, name) {
  const { value } = byId(id);
  const found = number(value);
  if (found === undefined) throw new Error(`${name}: expected a number from 0 to 18446744073709551615, found "${value}"`);
  return found;
}

/** Bytes for people. */
export function shown(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Shows a picture at its own size; the style sheet scales it. */
export function put(canvas, picture) {
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Offers something as a file. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function savePng(canvas, name) {
  canvas.toBlob((blob) => save(blob, name), "image/png");
}

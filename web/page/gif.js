// Pictures as an animated GIF. Colours are kept as they are where a picture has 256 at most; else they are quantised.

/** Hundredths of a second that a picture is shown, and the last one: as `fsvae generate --animate` has it. */
const [SHOWN, LAST] = [10, 150];

/** `pictures` are ImageData of one size; each pixel becomes a square of `scale`. */
export function gif(pictures, scale = 1) {
  const [{ width, height }] = pictures;
  const out = [];
  const short = (number) => out.push(number & 255, number >> 8);
  const text = (letters) => out.push(...Array.from(letters, (letter) => letter.charCodeAt(0)));
  text("GIF89a");
  short(width * scale);
  short(height * scale);
  out.push(0, 0, 0); // no colours for all pictures, and no aspect
  out.push(0x21, 0xff, 11);
  text("NETSCAPE2.0");
  out.push(3, 1, 0, 0, 0); // for ever
  pictures.forEach((picture, at) => {
    out.push(0x21, 0xf9, 4, 4); // the picture stays until the next
    short(at === pictures.length - 1 ? LAST : SHOWN);
    out.push(0, 0);
    const { palette, indices } = colours(picture.data);
    const bits = Math.max(2, Math.ceil(Math.log2(palette.length)));
    out.push(0x2c, 0, 0, 0, 0);
    short(width * scale);
    short(height * scale);
    out.push(0x80 | (bits - 1));
    for (let n = 0; n < 1 << bits; n += 1) out.push(...(palette[n] ?? [0, 0, 0]));
    out.push(bits);
    const packed = lzw(enlarged(indices, width, scale), bits);
    for (let from = 0; from < packed.length; from += 255) {
      const block = packed.slice(from, from + 255);
      out.push(block.length);
      for (const byte of block) out.push(byte);
    }
    out.push(0);
  });
  out.push(0x3b);
  return new Uint8Array(out);
}

/** 256 colours at most, and which of them each pixel has. */
function colours(data) {
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette = [];
  const place = new Map();
  for (const box of boxes(Array.from(counts, ([colour, count]) => ({ rgb: [colour >> 16, (colour >> 8) & 255, colour & 255], colour, count })))) {
    const all = box.reduce((sum, { count }) => sum + count, 0);
    const mean = (c) => Math.round(box.reduce((sum, { rgb, count }) => sum + rgb[c] * count, 0) / all);
    for (const { colour } of box) place.set(colour, palette.length);
    palette.push([mean(0), mean(1), mean(2)]);
  }
  const indices = new Uint8Array(data.length / 4);
  indices.forEach((_, n) => (indices[n] = place.get((data[4 * n] << 16) | (data[4 * n + 1] << 8) | data[4 * n + 2])));
  return { palette, indices };
}

/** Median cut: the widest box is halved, until there are 256 or each is one colour. */
function boxes(all) {
  const measured = (box) => {
    const widths = [0, 1, 2].map((c) => {
      let [least, most] = [255, 0];
      for (const { rgb } of box) [least, most] = [Math.min(least, rgb[c]), Math.max(most, rgb[c])];
      return most - least;
    });
    const width = Math.max(...widths);
    return { box, width, channel: widths.indexOf(width) };
  };
  if (all.length <= 256) return all.map((colour) => [colour]);
  const found = [measured(all)];
  while (found.length < 256) {
    const widest = found.reduce((a, b) => (b.width > a.width ? b : a));
    if (widest.width === 0) break;
    const { box, channel } = widest;
    box.sort((a, b) => a.rgb[channel] - b.rgb[channel]);
    const half = box.reduce((sum, { count }) => sum + count, 0) / 2;
    let [at, before] = [0, 0];
    while (at < box.length - 1 && before + box[at].count <= half) before += box[at++].count;
    at = Math.max(1, at);
    found.splice(found.indexOf(widest), 1, measured(box.slice(0, at)), measured(box.slice(at)));
  }
  return found.map(({ box }) => box);
}

function enlarged(indices, width, scale) {
  if (scale === 1) return indices;
  const wide = width * scale;
  const large = new Uint8Array(indices.length * scale * scale);
  for (let at = 0; at < large.length; at += 1) {
    const [x, y] = [Math.floor((at % wide) / scale), Math.floor(at / wide / scale)];
    large[at] = indices[y * width + x];
  }
  return large;
}

/** Codes of growing length, the least bit first. */
function lzw(indices, bits) {
  const [clear, end] = [1 << bits, (1 << bits) + 1];
  const bytes = [];
  let [held, filled] = [0, 0];
  let size = bits + 1;
  const put = (code) => {
    held |= code << filled;
    for (filled += size; filled >= 8; filled -= 8) {
      bytes.push(held & 255);
      held >>>= 8;
    }
  };
  const known = new Map();
  let next = end + 1;
  put(clear);
  let code = indices[0];
  for (let at = 1; at < indices.length; at += 1) {
    const key = (code << 8) | indices[at];
    const longer = known.get(key);
    if (longer !== undefined) {
      code = longer;
      continue;
    }
    put(code);
    if (next < 4096) {
      if (next === 1 << size) size += 1;
      known.set(key, next);
      next += 1;
    } else {
      put(clear);
      known.clear();
      size = bits + 1;
      next = end + 1;
    }
    code = indices[at];
  }
  put(code);
  put(end);
  if (filled > 0) bytes.push(held & 255);
  return bytes;
}

// Draws the pictures that the models are trained on, for fsvae-train: pixel-art faces (`faces`, `faces-esvae`) of 16 x 16 and
// thumbs (`thumbs-esvae`) of 64 x 64.
//
//     cd assets/faces && npm ci
//     node draw.mjs faces16.npz                            # the seeds face-0 to face-25999
//     node draw.mjs thumbs64.npz --style thumbs            # the seeds thumb-0 to thumb-20999
//     node draw.mjs mine.npz --seeds seeds.txt --test 100  # your own, one a line
//     node draw.mjs plain.npz --plain                      # those of the seeds whose face is a plain one
//
// Arrays: `train` and `test` (of the last --test seeds), uint8 [n, side, side, 3]. One seed is one picture for ever: every
// version is pinned. Design: CC0 1.0, code: MIT, both by the authors of the avatar library's styles "@dicebear/pixel-art" and
// "@dicebear/thumbs".
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { createAvatar } from '@dicebear/core';
import * as pixelArt from '@dicebear/pixel-art';
import * as thumbs from '@dicebear/thumbs';
import { Resvg } from '@resvg/resvg-js';
import { zipSync } from 'fflate';

const BACKGROUNDS = ['ffd5dc', 'ffdfbf', 'd1d4f9', 'c0aede', 'b6e3f4'];

const STYLES = {
  'pixel-art': { design: pixelArt, side: 16, seed: 'face', count: 26000, options: { backgroundColor: BACKGROUNDS } },
  // Fewer kinds of eyes and mouths than the style has, and less tilted: easier to learn.
  thumbs: {
    design: thumbs,
    side: 64,
    seed: 'thumb',
    count: 21000,
    options: {
      backgroundColor: BACKGROUNDS,
      shapeColor: ['0a5b83', '69d2e7', 'f88c49', 'e2574c', '7b5ea7', '4caf7a'],
      shapeOffsetX: [0, 0],
      shapeOffsetY: [0, 0],
      shapeRotation: [-8, 8],
      face: ['variant4'],
      faceOffsetX: [-10, 10],
      faceOffsetY: [-4, 4],
      faceRotation: [-8, 8],
      eyes: ['variant1W16', 'variant2W16', 'variant3W16', 'variant4W16', 'variant6W16', 'variant9W16'],
      eyesColor: ['ffffff'],
      mouth: ['variant1', 'variant2', 'variant4'],
      mouthColor: ['ffffff'],
    },
  },
};

// What plain faces have not, for networks of this size draw it badly, as their errors show: things in front of a face or on it,
// hair of many small parts, and hair in the colours of skin.
const THINGS = ['glasses', 'hat', 'beard', 'accessories'];
const ELABORATE = [
  ...['long01', 'long02', 'long03', 'long04', 'long05', 'long07', 'long08', 'long09', 'long12', 'long13', 'long15', 'long18', 'long20'],
  ...['long21', 'short11', 'short13'],
];
const LIKE_SKIN = ['#83623b', '#a78961', '#cab188'];

function refuse(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

function read(argv) {
  const options = {
    style: { type: 'string', default: 'pixel-art' },
    seeds: { type: 'string' },
    plain: { type: 'boolean', default: false },
    test: { type: 'string', default: '1000' },
  };
  let parsed;
  try {
    parsed = parseArgs({ args: argv, options, allowPositionals: true });
  } catch (error) {
    refuse(error.message.split('\n')[0]);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 1) refuse(`expected one file to write, found ${positionals.length}`);
  if (!Object.hasOwn(STYLES, values.style)) refuse(`--style: expected ${Object.keys(STYLES).join(' or ')}, found ${values.style}`);
  const style = STYLES[values.style];
  if (values.plain && values.style !== 'pixel-art') refuse(`--plain: expected --style pixel-art, found ${values.style}`);
  let seeds = Array.from({ length: style.count }, (_, i) => `${style.seed}-${i}`);
  if (values.seeds !== undefined) {
    try {
      seeds = readFileSync(values.seeds, 'utf8').split(/\r?\n/).filter((line) => line !== '');
    } catch (error) {
      refuse(`${values.seeds}: not readable: ${error.message}`);
    }
  }
  const test = Number(values.test);
  if (!/^\d+$/.test(values.test) || test >= seeds.length) refuse(`--test: expected less than the ${seeds.length} seeds, found ${values.test}`);
  return { out: positionals[0], style, seeds, test, plain: values.plain };
}

/** RGB of a picture, or of one that is not asked for nothing. Its background is opaque, so alpha says nothing. */
function draw({ design, side, options }, seed, plain) {
  const avatar = createAvatar(design, { seed, ...options });
  if (plain && !isPlain(avatar.toJson().extra)) return [];
  const { pixels } = new Resvg(avatar.toString(), { fitTo: { mode: 'width', value: side }, font: { loadSystemFonts: false } }).render();
  return [pixels.filter((_, i) => i % 4 !== 3)];
}

function isPlain(face) {
  return THINGS.every((thing) => face[thing] === undefined) && !ELABORATE.includes(face.hair) && !LIKE_SKIN.includes(face.hairColor);
}

/** NumPy's format, version 1.0: the header is padded so that the numbers start at a multiple of 64 bytes. */
function npy(images, side) {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${images.length}, ${side}, ${side}, 3), }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, length & 255, length >> 8]);
  return Buffer.concat([start, Buffer.from(header.padEnd(length - 1) + '\n'), ...images]);
}

const { out, style, seeds, test, plain } = read(process.argv.slice(2));
const drawn = (some) => some.flatMap((seed) => draw(style, seed, plain));
const trained = drawn(seeds.slice(0, seeds.length - test));
const kept = drawn(seeds.slice(seeds.length - test));
// A fixed date: the same seeds give the same file.
const arrays = { 'train.npy': npy(trained, style.side), 'test.npy': npy(kept, style.side) };
const file = zipSync(arrays, { mtime: '2000-01-01' });
try {
  writeFileSync(`${out}.part`, file);
  renameSync(`${out}.part`, out);
} catch (error) {
  refuse(`${out}: cannot be written: ${error.message}`);
}
console.log(`${out}: ${trained.length} ${style.seed}s to train with, ${kept.length} to test with`);

// Draws the pixel-art faces that `faces` and `faces-esvae` are trained on, for fsvae-train.
//
//     cd assets/faces && npm ci
//     node draw.mjs faces16.npz                            # the seeds face-0 to face-25999
//     node draw.mjs mine.npz --seeds seeds.txt --test 100  # your own, one a line
//
// Arrays: `train` and `test` (the last --test seeds), uint8 [n, 16, 16, 3]. One seed is one face for ever: every version is pinned.
// Design: CC0 1.0, code: MIT, both by the authors of the avatar library's style "@dicebear/pixel-art".
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { createAvatar } from '@dicebear/core';
import * as pixelArt from '@dicebear/pixel-art';
import { Resvg } from '@resvg/resvg-js';
import { zipSync } from 'fflate';

const SIDE = 16;
const BACKGROUNDS = ['ffd5dc', 'ffdfbf', 'd1d4f9', 'c0aede', 'b6e3f4'];

function refuse(message) {
  console.error(`error: ${message}`);
  process.exit(2);
}

function read(argv) {
  const options = { seeds: { type: 'string' }, test: { type: 'string', default: '1000' } };
  let parsed;
  try {
    parsed = parseArgs({ args: argv, options, allowPositionals: true });
  } catch (error) {
    refuse(error.message.split('\n')[0]);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 1) refuse(`expected one file to write, found ${positionals.length}`);
  let seeds = Array.from({ length: 26000 }, (_, i) => `face-${i}`);
  if (values.seeds !== undefined) {
    try {
      seeds = readFileSync(values.seeds, 'utf8').split(/\r?\n/).filter((line) => line !== '');
    } catch (error) {
      refuse(`${values.seeds}: not readable: ${error.message}`);
    }
  }
  const test = Number(values.test);
  if (!/^\d+$/.test(values.test) || test >= seeds.length) refuse(`--test: expected less than the ${seeds.length} seeds, found ${values.test}`);
  return { out: positionals[0], seeds, test };
}

/** RGB of a face, 16 x 16 pixels. Its background is opaque, so alpha says nothing. */
function face(seed) {
  const svg = createAvatar(pixelArt, { seed, backgroundColor: BACKGROUNDS }).toString();
  const { pixels } = new Resvg(svg, { fitTo: { mode: 'width', value: SIDE } }).render();
  return pixels.filter((_, i) => i % 4 !== 3);
}

/** NumPy's format, version 1.0: the header is padded so that the numbers start at a multiple of 64 bytes. */
function npy(images) {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${images.length}, ${SIDE}, ${SIDE}, 3), }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, length & 255, length >> 8]);
  return Buffer.concat([start, Buffer.from(header.padEnd(length - 1) + '\n'), ...images]);
}

const { out, seeds, test } = read(process.argv.slice(2));
const images = seeds.map(face);
const train = images.length - test;
// A fixed date: the same seeds give the same file.
const file = zipSync({ 'train.npy': npy(images.slice(0, train)), 'test.npy': npy(images.slice(train)) }, { mtime: '2000-01-01' });
try {
  writeFileSync(`${out}.part`, file);
  renameSync(`${out}.part`, out);
} catch (error) {
  refuse(`${out}: cannot be written: ${error.message}`);
}
console.log(`${out}: ${train} faces to train with, ${test} to test with`);

// What draw.mjs draws stays as it is, plain faces are a part of all faces, and what cannot be drawn is refused in a line.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { unzipSync } from 'fflate';

const PROGRAM = fileURLToPath(new URL('draw.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'draw-'));
after(() => rmSync(folder, { recursive: true }));

/** The pictures of `train` and of `test`, each as a string of hexadecimal numbers. */
function drawn(...options) {
  const out = join(folder, 'out.npz');
  execFileSync(process.execPath, [PROGRAM, out, ...options]);
  assert.equal(existsSync(`${out}.part`), false);
  const files = unzipSync(readFileSync(out));
  const pictures = (name) => {
    const file = Buffer.from(files[`${name}.npy`]);
    const start = 10 + file.readUInt16LE(8);
    const [, n, side] = /\((\d+), (\d+), \2, 3\)/.exec(file.toString('latin1', 10, start));
    const numbers = file.subarray(start);
    assert.equal(numbers.length, n * side * side * 3);
    return Array.from({ length: Number(n) }, (_, i) => numbers.toString('hex', i * side * side * 3, (i + 1) * side * side * 3));
  };
  return { train: pictures('train'), test: pictures('test') };
}

function seeds(count) {
  const file = join(folder, 'seeds.txt');
  writeFileSync(file, Array.from({ length: count }, (_, i) => `face-${i}`).join('\n'));
  return ['--seeds', file];
}

test('a seed is the same picture for ever', () => {
  const { train, test: kept } = drawn(...seeds(40), '--test', '8');
  assert.deepEqual([train.length, kept.length], [32, 8]);
  const digest = createHash('sha256').update([...train, ...kept].join('')).digest('hex');
  assert.equal(digest, '49edab4ba08d9f75c54fc4e54f86e848e383c67eec208fdae2e5bff4af2dca01');
});

test('plain faces are those of the same seeds, and fewer', () => {
  const all = drawn(...seeds(40), '--test', '8');
  const plain = drawn(...seeds(40), '--test', '8', '--plain');
  for (const part of ['train', 'test']) {
    const left = plain[part].map((picture) => all[part].indexOf(picture));
    assert.ok(!left.includes(-1) && left.length > 0);
    assert.deepEqual(left, left.toSorted((a, b) => a - b));
  }
  // Looked at: none has glasses, a hat, a beard or earrings, or hair of many parts.
  assert.deepEqual(plain.train.map((picture) => all.train.indexOf(picture)), [7, 12, 13, 19, 21, 22, 23, 24]);
});

test('what cannot be drawn is refused in a line', () => {
  const refused = (options, words) => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [PROGRAM, ...options], { encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr.split('\n').length], [2, '', 2], stderr);
    assert.ok(stderr.startsWith('error: ') && stderr.includes(words), stderr);
  };
  const out = join(folder, 'refused.npz');
  refused([], 'expected one file to write, found 0');
  refused([out, '--style', 'oil'], 'expected pixel-art or thumbs, found oil');
  refused([out, '--style', 'thumbs', '--plain'], '--plain: expected --style pixel-art, found thumbs');
  refused([out, '--seeds', join(folder, 'none.txt')], 'none.txt: not readable');
  refused([out, ...seeds(3), '--test', '3'], '--test: expected less than the 3 seeds, found 3');
  refused([out, ...seeds(3), '--test', '-1'], '--test');
  refused([join(folder, 'no', 'folder.npz'), ...seeds(3), '--test', '1'], 'cannot be written');
  assert.equal(existsSync(out), false);
});

// Classifies images with the ONNX models of this export, in Node 18 or later. For browsers there is the format `web`.
//
//     npm install onnxruntime-web           (or onnxruntime-node, which is faster)
//     node snippets/classify.mjs            checks itself on golden/: images become the golden inputs to within one level
//                                           of 255, and each model says of them what golden.json expects
//     npm install sharp                     reads image files
//     node snippets/classify.mjs IMAGE…     prints the class of each
//
// Without sharp only PNG images like those of golden/ are read: 8 bits a value, RGB, not interlaced. With it inputs can differ
// by some levels from Salamander's, which applies no colour profiles and decodes JPEG in its own way.

import { readFile } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';

const at = (name) => new URL(`../${name}`, import.meta.url);
const json = async (name) => JSON.parse(await readFile(at(name), 'utf8'));
const installed = (name) => import(name).then((found) => found.default ?? found, () => null);

const recipe = await json('preprocess.json');
const labels = (await readFile(at('labels.txt'), 'utf8')).split('\n').slice(0, -1);
const side = recipe.resolution_px;

// --- From an image file to the input ------------------------------------------------------------

/** `{ width, height, pixels }` of an image file: RGB, 8 bits, upright, transparency on white. */
async function decoded(file) {
  const bytes = await readFile(file);
  const sharp = await installed('sharp');
  if (!sharp) return png(bytes, file);
  const { data, info } = await sharp(bytes).rotate().flatten({ background: '#fff' }).toColourspace('srgb').removeAlpha()
    .raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: data };
}

function png(bytes, file) {
  const kind = bytes.subarray(24, 29).join(' ');
  if (bytes.toString('latin1', 1, 4) !== 'PNG' || kind !== '8 2 0 0 0') {
    throw new Error(`${file} is no plain PNG image; npm install sharp`);
  }
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const parts = [];
  for (let place = 8; place < bytes.length; place += 12 + bytes.readUInt32BE(place)) {
    if (bytes.toString('latin1', place + 4, place + 8) === 'IDAT') parts.push(bytes.subarray(place + 8, place + 8 + bytes.readUInt32BE(place)));
  }
  const data = inflateSync(Buffer.concat(parts));
  const row = width * 3;
  const pixels = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const left = x < 3 ? 0 : pixels[y * row + x - 3];
      const up = y === 0 ? 0 : pixels[(y - 1) * row + x];
      const corner = x < 3 || y === 0 ? 0 : pixels[(y - 1) * row + x - 3];
      const distances = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
      const paeth = distances[0] <= distances[1] && distances[0] <= distances[2] ? left : distances[1] <= distances[2] ? up : corner;
      pixels[y * row + x] = data[y * (row + 1) + 1 + x] + [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  return { width, height, pixels };
}

/** Bilinear, widened when it shrinks: along rows of `from` pixels (`step` apart, lines `stride` apart). */
function resampled(pixels, from, to, step, stride, lines, outStep, outStride) {
  const out = new Uint8Array(lines * to * 3);
  const [scale, radius] = [from / to, Math.max(from / to, 1)];
  for (let x = 0; x < to; x++) {
    const middle = (x + 0.5) * scale;
    const first = Math.max(Math.floor(middle - radius), 0);
    const end = Math.min(Math.ceil(middle + radius), from);
    const weights = [];
    for (let i = first; i < end; i++) weights.push(Math.max(1 - Math.abs(i + 0.5 - middle) / radius, 0));
    const sum = weights.reduce((a, b) => a + b);
    for (let line = 0; line < lines; line++) {
      for (let channel = 0; channel < 3; channel++) {
        let value = 0;
        weights.forEach((weight, i) => { value += weight * pixels[line * stride + (first + i) * step + channel]; });
        out[line * outStride + x * outStep + channel] = Math.round(value / sum);
      }
    }
  }
  return out;
}

function resized({ width, height, pixels }, toWidth, toHeight) {
  const down = resampled(pixels, height, toHeight, width * 3, 3, width, width * 3, 3);
  return resampled(down, width, toWidth, 3, width * 3, toHeight, 3, toWidth * 3);
}

function cut({ width, pixels }, left, top, w, h) {
  const part = new Uint8Array(w * h * 3);
  for (let y = 0; y < h; y++) {
    const from = ((top + y) * width + left) * 3;
    part.set(pixels.subarray(from, from + w * 3), y * w * 3);
  }
  return { width: w, height: h, pixels: part };
}

/** As preprocess.json says: RGB, 8 bits, `side` × `side`. */
function square(image) {
  const { width, height } = image;
  if (recipe.fit === 'stretch') return resized(image, side, side);
  if (recipe.fit === 'center_crop') {
    const size = Math.min(width, height);
    return resized(cut(image, (width - size) >> 1, (height - size) >> 1, size, size), side, side);
  }
  const longer = Math.max(width, height);
  const [w, h] = [width, height].map((length) => Math.max(1, Math.floor((2 * length * side + longer) / (2 * longer))));
  const inner = resized(image, w, h);
  const bars = new Uint8Array(side * side * 3).map((_, i) => recipe.bar_rgb[i % 3]);
  for (let y = 0; y < h; y++) bars.set(inner.subarray(y * w * 3, (y + 1) * w * 3), ((((side - h) >> 1) + y) * side + ((side - w) >> 1)) * 3);
  return bars;
}

/** The input of a model that takes this kind. */
function input(pixels, kind) {
  if (kind === 'uint8_nhwc') return pixels;
  const values = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const [pixel, channel] = [Math.floor(i / 3), i % 3];
    const place = kind === 'float32_nchw' ? channel * side * side + pixel : i;
    values[place] = (pixels[i] - recipe.mean[channel]) / recipe.std[channel];
  }
  return values;
}

// --- The models ---------------------------------------------------------------------------------

const ort = (await installed('onnxruntime-node')) ?? (await installed('onnxruntime-web'));
if (!ort) {
  console.error('there is no ONNX Runtime: npm install onnxruntime-web');
  process.exit(1);
}
if (ort.env?.wasm) ort.env.wasm.numThreads = 1;

/** A function from the input to the probabilities; null for models of other formats. */
async function opened(model) {
  const file = model.format === 'web' ? `${model.file}/model.onnx` : model.file;
  if (!file.endsWith('.onnx')) return null;
  const session = await ort.InferenceSession.create(new Uint8Array(await readFile(at(file))));
  const { kind, name } = model.input;
  const shape = kind === 'float32_nchw' ? [1, 3, side, side] : [1, side, side, 3];
  return async (values) => {
    const tensor = new ort.Tensor(kind === 'uint8_nhwc' ? 'uint8' : 'float32', values, shape);
    return Array.from((await session.run({ [name]: tensor }))[model.output.name].data);
  };
}

/** The label of the greatest probability; below `unknown_below`, where there is one, it is none of them. */
function answer(probabilities) {
  const label = labels[top(probabilities)];
  return Math.max(...probabilities) < (recipe.unknown_below ?? 0) ? `unknown (nearest: ${label})` : label;
}

const top = (values) => values.indexOf(Math.max(...values));
const apart = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

/** The values of a NumPy file. */
async function npy(name, kind) {
  const bytes = await readFile(at(name));
  const data = new Uint8Array(bytes.subarray(10 + bytes.readUInt16LE(8)));
  return kind === 'uint8_nhwc' ? data : new Float32Array(data.buffer);
}

async function check(golden) {
  let checked = 0;
  const problems = labels.join('\n') === golden.labels.join('\n') ? [] : ['labels.txt and golden.json have different labels'];
  for (const model of golden.models) {
    const run = await opened(model);
    if (!run) {
      console.log(`${model.file}: not checked here`);
      continue;
    }
    let [same, largest] = [0, 0];
    for (const image of golden.images) {
      const { kind } = model.input;
      const exact = await npy(image.inputs[kind], kind);
      const made = input(square(await decoded(at(image.image))), kind);
      const levels = apart(made, exact) * (kind === 'uint8_nhwc' ? 1 : Math.min(...recipe.std));
      if (!(levels <= 2.01)) problems.push(`${model.file}: preprocessing ${image.image} does not give the expected input: they differ by ${levels.toFixed(1)} levels of 255`);
      const [found, expected] = [await run(exact), image.expected[model.file]];
      const difference = apart(found, expected);
      largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference);
      same += top(found) === top(expected) ? 1 : 0;
      checked += 1;
    }
    console.log(`${model.file}: ${same} of ${golden.images.length} with the expected class, probabilities within ${largest.toExponential(1)}`);
    if (!(largest <= model.tolerance)) problems.push(`${model.file}: a probability differs by ${largest.toExponential(1)}, more than ${model.tolerance}`);
  }
  if (!checked) problems.push('nothing was checked: this export has no model that runs here');
  for (const problem of problems) console.error(problem);
  console.log(problems.length ? 'NOT as expected' : 'as expected');
  return problems.length ? 1 : 0;
}

async function classify(golden, files) {
  for (const model of golden.models) {
    const run = await opened(model);
    if (!run) continue;
    for (const file of files) {
      const probabilities = await run(input(square(await decoded(file)), model.input.kind));
      console.log(`${file}: ${answer(probabilities)} ${Math.max(...probabilities).toFixed(4)}`);
    }
    return 0;
  }
  console.error('this export has no model that runs here');
  return 1;
}

try {
  const golden = await json('golden/golden.json');
  const files = process.argv.slice(2);
  process.exit(files.length ? await classify(golden, files) : await check(golden));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

// The page of a classifier exported by Salamander: an image becomes the model's input exactly as preprocess.json says,
// and ONNX Runtime Web runs the model in this browser. Nothing is sent anywhere.
//
// For a page of your own: import { load, Classifier } from "./app.js"; see docs/export.md.

const here = new URL('.', import.meta.url);
const at = (name) => new URL(name, here).href;

/** Pixels that are read from a canvas at once: some phones have no larger canvases. */
const TILE = { width: 4096, height: 1024 };

/** An error whose message is a sentence for people. */
class Refusal extends Error {}

// --- From an image to the input ---------------------------------------------------------------

/** What is cut out of an image of this size (left, top, width, height) and where it goes in the square. */
export function place(recipe, width, height) {
  const side = recipe.resolution_px;
  if (recipe.fit === 'stretch') {
    return { source: [0, 0, width, height], target: [0, 0, side, side] };
  }
  if (recipe.fit === 'center_crop') {
    const cut = Math.min(width, height);
    return { source: [Math.floor((width - cut) / 2), Math.floor((height - cut) / 2), cut, cut], target: [0, 0, side, side] };
  }
  const longer = Math.max(width, height);
  const scaled = (length) => Math.min(Math.max(Math.floor((2 * length * side + longer) / (2 * longer)), 1), side);
  const [w, h] = [scaled(width), scaled(height)];
  return { source: [0, 0, width, height], target: [Math.floor((side - w) / 2), Math.floor((side - h) / 2), w, h] };
}

/**
 * The weights of a bilinear filter that is widened when it shrinks, for each of `to` output pixels the first of the
 * `from` input pixels and whole numbers of `precision` bits after the point.
 */
function weights(from, to) {
  const scale = from / to;
  const radius = Math.max(scale, 1);
  const reciprocal = 1 / radius;
  const rows = [];
  let largest = 0;
  for (let out = 0; out < to; out++) {
    const middle = (out + 0.5) * scale;
    const first = Math.max(Math.floor(middle - radius), 0);
    const end = Math.min(Math.ceil(middle + radius), from);
    const values = [];
    let sum = 0;
    for (let x = first; x < end; x++) {
      const distance = Math.abs((x - (middle - 0.5)) * reciprocal);
      const value = distance < 1 ? 1 - distance : 0;
      values.push(value);
      sum += value;
    }
    for (let i = 0; i < values.length; i++) {
      if (sum !== 0) values[i] /= sum;
      largest = Math.max(largest, values[i]);
    }
    rows.push({ first, values });
  }
  let precision = 0;
  for (let bits = 0; bits < 22; bits++) {
    precision = bits;
    if (rounded(largest * 2 ** (bits + 1)) >= 2 ** 15) break;
  }
  return { precision, rows: rows.map(({ first, values }) => ({ first, values: values.map((value) => rounded(value * 2 ** precision)) })) };
}

/** To the nearest whole number, halves up; Math.round alone is wrong just below a half. */
function rounded(value) {
  const below = Math.floor(value);
  return value - below >= 0.5 ? below + 1 : below;
}

const clipped = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);

/**
 * Resizes to `width` × `height`, first the columns, then the rows, each result rounded to 8 bits: what Salamander does, to the bit.
 * `read(x, y, w, h)` gives a part of the image as RGBA, 8 bits.
 */
export function resize(read, fromWidth, fromHeight, width, height) {
  // Columns: as long as they are summed up, `sums` holds each output row at the full width.
  const between = new Uint8Array(height * fromWidth * 3);
  const down = fromHeight === height ? null : weights(fromHeight, height);
  const sums = down && new Int32Array(between.length).fill(2 ** (down.precision - 1));
  // For each input row the output rows that it counts for.
  const counts = down && Array.from({ length: fromHeight }, () => []);
  down?.rows.forEach(({ first, values }, row) => values.forEach((value, i) => value && counts[first + i].push(row, value)));
  for (let top = 0; top < fromHeight; top += TILE.height) {
    const h = Math.min(TILE.height, fromHeight - top);
    for (let left = 0; left < fromWidth; left += TILE.width) {
      const w = Math.min(TILE.width, fromWidth - left);
      const pixels = read(left, top, w, h);
      for (let y = 0; y < h; y++) {
        const line = y * w * 4;
        if (!down) {
          let to = ((top + y) * fromWidth + left) * 3;
          for (let x = 0; x < w; x++) {
            between[to++] = pixels[line + x * 4];
            between[to++] = pixels[line + x * 4 + 1];
            between[to++] = pixels[line + x * 4 + 2];
          }
          continue;
        }
        const of = counts[top + y];
        for (let i = 0; i < of.length; i += 2) {
          const weight = of[i + 1];
          let to = (of[i] * fromWidth + left) * 3;
          for (let from = line; from < line + w * 4; from += 4) {
            sums[to++] += weight * pixels[from];
            sums[to++] += weight * pixels[from + 1];
            sums[to++] += weight * pixels[from + 2];
          }
        }
      }
    }
  }
  if (down) {
    for (let i = 0; i < sums.length; i++) between[i] = clipped(sums[i] >> down.precision);
  }
  if (fromWidth === width) return between;
  const across = weights(fromWidth, width);
  const resized = new Uint8Array(width * height * 3);
  const half = 2 ** (across.precision - 1);
  for (let y = 0; y < height; y++) {
    const line = y * fromWidth * 3;
    across.rows.forEach(({ first, values }, x) => {
      let [r, g, b] = [half, half, half];
      let from = line + first * 3;
      for (const weight of values) {
        r += weight * between[from++];
        g += weight * between[from++];
        b += weight * between[from++];
      }
      const to = (y * width + x) * 3;
      resized[to] = clipped(r >> across.precision);
      resized[to + 1] = clipped(g >> across.precision);
      resized[to + 2] = clipped(b >> across.precision);
    });
  }
  return resized;
}

/** The model's input, RGB, 8 bits, `side` × `side`, of an ImageBitmap. */
export function inputOf(recipe, bitmap) {
  const side = recipe.resolution_px;
  const { source: [sx, sy, sw, sh], target: [tx, ty, tw, th] } = place(recipe, bitmap.width, bitmap.height);
  const canvas = document.createElement('canvas');
  canvas.width = Math.min(sw, TILE.width);
  canvas.height = Math.min(sh, TILE.height);
  // Read back from the memory of the processor: that of a graphics card may be rounded in another way.
  const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
  if (!context) throw new Refusal('This browser gives no memory for the image; close other pages and try again.');
  context.imageSmoothingEnabled = false;
  const read = (x, y, w, h) => {
    // Transparency is laid on white.
    context.fillStyle = '#fff';
    context.fillRect(0, 0, w, h);
    context.drawImage(bitmap, sx + x, sy + y, w, h, 0, 0, w, h);
    return context.getImageData(0, 0, w, h).data;
  };
  const resized = resize(read, sw, sh, tw, th);
  canvas.width = canvas.height = 0;
  if (tw === side && th === side) return resized;
  const square = new Uint8Array(side * side * 3);
  for (let i = 0; i < square.length; i++) square[i] = recipe.bar_rgb[i % 3];
  for (let y = 0; y < th; y++) {
    square.set(resized.subarray(y * tw * 3, (y + 1) * tw * 3), ((ty + y) * side + tx) * 3);
  }
  return square;
}

/** Decodes an image file: upright, colours as they are in the file. */
export async function decode(blob, name) {
  const options = { imageOrientation: 'from-image', premultiplyAlpha: 'none', colorSpaceConversion: 'none' };
  try {
    return await createImageBitmap(blob, options).catch((error) => {
      // Browsers that do not know an option.
      if (error instanceof TypeError) return createImageBitmap(blob);
      throw error;
    });
  } catch {
    throw new Refusal(`“${name}” is not an image that this browser can read; choose a JPEG, PNG or WebP image.`);
  }
}

// --- The model --------------------------------------------------------------------------------

/** A small program with a SIMD instruction: browsers that do not know it cannot run the model. */
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** The bytes of a file of this folder. `arrived(loaded, total)` hears of each part; `total` is 0 where the server says none. */
async function fetched(name, arrived = () => {}) {
  let response;
  try {
    response = await fetch(at(name));
  } catch {
    throw new Refusal(`“${name}” could not be loaded; is the server that this page came from still running?`);
  }
  if (!response.ok) throw new Refusal(`“${name}” is missing beside this page (${response.status}); copy the whole folder.`);
  const parts = [];
  let length = 0;
  // Of what is compressed on its way the server says another length.
  const total = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length') ?? 0);
  const reader = response.body.getReader();
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch {
      throw new Refusal(`“${name}” was not loaded to its end; load this page again.`);
    }
    if (part.done) break;
    parts.push(part.value);
    length += part.value.length;
    arrived(length, total);
  }
  const bytes = new Uint8Array(length);
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return bytes;
}

const json = async (name) => JSON.parse(new TextDecoder().decode(await fetched(name)));

/** A loaded model. */
export class Classifier {
  constructor(recipe, session, ort) {
    this.recipe = recipe;
    this.labels = recipe.labels;
    this.session = session;
    this.ort = ort;
    this.turn = Promise.resolve();
  }

  /** Probabilities in the order of the labels, of an input as `inputOf` makes it. */
  run(input) {
    const side = this.recipe.resolution_px;
    const tensor = new this.ort.Tensor('uint8', input, [1, side, side, 3]);
    // One at a time.
    const found = this.turn.then(() => this.session.run({ [this.recipe.input.name]: tensor }));
    this.turn = found.catch(() => {});
    return found.then((outputs) => Array.from(outputs[this.recipe.output.name].data));
  }

  /** Of an image file (a Blob): `{ label, probability, probabilities, input }`. */
  async classify(blob, name = 'The file') {
    const bitmap = await decode(blob, name);
    try {
      return await this.classifyBitmap(bitmap);
    } finally {
      bitmap.close();
    }
  }

  /** The same of an ImageBitmap. */
  async classifyBitmap(bitmap) {
    const input = inputOf(this.recipe, bitmap);
    const probabilities = await this.run(input);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { label: this.labels[best], probability: probabilities[best], probabilities, input };
  }
}

/** Loads the model that lies beside this file. `arrived(loaded, total)`, in bytes, hears of each part of it; `total` is 0 until it is known. */
export async function load(arrived = () => {}) {
  const large = ['model.onnx', 'ort/ort-wasm-simd-threaded.wasm'];
  const state = large.map(() => [0, 0]);
  const part = (index) => (...progress) => {
    state[index] = progress;
    const sum = (which) => state.reduce((all, file) => all + file[which], 0);
    arrived(sum(0), state.every(([, total]) => total > 0) ? sum(1) : 0);
  };
  if (!WebAssembly?.validate?.(new Uint8Array(SIMD))) {
    throw new Refusal('This browser is too old to run the model: Chrome 91, Firefox 89 or Safari 16.4 and later can.');
  }
  const [recipe, model, wasm, ort] = await Promise.all([
    json('preprocess.json'),
    fetched(large[0], part(0)),
    fetched(large[1], part(1)),
    import(at('ort/ort.wasm.min.js')).catch(() => {
      throw new Refusal('“ort/ort.wasm.min.js” could not be loaded; copy the whole folder.');
    }),
  ]);
  ort.env.wasm.numThreads = 1;
  // Handed over as bytes, so that it does not matter what type the server says they are.
  ort.env.wasm.wasmBinary = wasm.buffer;
  ort.env.wasm.wasmPaths = { mjs: at('ort/ort-wasm-simd-threaded.js') };
  try {
    const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
    return new Classifier(recipe, session, ort);
  } catch (error) {
    throw new Refusal(`The model could not be started (${error.message ?? error}); load this page again, or try another browser.`);
  }
}

// --- The check of this copy -------------------------------------------------------------------

/**
 * Runs the golden images: each becomes the golden input, and the model says of it what is expected. Gives a line for each
 * image and whether all is well.
 */
export async function check(classifier) {
  const golden = await json('golden/golden.json');
  const model = golden.models.find((known) => known.format === 'web');
  const lines = [];
  for (const image of golden.images) {
    const expected = image.expected[model.file];
    const file = await fetched(image.inputs.uint8_nhwc);
    // After the header the pixels as they are.
    const input = file.slice(file.length - classifier.recipe.resolution_px ** 2 * 3);
    const found = await classifier.classify(new Blob([await fetched(image.image)]), image.image);
    const exact = await classifier.run(input);
    const apart = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
    const top = (values) => values.indexOf(Math.max(...values));
    const levels = found.input.length === input.length ? apart(Array.from(found.input), input) : 255;
    const difference = apart(exact, expected);
    const shown = apart(found.probabilities, expected);
    lines.push({
      image: image.image,
      expected: golden.labels[top(expected)],
      here: found.label,
      levels,
      difference,
      shown,
      ok: top(exact) === top(expected) && top(found.probabilities) === top(expected) && difference <= model.tolerance && levels <= 1,
    });
  }
  const most = (of) => lines.reduce((largest, line) => Math.max(largest, of(line)), 0);
  return {
    ok: lines.length > 0 && lines.every((line) => line.ok) && golden.labels.join('\n') === classifier.labels.join('\n'),
    images: lines.length,
    same: lines.filter((line) => line.here === line.expected).length,
    levels: most((line) => line.levels),
    difference: most((line) => Math.max(line.difference, line.shown)),
    tolerance: model.tolerance,
    lines,
  };
}

// --- The page ---------------------------------------------------------------------------------

const byId = (id) => document.getElementById(id);
const show = (id, visible = true) => { byId(id).hidden = !visible; };
const percent = (share) => `${(share * 100).toFixed(1)} %`;

function problem(error) {
  const sentence = error instanceof Refusal ? error.message : `Something went wrong (${error?.message ?? error}); load this page again.`;
  byId('problem').textContent = sentence;
  show('problem');
}

class Page {
  constructor(classifier) {
    this.classifier = classifier;
    this.latest = 0;
    this.all = false;
    this.stream = null;
    const drop = byId('drop');
    for (const input of [byId('file'), byId('photo')]) {
      input.addEventListener('change', () => {
        const [file] = input.files;
        // Emptied, so that the same file can be chosen again.
        if (file) this.file(file).finally(() => { input.value = ''; });
      });
    }
    addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
    addEventListener('dragleave', (event) => event.relatedTarget || drop.classList.remove('over'));
    addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.file(file);
    });
    addEventListener('paste', (event) => {
      const [file] = event.clipboardData?.files ?? [];
      if (file) this.file(file);
    });
    byId('more').addEventListener('click', () => {
      this.all = !this.all;
      this.paint();
    });
    const touch = matchMedia('(pointer: coarse)').matches;
    show('take', touch);
    if (touch) byId('drop').htmlFor = 'photo';
    byId('invite').firstChild.textContent = touch ? 'Tap to take a photo' : 'Drop an image here';
    byId('invite').lastChild.textContent = touch ? 'or choose one below' : 'or choose one';
    // Browsers give the camera's picture to pages from https and from this computer only.
    if (isSecureContext && navigator.mediaDevices?.getUserMedia) {
      show('camera');
      byId('camera').addEventListener('click', () => (this.stream ? this.stopCamera() : this.startCamera()));
    }
    byId('check-button').addEventListener('click', () => this.check());
    show('check-button');
  }

  async file(file) {
    this.stopCamera();
    const turn = ++this.latest;
    show('problem', false);
    try {
      const from = performance.now();
      const found = await this.classifier.classify(file, file.name || 'The file');
      if (turn !== this.latest) return;
      this.picture(file);
      this.answer(found, performance.now() - from);
      byId('answer').scrollIntoView({ block: 'nearest' });
    } catch (error) {
      if (turn === this.latest) problem(error);
    }
  }

  picture(blob) {
    const shown = byId('shown');
    URL.revokeObjectURL(shown.src);
    shown.src = URL.createObjectURL(blob);
    show('shown');
    show('invite', false);
    byId('drop').classList.add('has-image');
  }

  answer(found, milliseconds) {
    this.found = found;
    const side = this.classifier.recipe.resolution_px;
    const canvas = byId('seen');
    canvas.width = canvas.height = side;
    const pixels = new ImageData(side, side);
    for (let i = 0; i < side * side; i++) {
      pixels.data.set(found.input.subarray(i * 3, i * 3 + 3), i * 4);
      pixels.data[i * 4 + 3] = 255;
    }
    canvas.getContext('2d').putImageData(pixels, 0, 0);
    byId('seen-words').textContent = `What the model sees, ${side} × ${side} pixels. Computed on this device in ${Math.round(milliseconds)} ms.`;
    this.paint();
  }

  paint() {
    const { labels } = this.classifier;
    const { probabilities, label } = this.found;
    const order = labels.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
    const few = 5;
    const unknown = Math.max(...probabilities) < (this.classifier.recipe.unknown_below ?? 0);
    byId('top').textContent = unknown ? `unknown (nearest: ${label})` : label;
    byId('classes').replaceChildren(...order.slice(0, this.all ? order.length : few).map((index) => {
      const item = document.createElement('li');
      const span = (className, text) => Object.assign(document.createElement('span'), { className, textContent: text });
      const track = Object.assign(document.createElement('div'), { className: 'track' });
      const bar = document.createElement('div');
      bar.style.width = `${probabilities[index] * 100}%`;
      track.append(bar);
      item.append(span('name', labels[index]), span('share', percent(probabilities[index])), track);
      return item;
    }));
    byId('more').textContent = this.all ? 'Show fewer' : `Show all ${labels.length} classes`;
    show('more', labels.length > few);
    show('waiting', false);
    show('result');
  }

  async startCamera() {
    show('problem', false);
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    } catch (error) {
      problem(new Refusal(error.name === 'NotAllowedError'
        ? 'The camera was not allowed; allow it in the browser’s settings for this page, or choose an image.'
        : 'There is no camera that this browser can use; choose an image.'));
      return;
    }
    const live = byId('live');
    live.srcObject = this.stream;
    show('live');
    show('shown', false);
    show('invite', false);
    byId('camera').textContent = 'Stop the camera';
    byId('drop').classList.add('has-image');
    const { stream } = this;
    try {
      await live.play();
      while (this.stream === stream) {
        const turn = ++this.latest;
        const from = performance.now();
        const bitmap = await createImageBitmap(live);
        const found = await this.classifier.classifyBitmap(bitmap);
        bitmap.close();
        if (this.stream !== stream || turn !== this.latest) break;
        this.answer(found, performance.now() - from);
        // Time for the page to react.
        await new Promise((resolve) => { setTimeout(resolve, 60); });
      }
    } catch (error) {
      if (this.stream === stream) {
        this.stopCamera();
        problem(error);
      }
    }
  }

  stopCamera() {
    if (!this.stream) return;
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
    byId('live').srcObject = null;
    show('live', false);
    const shown = byId('shown');
    const before = shown.src.startsWith('blob:');
    show('shown', before);
    show('invite', !before);
    byId('camera').textContent = 'Use the camera';
  }

  async check() {
    const verdict = byId('verdict');
    verdict.className = '';
    verdict.textContent = 'Running the golden images…';
    byId('checked').replaceChildren();
    show('check');
    byId('check').scrollIntoView({ block: 'nearest' });
    try {
      const found = await check(this.classifier);
      byId('checked').replaceChildren(...found.lines.map((line) => {
        const row = document.createElement('tr');
        const pixels = line.levels === 0 ? 'equal' : `${line.levels} of 255 apart`;
        for (const text of [line.image.split('/').pop(), line.expected, line.here, pixels, Math.max(line.difference, line.shown).toExponential(1)]) {
          row.append(Object.assign(document.createElement('td'), { textContent: text }));
        }
        return row;
      }));
      const pixels = found.levels === 0 ? 'their pixels are equal' : `their pixels are up to ${found.levels} of 255 apart`;
      verdict.className = found.ok ? 'ok' : 'bad';
      verdict.textContent = found.ok
        ? `This copy does what was exported: ${found.same} of ${found.images} golden images get the expected class, ${pixels}, probabilities differ by at most ${found.difference.toExponential(1)}.`
        : `This copy does NOT do what was exported: ${found.same} of ${found.images} golden images get the expected class, ${pixels}, probabilities differ by up to ${found.difference.toExponential(1)}. `
          + (found.levels > 1 ? 'If the browser protects against fingerprinting, it changes the pixels that pages read: allow them for this page.' : 'Copy the folder again.');
      return found;
    } catch (error) {
      verdict.className = 'bad';
      verdict.textContent = error instanceof Refusal ? error.message : `The check could not be run (${error?.message ?? error}).`;
      return { ok: false, error: verdict.textContent };
    }
  }
}

async function start() {
  byId('no-script').remove();
  show('loading');
  const classifier = await load((loaded, total) => {
    const of = total > 0 ? ` of ${(total / 1e6).toFixed(1)}` : '';
    byId('loading-words').textContent = `Loading the model, ${(loaded / 1e6).toFixed(1)}${of} MB`;
    byId('loading-bar').style.width = total > 0 ? `${(100 * loaded) / total}%` : '0';
  });
  byId('about').textContent = `${classifier.labels.length} classes · ${classifier.recipe.architecture.backbone}@${classifier.recipe.resolution_px}`;
  show('loading', false);
  show('work');
  const page = new Page(classifier);
  if (new URLSearchParams(location.search).has('check')) await page.check();
  return page;
}

/** The page once it is ready; `null` in a page of somebody else's that imports this file. */
export const ready = globalThis.document?.getElementById('no-script')
  ? start().catch((error) => {
    show('loading', false);
    problem(error);
    throw error;
  })
  : null;
ready?.catch(() => {});

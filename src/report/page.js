'use strict';
// Draws the page from the JSON it contains. Names, paths and messages come from files and are untrusted: they become
// only text (element() and drawing() create text nodes from strings), never markup.

const report = JSON.parse(document.getElementById('data').textContent);
const runs = report.runs;

// ---- Creating elements ----------------------------------------------------------------------------------------------

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'style') for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}
const element = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const drawing = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

const main = document.querySelector('main');
const colour = (index) => `var(--run-${index % 8})`;
const chip = (index) => element('span', {class: 'chip', style: {'--chip': colour(index)}});
const runTitle = (index) => runs.length > 1 ? element('h3', {}, chip(index), runs[index].name) : null;

function section(title, ...children) {
  main.append(element('h2', {}, title), ...children);
}

// A table: `head` of [text, class], rows of cells; a cell is text, an element or null.
function table(head, rows, rowClass = () => '') {
  const cell = (tag, content, kind) => element(tag, kind ? {class: kind} : {}, content ?? '–');
  return element('div', {class: 'scroll'}, element('table', {},
      head.some(([text]) => text) ?
          element('thead', {}, element('tr', {}, ...head.map(([text, kind]) => cell('th', text, kind)))) : null,
      element('tbody', {}, ...rows.map((row) => element('tr', {class: rowClass(row)},
          ...row.map((content, i) => cell(i === 0 ? 'th' : 'td', content, head[i][1])))))));
}

// ---- Numbers --------------------------------------------------------------------------------------------------------

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const orDash = (format) => (value, step) => isNumber(value) ? format(value, step) : '–';
const power = (v) => Math.floor(Math.log10(Math.abs(v)) + 1e-6);
// The decimals that tell multiples of `step` apart.
const decimals = (step) => Math.max(0, -power(step));
const percent = orDash((v) => `${(100 * v).toFixed(2)}\u00a0%`);
const shortPercent = orDash((v, step) => step ? `${(100 * v).toFixed(decimals(100 * step))}\u00a0%`
    : `${+(Math.abs(v) < 0.01 ? (100 * v).toPrecision(2) : (100 * v).toFixed(1))}\u00a0%`);
const loss = orDash((v) => v.toFixed(4));
const count = orDash((v) => Math.round(v).toLocaleString('en'));
const countOf = (v, noun) => `${count(v)} ${noun}${v === 1 ? '' : 's'}`;
const compact = orDash((v) => v.toLocaleString('en', {notation: 'compact', maximumSignificantDigits: 3}));
const rate = orDash((v) => v.toLocaleString('en', {maximumSignificantDigits: 3}));
const plain = orDash((v, step) => v === 0 ? '0'
    : Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5 ? v.toExponential(step ? Math.max(0, power(v) - power(step)) : 1)
    : step ? v.toFixed(decimals(step)) : `${+v.toPrecision(3)}`);
const bytes = orDash((v) => v >= 2 ** 30 ? `${(v / 2 ** 30).toFixed(1)} GiB` : `${(v / 2 ** 20).toFixed(0)} MiB`);

// The names of a run's metrics for a split, "loss" first.
const metricNames = (run, split) => Object.keys(run.epochs.at(-1) ?? run.steps.at(-1) ?? {})
    .filter((key) => key.startsWith(`${split}/`)).map((key) => key.slice(split.length + 1));
// Formats a metric: values between 0 and 1 are shares, except losses and regression metrics.
const notShares = ['loss', 'bits_per_byte', 'r2', 'mae', 'rmse'];
const isShare = (name, values) => !notShares.includes(name) && values.every((v) => v >= 0 && v <= 1);
const figure = (name, value) => isNumber(value) && isShare(name, [value]) ? percent(value) : loss(value);

// ---- Results of a run -----------------------------------------------------------------------------------------------

function summary(run) {
  const last = run.epochs.at(-1) ?? {};
  // Epochs have equally many samples, so the time of each is proportional to 1 / its rate.
  const timed = run.epochs.filter((e) => e.samples_per_second > 0);
  const time = (weight) => timed.reduce((sum, e) => sum + weight(e) / e.samples_per_second, 0);
  const e = run.evaluation ?? {};
  const names = e.metrics ?? metricNames(run, 'val');
  const monitor = e.monitor ?? names.find((name) => name !== 'loss') ?? 'loss';
  const sign = e.higher_is_better ?? monitor !== 'loss' ? 1 : -1;
  // Ranked like in training: among equal values the lower loss wins, then the later epoch.
  const rank = (epoch) => sign * epoch[`val/${monitor}`];
  const isBetter = (e, b) => !isNumber(b[`val/${monitor}`]) || rank(e) > rank(b) ||
      rank(e) === rank(b) && !(e['val/loss'] > b['val/loss']);
  const best = run.epochs.reduce((b, e) => isNumber(e[`val/${monitor}`]) && isBetter(e, b) ? e : b, {});
  const split = e.split ?? 'val';
  const figures = run.evaluation ?? best;
  // The monitored one first.
  const metrics = [monitor, ...names.filter((name) => name !== monitor)].map((name) => [name, figures[`${split}/${name}`]]);
  return {
    split, metrics, evaluatedOn: e.evaluated_on, best: best.epoch, epochs: last.epoch ?? 0, steps: last.step ?? run.steps.at(-1)?.step ?? 0,
    rate: timed.length / time(() => 1), wait: time((e) => e.data_wait ?? 0) / time(() => 1), checkpoint: e.checkpoint, classes: e.classes?.length ?? 0,
  };
}

function heading() {
  document.title = runs.map((run) => run.name).join(', ') + ' · Trainyard';
  main.append(
      element('h1', {}, runs.length === 1 ? runs[0].name : `${runs.length} runs side by side`),
      element('p', {class: 'soft'}, runs.length === 1 ? runs[0].path : runs.map((run) => run.path).join(' · ')));
  if (runs.length === 1) {
    const s = summary(runs[0]);
    const tile = (label, value, more, kind = '') => element('div', {class: `tile ${kind}`},
        element('div', {class: 'label'}, label), element('div', {class: 'value'}, value),
        element('div', {class: 'more'}, more));
    main.append(element('div', {class: 'tiles'},
        ...s.metrics.map(([name, value], i) => tile(`${s.split}/${name}`, figure(name, value),
            i === 0 ? (s.evaluatedOn ? `on ${s.evaluatedOn}` : `epoch ${s.best ?? '–'}`) :
            i === 1 && s.best ? `best after epoch ${s.best}` : '', i === 0 ? 'first' : '')),
        tile('Trained', countOf(s.epochs, 'epoch'), countOf(s.steps, 'step')),
        tile('Throughput', `${rate(s.rate)}/s`, 'training samples'),
        tile('Data wait', shortPercent(s.wait), 'of the training time')));
    return;
  }
  const all = runs.map(summary);
  const names = [...new Set(all.flatMap((s) => s.metrics.map(([name]) => name)))];
  const head = [['run'], ['split'], ...[...names, 'epochs', 'steps', 'samples/s', 'data wait'].map((name) => [name, 'number'])];
  main.append(element('div', {class: 'card'}, table(head, all.map((s, i) => {
    const values = new Map(s.metrics);
    return [element('span', {}, chip(i), runs[i].name), s.split, ...names.map((name) => figure(name, values.get(name))),
      count(s.epochs), count(s.steps), rate(s.rate), shortPercent(s.wait)];
  }))));
}

// ---- Curves ---------------------------------------------------------------------------------------------------------

// Round numbers, or whole ones, that divide `low` to `high` into at most `parts` parts, and if possible at least a third
// of that. Returns [number, the distance between them] pairs.
function ticks(low, high, parts, whole = false) {
  const rough = Math.max((high - low) / parts || 1, whole ? 1 : 0);
  const step = [1, 2, 5, 10].map((m) => m * 10 ** Math.floor(Math.log10(rough))).find((s) => s >= rough * 0.999);
  const result = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) result.push([i * step || 0, step]);
  return result;
}

function range(values, {zero = false, top = null, log = false}) {
  let low = Math.min(...values), high = Math.max(...values);
  if (log) return [low / 1.1, high * 1.1];
  const pad = (high - low || Math.abs(high) || 1) * 0.06;
  low = zero ? 0 : low - pad;
  high = top !== null ? Math.min(high + pad, top) : high + pad;
  return [low, Math.max(high, low + 1e-12)];
}

// lines: [{name, index, kind: 'while' | 'after' | 'only', points: [[x, y, step], ...]}]
function chart(title, lines, {format, zero, top, canLog = false}) {
  for (const line of lines) line.points = line.points.filter(([x, y]) => isNumber(x) && isNumber(y));
  lines = lines.filter((line) => line.points.length > 0);
  if (lines.length === 0) return null;
  const ys = lines.flatMap((line) => line.points.map((p) => p[1]));
  const log = canLog && Math.min(...ys) > 0 && Math.max(...ys) / Math.min(...ys) > 12;
  const [yLow, yHigh] = range(ys, {zero, top, log});
  const xs = lines.flatMap((line) => line.points.map((p) => p[0]));
  const [xLow, xHigh] = [Math.min(0, ...xs), Math.max(...xs, 1e-9)];

  const svg = drawing('svg', {role: 'img', 'aria-label': `${title} over the epochs`});
  const tip = element('div', {class: 'tip', hidden: ''});
  const box = element('div', {class: 'chart'}, svg, tip);
  const height = 230, top_ = 8, bottom = 26, right = 10;
  let width = 0, left = 0;
  const toX = (x) => left + (x - xLow) / (xHigh - xLow) * (width - left - right);
  const scaled = (y) => log ? Math.log(y / yLow) / Math.log(yHigh / yLow) : (y - yLow) / (yHigh - yLow);
  const toY = (y) => top_ + (1 - scaled(y)) * (height - top_ - bottom);
  const logTicks = () => {
    const all = [];
    for (let p = Math.floor(Math.log10(yLow)); p <= Math.log10(yHigh); ++p) all.push(...[1, 2, 5].map((m) => m * 10 ** p));
    return all.filter((y) => y >= yLow && y <= yHigh).map((y) => [y]);
  };

  function draw() {
    width = svg.clientWidth || 600;
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.replaceChildren();
    const marks = log ? logTicks() : ticks(yLow, yHigh, 8);
    const labels = marks.map(([y, step]) => drawing('text', {y: toY(y) + 4, 'text-anchor': 'end'}, format(y, step)));
    svg.append(...labels);
    left = Math.max(40, ...labels.map((label) => label.getComputedTextLength())) + 12;
    for (const label of labels) label.setAttribute('x', left - 8);
    for (const [y] of marks) {
      svg.append(drawing('line', {class: 'rule', x1: left, x2: width - right, y1: toY(y), y2: toY(y)}));
    }
    for (const [x, step] of ticks(xLow, xHigh, Math.max(2, Math.floor(width / 90)), xHigh >= 1)) {
      svg.append(drawing('text', {x: toX(x), y: height - 6, 'text-anchor': 'middle'}, plain(x, step)));
    }
    for (const {points, index, kind} of lines) {
      const path = points.map(([x, y], i) => `${i ? 'L' : 'M'}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join('');
      svg.append(drawing('path', {d: path, class: kind, style: {stroke: colour(index)}}));
      if (kind === 'after' && points.length <= 60 || points.length === 1) {
        for (const [x, y] of points) svg.append(drawing('circle', {cx: toX(x), cy: toY(y), r: 3, style: {fill: colour(index)}}));
      }
    }
  }

  const nearest = (points, x) => points.reduce((best, p) => Math.abs(p[0] - x) < Math.abs(best[0] - x) ? p : best);
  svg.addEventListener('pointermove', (event) => {
    const x = xLow + (event.offsetX - left) / (width - left - right) * (xHigh - xLow);
    if (x < xLow || x > xHigh) return leave();
    const at = nearest(lines[0].points, x);
    svg.querySelector('.cursor')?.remove();
    svg.append(drawing('line', {class: 'cursor', x1: toX(at[0]), x2: toX(at[0]), y1: top_, y2: height - bottom}));
    tip.replaceChildren(element('div', {class: 'soft'}, `epoch ${at[0].toFixed(2)}, step ${count(at[2])}`),
        ...lines.map((line) => element('div', {}, chip(line.index), `${line.name} ${format(nearest(line.points, x)[1])}`)));
    tip.hidden = false;
    tip.style.left = `${Math.max(0, Math.min(toX(at[0]) + 12, width - tip.offsetWidth))}px`;
  });
  const leave = () => {
    tip.hidden = true;
    svg.querySelector('.cursor')?.remove();
  };
  svg.addEventListener('pointerleave', leave);
  new ResizeObserver(draw).observe(box);
  return element('div', {class: 'card'}, element('h3', {}, log ? `${title} (logarithmic)` : title), box);
}

// Means over groups of neighbouring points: no more points than a screen can show.
function curve(rows, stepsPerEpoch, key) {
  const size = Math.ceil(rows.length / 600);
  const points = [];
  for (let i = 0; i < rows.length; i += size) {
    const group = rows.slice(i, i + size).filter((row) => isNumber(row[key]));
    if (group.length === 0) continue;
    const step = group.at(-1).step;
    points.push([step / stepsPerEpoch, group.reduce((sum, row) => sum + row[key], 0) / group.length, step]);
  }
  return points;
}

// What a run's training loss includes but its val loss does not.
const extraLoss = (run) => run.evaluation?.training_extras;

function curves() {
  const name = (index, what) => runs.length > 1 ? `${runs[index].name} ${what}` : what;
  // Optimizer steps are converted to epochs, so that runs with other batch sizes can be compared.
  const lines = (wanted) => runs.flatMap((run, index) => {
    const end = run.epochs.at(-1);
    const stepsPerEpoch = end ? end.step / end.epoch : Math.max(run.steps.at(-1)?.step ?? 1, 1);
    return wanted.map(([rows, key, what, kind]) =>
        ({name: name(index, what), index, kind, points: curve(run[rows], stepsPerEpoch, key)}));
  });
  const names = [...new Set(runs.flatMap((run) => [...metricNames(run, 'train'), ...metricNames(run, 'val')]))];
  const one = (key, what) => lines([['steps', key, what, 'after']]).map((line) => ({...line, kind: 'only'}));
  const cards = [
    ...names.map((name) => {
      const both = lines([['steps', `train/${name}`, 'train', 'while'], ['epochs', `val/${name}`, 'val', 'after']]);
      const share = isShare(name, both.flatMap((line) => line.points.map((p) => p[1])));
      return chart(name, both, share ? {format: shortPercent, top: 1} : {format: plain, canLog: name !== 'r2'});
    }),
    chart('Learning rate', one('lr', 'learning rate'), {format: plain, zero: true}),
    chart('Training samples per second', one('samples_per_second', 'samples/s'), {format: compact, zero: true}),
    chart('Waiting for data', one('data_wait', 'of the time'), {format: shortPercent, zero: true, top: 1}),
  ].filter((card) => card !== null);
  const warnings = runs.flatMap((run) => run.warnings.map((text) => element('p', {class: 'finding'}, text)));
  if (cards.length === 0) {
    return section('Curves', ...(warnings.length > 0 ? warnings : [element('p', {class: 'soft'}, 'No step has been logged yet.')]));
  }
  const sample = (kind, text) => element('span', {}, drawing('svg', {viewBox: '0 0 26 10'},
      drawing('line', {x1: 0, x2: 26, y1: 5, y2: 5, 'stroke-width': kind === 'after' ? 2.25 : 1.25})), text);
  section('Curves',
      element('div', {class: 'legend'}, ...(runs.length > 1 ? runs.map((run, i) => element('span', {}, chip(i), run.name)) : []),
          sample('while', 'while training'), sample('after', 'after each epoch, on val'),
          element('span', {}, 'across: epochs')),
      ...warnings,
      ...runs.filter(extraLoss).map((run) => element('p', {class: 'soft small'},
          `${runs.length > 1 ? `${run.name}: the` : 'The'} training loss includes ${extraLoss(run)}; the val loss does not.`)),
      element('div', {class: 'grid curves'}, ...cards));
}

// ---- Ranks ----------------------------------------------------------------------------------------------------------

// Rows are ranks, columns epochs. Of neighbours that share a row or a column, the longest wait is shown: all ranks wait
// for the slowest.
function waitsCard(run, index) {
  const mostRows = 32, mostColumns = 40;
  const isIndex = (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 20;
  const waits = run.ranks.filter((row) => isNumber(row.data_wait) && isIndex(row.rank) && isIndex(row.epoch));
  if (waits.length === 0) return null;
  const most = (rows, key) => rows.reduce((found, row) => Math.max(found, row[key]), 0);
  const first = waits.reduce((found, row) => Math.min(found, row.epoch), Infinity);
  const last = most(waits, 'epoch');
  const world = most(waits.filter((row) => row.epoch === last), 'rank') + 1;
  const all = most(waits, 'rank') + 1;
  const perRow = Math.ceil(all / mostRows), perColumn = Math.ceil((last - first + 1) / mostColumns);
  const rows = Math.ceil(all / perRow), columns = Math.ceil((last - first + 1) / perColumn);
  const cells = new Map();
  const means = Array.from({length: all}, () => ({sum: 0, epochs: 0}));
  for (const {rank, epoch, data_wait} of waits) {
    means[rank].sum += data_wait;
    ++means[rank].epochs;
    const place = Math.floor(rank / perRow) * columns + Math.floor((epoch - first) / perColumn);
    if (!(cells.get(place)?.data_wait > data_wait)) cells.set(place, {rank, epoch, data_wait});
  }
  const mean = ({sum, epochs}) => epochs ? sum / epochs : 0;
  const slowest = means.reduce((found, one, rank) => mean(one) > mean(means[found]) ? rank : found, 0);
  const grid = element('div', {class: 'ranks', role: 'img', 'aria-label': 'Waiting for data by rank and epoch',
    style: {'grid-template-columns': `max-content repeat(${columns}, minmax(0, 40px)) max-content`}});
  for (let row = 0; row < rows; ++row) {
    const [from, to] = [row * perRow, Math.min((row + 1) * perRow, all) - 1];
    grid.append(element('div', {}, from === to ? `rank ${from}` : `ranks ${from}–${to}`));
    for (let column = 0; column < columns; ++column) {
      const shown = cells.get(row * columns + column);
      const cell = element('div', {class: 'cell', title: shown ? `rank ${shown.rank}, epoch ${shown.epoch}: ${shortPercent(shown.data_wait)}` : ''});
      if (shown?.data_wait > 0) cell.style.background = `rgba(var(--bad), ${Math.min(0.85, 0.08 + 1.6 * shown.data_wait).toFixed(3)})`;
      grid.append(cell);
    }
    grid.append(element('div', {class: 'number'}, shortPercent(Math.max(...means.slice(from, to + 1).map(mean)))));
  }
  const ends = columns > 1 ? [element('div', {}, `${first}`), ...Array.from({length: columns - 2}, () => element('div')),
    element('div', {class: 'number'}, `${last}`)] : [element('div', {}, `${first}`)];
  grid.append(element('div', {class: 'soft'}, 'epoch'), ...ends, element('div', {class: 'soft number'}, 'mean'));
  const speed = run.epochs.at(-1)?.samples_per_second;
  const each = isNumber(speed) ? `, ${rate(speed / world)} samples/s each` : '';
  return element('div', {class: 'card'}, runTitle(index), element('h3', {}, 'Waiting for data by rank'),
      element('p', {class: 'soft small'}, `${world} ranks${each} in the last epoch. A step waits for its slowest rank: rank ${slowest} ` +
          `waited longest for data, ${shortPercent(mean(means[slowest]))} of its time.`), grid);
}

function ranks() {
  const cards = runs.map(waitsCard).filter((card) => card !== null);
  if (cards.length > 0) section('Ranks', element('div', {class: 'grid runs'}, ...cards));
}

// ---- Confusions -----------------------------------------------------------------------------------------------------

const largestMatrix = 25;
const unit = (e) => e.unit ?? 'images';

function confusionCard(e) {
  if (!e.confusion) return null;
  const names = e.classes.map((one) => one.name);
  if (names.length > largestMatrix) return null;
  const samples = new Map(e.confusion.map((c) => [c.label * names.length + c.guess, c.samples]));
  const grid = element('div', {class: 'confusion', role: 'img', 'aria-label': 'Confusion matrix',
    style: {'grid-template-columns': `minmax(56px, 1.6fr) repeat(${names.length}, minmax(0, 1fr))`}});
  names.forEach((name, label) => {
    grid.append(element('div', {class: 'row', title: name}, name));
    names.forEach((guessed, guess) => {
      const n = samples.get(label * names.length + guess) ?? 0;
      const share = e.classes[label].samples ? n / e.classes[label].samples : 0;
      const hue = label === guess ? '--right' : '--bad';
      // Mistakes are rare, so they are drawn darker than their share.
      const strength = label === guess ? 0.12 + 0.5 * share : Math.min(0.85, 0.12 + 2.2 * share);
      const title = `${name}, taken for ${guessed}: ${count(n)} (${percent(share)})`;
      const cell = element('div', {class: 'cell', title}, n ? `${n}` : '');
      if (n) cell.style.background = `rgba(var(${hue}), ${strength.toFixed(3)})`;
      grid.append(cell);
    });
  });
  grid.append(element('div'), ...names.map((name) => element('div', {class: 'column', title: name}, name)));
  return element('div', {class: 'card'}, element('h3', {}, 'Confusion'),
      element('p', {class: 'soft small'}, `A row is what the ${unit(e)} are, a column what they were taken for.`), grid);
}

function pairsCard(e) {
  if (!e.confusion) return null;
  const names = e.classes.map((one) => one.name);
  const pairs = e.confusion.filter((c) => c.label !== c.guess).sort((a, b) => b.samples - a.samples).slice(0, 8);
  if (pairs.length === 0) return null;
  return element('div', {class: 'card'}, element('h3', {}, 'Most often confused'),
      table([['is'], ['taken for'], [unit(e), 'number'], ['of the class', 'number']], pairs.map((c) =>
          [names[c.label], names[c.guess], count(c.samples), percent(c.samples / e.classes[c.label].samples)])));
}

function classCard(e) {
  if (!e.classes) return null;
  const most = 60;
  const order = e.classes.slice();
  const key = e.ranked_by;
  if (order.length > most) order.sort((a, b) => (a[key] ?? 2) - (b[key] ?? 2)).length = most;
  const meter = (value) => element('span', {}, percent(value),
      element('span', {class: 'meter'}, element('span', {style: {width: `${100 * (value ?? 0)}%`}})));
  const figures = ['samples', ...Object.keys(order[0] ?? {}).filter((name) => !['name', 'samples', 'guesses', 'right'].includes(name))];
  const cell = (one, name) => name === 'samples' ? count(one[name]) : name === key ? meter(one[name]) : percent(one[name]);
  return element('div', {class: 'card'},
      element('h3', {}, order.length < e.classes.length ? `The ${most} of ${count(e.classes.length)} classes with the lowest ${key}` : 'Class by class'),
      table([['class'], ...figures.map((name) => [name === 'samples' ? unit(e) : name, 'number'])],
          order.map((one) => [one.name, ...figures.map((name) => cell(one, name))])));
}

// The last part of a path; a sample without a name is shown by its index.
const nameOf = (w) => !w.name || w.name === `${w.index}` ? `#${w.index}` : w.name.split('/').at(-1);

function wrongCard(e) {
  if (e.worst.length === 0) return null;
  const figures = e.worst.map((w) => {
    const image = w.image ? element('img', {src: w.image, alt: `${e.split} image ${w.index}`}) : null;
    const figure = element('figure', {}, image, element('b', {}, w.caption), element('span', {class: 'soft', title: w.name ?? ''}, nameOf(w)));
    image?.addEventListener('load', () => {
      image.classList.toggle('tiny', image.naturalHeight < 96);
      figure.classList.toggle('wide', image.naturalWidth > 2 * image.naturalHeight);  // several side by side
    });
    return figure;
  });
  return element('div', {class: 'card'}, element('h3', {}, e.worst_images ? `${e.worst_title}: ${e.worst_images}` : e.worst_title),
      element('p', {class: 'soft small'}, `The samples of ${e.split} that the model does worst on, each with its name or number in the split.`),
      element('div', {class: 'wrong'}, ...figures));
}

// Axes with a scale that fits the range of the values, and a function that draws into them. `counts`: whole numbers upwards.
function plot(label, [xLow, xHigh], [yLow, yHigh], across, draw, counts = false) {
  const width = 480, height = 300, top = 8, bottom = 40, left = 60, right = 10;
  const toX = (x) => left + (x - xLow) / (xHigh - xLow) * (width - left - right);
  const toY = (y) => top + (1 - (y - yLow) / (yHigh - yLow)) * (height - top - bottom);
  const svg = drawing('svg', {role: 'img', 'aria-label': label, viewBox: `0 0 ${width} ${height}`});
  for (const [y, step] of ticks(yLow, yHigh, 8, counts)) {
    svg.append(drawing('line', {class: 'rule', x1: left, x2: width - right, y1: toY(y), y2: toY(y)}),
        drawing('text', {x: left - 8, y: toY(y) + 4, 'text-anchor': 'end'}, counts ? compact(y) : plain(y, step)));
  }
  for (const [x, step] of ticks(xLow, xHigh, 6)) {
    svg.append(drawing('text', {x: toX(x), y: height - 22, 'text-anchor': 'middle'}, plain(x, step)));
  }
  svg.append(drawing('text', {x: (left + width - right) / 2, y: height - 5, 'text-anchor': 'middle'}, across));
  draw(svg, toX, toY);
  return element('div', {class: 'plot'}, svg);
}

// For each target, the predictions over the true values, and the distribution of the errors.
function targetCards(e, index) {
  if (!e.targets) return [];
  return e.targets.flatMap((t) => {
    const both = range([...t.truth, ...t.prediction], {});
    const scatter = plot(`Predictions of ${t.name} against what is true`, both, both, 'true', (svg, toX, toY) => {
      svg.append(drawing('line', {class: 'cursor', x1: toX(both[0]), y1: toY(both[0]), x2: toX(both[1]), y2: toY(both[1])}));
      t.truth.forEach((x, i) => svg.append(drawing('circle', {cx: toX(x).toFixed(1), cy: toY(t.prediction[i]).toFixed(1), r: 2,
        style: {fill: colour(index), 'fill-opacity': 0.5}})));
    });
    const {low, high, samples} = t.errors;
    const step = (high - low) / samples.length;
    const bars = plot(`Distribution of the errors of ${t.name}`, [low, high], range(samples, {zero: true}), 'predicted − true',
        (svg, toX, toY) => samples.forEach((n, i) => svg.append(drawing('rect', {x: toX(low + i * step) + 0.5, y: toY(n),
          width: toX(step) - toX(0) - 1, height: toY(0) - toY(n), style: {fill: colour(index)}},
            drawing('title', {}, `${plain(low + i * step)} to ${plain(low + (i + 1) * step)}: ${count(n)}`)))), true);
    const few = t.truth.length < e.samples ? `, of ${count(t.truth.length)} of the ${count(e.samples)} samples` : '';
    return [
      element('div', {class: 'card'}, element('h3', {}, t.name), element('p', {class: 'soft small'},
          `Predictions against what is true${few}. R² ${loss(t.r2)}, mean absolute error ${plain(t.mae)}, root mean squared error ${plain(t.rmse)}.`), scatter),
      element('div', {class: 'card'}, element('h3', {}, `Errors of ${t.name}`), element('p', {class: 'soft small'},
          `Samples by their error; those beyond the ends are in the outermost bars.`), bars)];
  });
}

function textCard(e) {
  if (!e.texts) return null;
  return element('div', {class: 'card'}, element('h3', {}, 'What the model writes'),
      ...e.texts.map((text) => element('pre', {}, text)));
}

function predictions() {
  const columns = runs.map((run, index) => {
    const e = run.evaluation;
    if (!e) return element('div', {class: 'stack'}, runTitle(index), element('p', {class: 'card soft'}, run.note));
    return element('div', {class: 'stack'},
        element('div', {}, runTitle(index), element('p', {class: 'soft small', style: {margin: '0'}},
            `${e.checkpoint}, after epoch ${e.epoch}, on ${e.evaluated_on} of ${e.split} of ${e.dataset}, ${e.precision}`)),
        e.targets ? element('div', {class: 'grid runs'}, ...targetCards(e, index)) : null,
        ...(runs.length > 1 ? [confusionCard(e), pairsCard(e), classCard(e), wrongCard(e), textCard(e)] : [
          element('div', {class: 'grid runs'}, ...[confusionCard(e), element('div', {class: 'stack'}, classCard(e), pairsCard(e))]
              .filter((card) => card !== null)), wrongCard(e), textCard(e)]));
  });
  section('Predictions', runs.length > 1 ? element('div', {class: 'grid runs'}, ...columns) : columns[0]);
}

// ---- Settings and machine -------------------------------------------------------------------------------------------

// [["model.name", "\"convnet\""], ...] from the TOML that a run saves.
function settings(toml) {
  let prefix = '';
  const result = new Map();
  for (const line of toml.split('\n')) {
    const header = /^\[(.+)\]$/.exec(line);
    if (header) prefix = `${header[1]}.`;
    const key = /^([a-z0-9_]+) = (.*)$/.exec(line);
    if (key) result.set(prefix + key[1], key[2]);
  }
  return result;
}

function configuration() {
  const all = runs.map((run) => settings(run.config));
  const keys = [...new Set(all.flatMap((one) => [...one.keys()]))];
  const differs = (key) => all.some((one) => one.get(key) !== all[0].get(key));
  const code = (text) => element('code', {}, text ?? '–');
  // A key is broken between its words.
  const keyCode = (key) => element('code', {class: 'key'}, ...key.split(/(?<=[._])/).flatMap((part) => [part, element('wbr')]));
  const rows = (keys) => keys.map((key) => [keyCode(key), ...all.map((one) => code(one.get(key)))]);
  if (runs.length > 1) {
    const changed = keys.filter((key) => differs(key) && key !== 'run.name');
    const head = [['setting'], ...runs.map((run) => [run.name])];
    return section('Configuration',
        element('div', {class: 'stack'}, element('div', {class: 'card'}, element('h3', {}, 'What differs'),
            changed.length ? table(head, rows(changed)) : element('p', {class: 'soft'}, 'Nothing but the name.')),
        element('details', {class: 'card'}, element('summary', {}, 'Every setting'),
            table(head, rows(keys), (row) => differs(row[0].textContent) ? 'differs' : ''))));
  }
  const sections = [...new Set(keys.map((key) => key.split('.')[0]))];
  section('Configuration', element('div', {class: 'columns'}, ...sections.map((name) =>
      element('div', {class: 'card'}, element('h3', {}, name),
          table([[''], ['']], keys.filter((key) => key.startsWith(`${name}.`)).map((key) =>
              [keyCode(key.slice(name.length + 1)), code(all[0].get(key))]))))));
}

function machine() {
  section('Machine', element('div', {class: 'grid runs'}, ...runs.map((run, index) => {
    const facts = run.check?.facts;
    if (!facts) return element('div', {class: 'card'}, runTitle(index), element('p', {class: 'soft'}, 'The run has no check.json.'));
    const {host = {}, torch = {}, driver = {}} = facts;
    const devices = (facts.devices ?? []).map((d) => `cuda:${d.index} ${d.name}, ${bytes(d.memory)}, compute ${d.major}.${d.minor}`);
    const probes = facts.probes ?? [];
    const failed = probes.filter((probe) => probe.outcome !== 'ok');
    const rows = [
      ['verdict', run.check.ready ? 'ready' : 'not ready'],
      ['GPU', devices.length ? devices.join('\n') : 'none'],
      ['driver', driver.version ? `${driver.version}, CUDA ${Math.floor(driver.cuda_version / 1000)}.${driver.cuda_version % 1000 / 10}` : 'none'],
      ['processors', `${host.cores} of ${host.logical_cores}`],
      ['memory', bytes(host.memory_limit ?? host.memory)],
      ['shared memory', `${bytes(facts.shared_memory?.size)} at ${facts.shared_memory?.path}`],
      ['LibTorch', `${torch.version}, ${torch.cuda_compiled ? `CUDA ${torch.cuda_compiled}` : 'CPU only'}${torch.cudnn ? `, cuDNN ${torch.cudnn}` : ''}`],
      ['system', `${host.distribution}, Linux ${host.kernel}${host.container ? `, ${host.container}` : ''}`],
      ['probes', failed.length ? failed.map((p) => `${p.device} ${p.name}: ${p.outcome}`).join('\n') : `${probes.length} of ${probes.length} right`],
    ];
    const findings = (run.check.findings ?? []).map((f) => element('div', {class: `finding ${f.severity}`},
        element('div', {}, `${f.severity}: ${f.what}`), element('div', {class: 'soft small'}, f.why),
        element('div', {class: 'small'}, f.remedy)));
    return element('div', {class: 'card'}, runTitle(index), table([[''], ['']], rows), ...findings);
  })));
}

for (const draw of [heading, curves, ranks, predictions, configuration, machine]) {
  try {
    draw();
  } catch (error) {  // a damaged file of the run must not prevent the rest from being drawn
    main.append(element('p', {class: 'card soft'}, `A part of this page could not be drawn: ${error.message}`));
  }
}
main.append(element('footer', {}, `Trainyard ${report.version}, ${report.created}. This page holds all it shows and asks the network for nothing.`));

// Charts over time: lines with a band, or stacked areas. Left and right keys, or the pointer, read the values at one time.
import { draw, make } from "./dom.js";
import { clock } from "./words.js";

// Moments without a request, up to so many, do not break a line.
const BRIDGED = 7;
const HEIGHT = 168, LEFT = 68, RIGHT = 10, TOP = 10, BOTTOM = 24;

// A chart's series: {name, style, values: [number|null], low?, high?}. Stacked series lie on one another.
export class Chart {
  constructor(id, { format, stacked = false, log = false, zero = true, most = null, least = null }) {
    this.box = document.getElementById(id);
    this.options = { format, stacked, log, zero, most, least };
    this.cursor = null;
    this.svg = draw("svg", { role: "img", tabindex: 0, height: HEIGHT });
    this.readout = make("p", { class: "readout" });
    this.box.append(this.svg, this.readout);
    this.svg.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.#at(null));
    this.svg.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.times && this.show(this.times, this.series, this.from, this.to)).observe(this.box);
  }

  // times: ms, ascending, one for each value.
  show(times, series, from, to) {
    Object.assign(this, { times, series, from, to });
    this.width = Math.max(240, this.box.clientWidth);
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    const { low, high } = this.#limits();
    this.low = low;
    this.high = high;
    this.svg.replaceChildren(...this.#axes(), ...(this.options.stacked ? this.#areas() : this.#lines()), this.#cursorLine());
    this.#say();
  }

  #limits() {
    const { stacked, log, zero, most, least } = this.options;
    const tops = stacked
      ? this.times.map((_, i) => this.series.reduce((sum, one) => sum + (one.values[i] || 0), 0))
      : this.series.flatMap((one) => [...one.values, ...(one.high || [])]).filter((value) => value !== null);
    const bottoms = this.series.flatMap((one) => [...one.values, ...(one.low || [])]).filter((value) => value !== null && (!log || value > 0));
    let high = Math.max(most ?? 0, ...tops, log ? 1e-9 : 1e-6);
    let low = stacked || (zero && !log) ? Math.min(0, ...bottoms) : Math.min(...bottoms, high);
    if (least !== null) low = Math.min(low, least);
    if (log) { high *= 1.3; low /= 1.3; } else { high += (high - low) * 0.06; }
    return { low, high };
  }

  #x(time) { return LEFT + ((time - this.from) / (this.to - this.from)) * (this.width - LEFT - RIGHT); }

  #y(value) {
    const { log } = this.options;
    const part = log
      ? (Math.log(Math.max(value, this.low)) - Math.log(this.low)) / (Math.log(this.high) - Math.log(this.low) || 1)
      : (value - this.low) / (this.high - this.low || 1);
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
  }

  #axes() {
    const drawn = [];
    for (const value of this.options.log ? logTicks(this.low, this.high) : ticks(this.low, this.high)) {
      const y = this.#y(value);
      drawn.push(draw("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }));
      drawn.push(draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, this.options.format(value)));
    }
    const parts = this.width > 420 ? 4 : 2;
    for (let i = 0; i <= parts; i++) {
      const time = this.from + ((this.to - this.from) * i) / parts;
      const anchor = i === 0 ? "start" : i === parts ? "end" : "middle";
      drawn.push(draw("text", { x: this.#x(time), y: HEIGHT - 6, "text-anchor": anchor }, clock(time)));
    }
    return drawn;
  }

  #lines() {
    const drawn = [];
    for (const one of this.series) {
      if (one.low) for (const run of runs(one.low, BRIDGED)) drawn.push(draw("path", { class: `band ${one.style}`, d: this.#ring(run, one.low, one.high) }));
    }
    for (const one of this.series) {
      for (const run of runs(one.values, BRIDGED)) {
        const points = run.map((i) => `${this.#x(this.times[i]).toFixed(1)},${this.#y(one.values[i]).toFixed(1)}`);
        if (points.length === 1) {
          const [x, y] = points[0].split(",");
          drawn.push(draw("circle", { class: `dot ${one.style}`, cx: x, cy: y, r: 2 }));
        } else drawn.push(draw("polyline", { class: `line ${one.style}`, points: points.join(" ") }));
      }
    }
    return drawn;
  }

  #areas() {
    const base = this.times.map(() => 0);
    return this.series.flatMap((one) => {
      const top = base.map((value, i) => (one.values[i] === null ? null : value + one.values[i]));
      const floor = [...base];
      top.forEach((value, i) => { if (value !== null) base[i] = value; });
      return runs(top).map((run) => draw("path", { class: `area ${one.style}`, d: this.#steps(run, floor, top) }));
    });
  }

  #ring(run, low, high) {
    const up = run.map((i) => `${this.#x(this.times[i]).toFixed(1)},${this.#y(high[i]).toFixed(1)}`);
    const down = [...run].reverse().map((i) => `${this.#x(this.times[i]).toFixed(1)},${this.#y(low[i]).toFixed(1)}`);
    return `M${up.join("L")}L${down.join("L")}z`;
  }

  // A moment's value holds for all of the moment.
  #steps(run, low, high) {
    const half = (i) => (this.times[i] - (i > 0 ? this.times[i - 1] : this.times[i] - 2000));
    const at = (i, values) => `${this.#x(this.times[i] - half(i)).toFixed(1)},${this.#y(values[i]).toFixed(1)}H${this.#x(this.times[i]).toFixed(1)}`;
    const back = (i) => `${this.#x(this.times[i]).toFixed(1)},${this.#y(low[i]).toFixed(1)}H${this.#x(this.times[i] - half(i)).toFixed(1)}`;
    return `M${run.map((i) => at(i, high)).join("L")}L${[...run].reverse().map(back).join("L")}z`;
  }

  #cursorLine() {
    if (this.cursor === null || this.cursor >= this.times.length) return draw("g");
    const x = this.#x(this.times[this.cursor]);
    return draw("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM });
  }

  // The newest values, or those under the cursor, in words: they are the legend too.
  #say() {
    const at = this.cursor === null ? this.times.length - 1 : this.cursor;
    const when = at < 0 ? "nothing yet" : this.cursor === null ? "latest" : clock(this.times[at]);
    const keys = this.series.map((one) => {
      const value = at < 0 ? null : this.cursor === null ? lately(one.values) : one.values[at];
      return make("span", { class: "key" }, make("i", { class: `k-${one.style}`, "aria-hidden": "true" }), `${one.name} `,
        make("b", {}, value === null || value === undefined ? "–" : this.options.format(value)));
    });
    this.readout.replaceChildren(make("span", { class: "when" }, when), ...keys);
    this.svg.setAttribute("aria-label", `Chart from ${clock(this.from)} to ${clock(this.to)}. ${this.readout.textContent}. Left and right keys read other times.`);
  }

  #at(cursor) {
    this.cursor = cursor;
    if (!this.times) return;
    this.svg.lastChild.replaceWith(this.#cursorLine());
    this.#say();
  }

  #point(x) {
    if (!this.times || !this.times.length) return;
    const time = this.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.to - this.from);
    let best = 0;
    this.times.forEach((one, i) => { if (Math.abs(one - time) < Math.abs(this.times[best] - time)) best = i; });
    this.#at(best);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.#at(null);
    if (!step || !this.times || !this.times.length) return;
    event.preventDefault();
    const from = this.cursor === null ? this.times.length - 1 : this.cursor;
    this.#at(Math.min(this.times.length - 1, Math.max(0, from + step)));
  }
}

// Stretches of numbers without a gap of more than so many, as indices.
function runs(values, bridged = 0) {
  const found = [];
  values.forEach((value, i) => {
    if (value === null || value === undefined) return;
    if (found.length && i - found[found.length - 1].at(-1) - 1 <= bridged) found[found.length - 1].push(i);
    else found.push([i]);
  });
  return found;
}

// The last value, if it is not much older than the chart.
const lately = (values) => values.slice(-BRIDGED).findLast((value) => value !== null) ?? null;

function ticks(low, high) {
  const raw = (high - low) / 3 || 1;
  const scale = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * scale >= raw) * scale;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}

function logTicks(low, high) {
  const found = [];
  const steps = Math.log10(high / low) > 1.5 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of steps) {
      const value = step * 10 ** power;
      if (value >= low && value <= high) found.push(value);
    }
  return found;
}

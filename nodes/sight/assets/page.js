// Polls the document of this edge and draws it. Nothing is asked of anybody else, and nothing is changed.
import { Chart } from "./chart.js";
import { put } from "./dom.js";
import { explain, failures, requests } from "./requests.js";
import { cuts, fleet, notices, plans, policies, tiles } from "./sections.js";
import { STAGES } from "./stages.js";
import { bandwidth, clock, duration, lasting, rate, share } from "./words.js";

const PERIOD_MS = 2000, HIDDEN_PERIOD_MS = 10000, TIMEOUT_MS = 8000, STALE_MS = 7000;
const PLAN_STYLES = 8;

const charts = {
  requests: new Chart("c-requests", { format: (value) => `${rate(value)} /s`, most: 1 }),
  latency: new Chart("c-latency", { format: duration }),
  link: new Chart("c-link", { format: bandwidth, log: true }),
  waits: new Chart("c-waits", { format: duration, most: 0.01 }),
  plans: new Chart("c-plans", { format: share, stacked: true, most: 1 }),
  stages: new Chart("c-stages", { format: duration, stacked: true }),
  error: new Chart("c-error", { format: share, most: 0.1, least: -0.05 }),
};
const state = { run: null, moments: [], planStyles: new Map(), paused: false, heardMs: 0, failure: "", said: null };

// A plan keeps its colour for as long as the page is open; beyond eight plans colours repeat, names do not.
function styleOf(plan) {
  if (!state.planStyles.has(plan)) state.planStyles.set(plan, `p${state.planStyles.size % PLAN_STYLES}`);
  return state.planStyles.get(plan);
}

function keep(sight) {
  if (sight.edge.run !== state.run) {
    state.run = sight.edge.run;
    state.moments = [];
  }
  const last = state.moments.at(-1)?.number ?? 0;
  for (const one of sight.history.moments) if (one.number > last) state.moments.push({ ...one, ms: state.heardMs - one.age_s * 1000 });
  state.moments.splice(0, Math.max(0, state.moments.length - sight.history.kept));
}

function drawCharts() {
  const to = state.heardMs, from = to - Number(document.getElementById("range").value) * 1000;
  const moments = state.moments.filter((one) => one.ms >= from);
  const times = moments.map((one) => one.ms);
  const each = (value) => moments.map((one) => value(one) ?? null);
  const show = (chart, ...series) => charts[chart].show(times, series.map(([name, style, values, more]) => ({ name, style, values, ...more })), from, to);
  const spread = (way) => ({
    low: each((one) => one.link && one.link[`${way}_bps`] / (1 + one.link[`${way}_spread`])),
    high: each((one) => one.link && one.link[`${way}_bps`] * (1 + one.link[`${way}_spread`])),
  });
  show("requests", ["answered", "a", each((one) => one.answered / one.span_s)], ["failed", "bad", each((one) => one.failed / one.span_s)], ["by clients' fault", "c", each((one) => one.mistaken / one.span_s)]);
  show("latency", ["median", "a", each((one) => one.latency?.p50_s)], ["95 % within", "b", each((one) => one.latency?.p95_s)]);
  show("link", ["up", "a", each((one) => one.link?.uplink_bps), spread("uplink")], ["down", "b", each((one) => one.link?.downlink_bps), spread("downlink")]);
  show("waits", ["RTT", "a", each((one) => one.link?.rtt_s)], ["edge queue", "b", each((one) => one.edge_queue_s)], ["cloud queue", "c", each((one) => one.cloud_queue_s)]);
  const names = [...new Set(moments.flatMap((one) => Object.keys(one.plans)))].sort();
  show("plans", ...names.map((name) => [name, styleOf(name), each((one) => (one.looked_at ? (one.plans[name] || 0) / one.looked_at : null))]));
  const measured = STAGES.filter(([name]) => name !== "overhead_s");
  show("stages", ...measured.map(([name, word, style]) => [word, `s-${style}`, each((one) => one.stages[name])]));
  show("error", ["off by, median", "a", each((one) => one.error?.median)], ["took longer than predicted by", "b", each((one) => one.error && -one.error.bias)]);
}

function drawAll(sight) {
  document.title = `${sight.attention.some((one) => one.level === "alarm") ? "⚠ " : ""}${sight.edge.id} · Isthmus`;
  put("edge-id", sight.edge.id);
  const emulated = document.getElementById("emulated");
  emulated.hidden = !sight.emulated.length;
  emulated.textContent = `Emulated: ${sight.emulated.join("; ")}. Not the numbers of real hardware.`;
  notices(sight.attention);
  tiles(sight);
  drawCharts();
  plans(sight.plans, styleOf);
  fleet(sight.fleet);
  requests(sight.requests, styleOf);
  failures(sight.failures);
  cuts(sight.models);
  policies(sight);
}

// What the head says: said aloud only where it changes in kind, so the time stands apart.
function drawState() {
  const silent = state.failure || (state.heardMs && Date.now() - state.heardMs > STALE_MS && !state.paused);
  const kind = silent ? "silent" : state.paused ? "paused" : state.said && !state.said.edge.ready ? "draining" : "serving";
  const element = document.getElementById("state");
  element.className = kind;
  document.body.classList.toggle("stale", Boolean(silent));
  const at = state.heardMs ? clock(state.heardMs) : "never";
  element.textContent = {
    silent: `No answer from this edge${state.failure ? ` (${state.failure})` : ""}. What you see is of ${at}.`,
    paused: `Paused at ${at}.`,
    draining: `Drains: takes nothing new. ${at}`,
    serving: state.said ? `Serves, up for ${lasting(state.said.edge.up_s)}. ${at}` : "asking this edge…",
  }[kind];
}

async function ask() {
  const since = state.run === null ? 0 : (state.moments.at(-1)?.number ?? 0);
  const answer = await fetch(`/sight.json?since=${since}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `HTTP ${answer.status}`);
  const sight = await answer.json();
  // Another run of the edge: its moments count from 1 again.
  if (state.run !== null && sight.edge.run !== state.run && since > 0) {
    state.run = null;
    return ask();
  }
  return sight;
}

async function poll() {
  if (!state.paused) {
    try {
      const sight = await ask();
      state.heardMs = Date.now();
      state.failure = "";
      state.said = sight;
      keep(sight);
      drawAll(sight);
      document.body.dataset.polls = String(Number(document.body.dataset.polls || 0) + 1);
    } catch (error) {
      state.failure = error.name === "TimeoutError" ? "it took too long" : error.name === "TypeError" ? "not reachable" : error.message;
    }
  }
  drawState();
  setTimeout(poll, document.hidden ? HIDDEN_PERIOD_MS : PERIOD_MS);
}

document.getElementById("pause").addEventListener("click", (event) => {
  state.paused = !state.paused;
  event.target.setAttribute("aria-pressed", String(state.paused));
  event.target.textContent = state.paused ? "Go on" : "Pause";
  drawState();
});
document.getElementById("range").addEventListener("change", drawCharts);
const linked = new URLSearchParams(location.hash.slice(1)).get("request");
if (linked) explain(linked);
poll();

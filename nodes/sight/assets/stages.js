// Where a request's time goes: the stages in the order of the request, their names and their bars.
import { draw, make } from "./dom.js";
import { duration } from "./words.js";

export const STAGES = [
  ["edge_queue_s", "edge queue", "edge-queue"],
  ["edge_s", "edge", "edge"],
  ["uplink_s", "uplink", "uplink"],
  ["cloud_queue_s", "cloud queue", "cloud-queue"],
  ["cloud_s", "cloud", "cloud"],
  ["downlink_s", "downlink", "downlink"],
  ["overhead_s", "besides", "besides"],
];

export const total = (parts) => STAGES.reduce((sum, [name]) => sum + (parts[name] || 0), 0);

const said = (parts) =>
  STAGES.filter(([name]) => parts[name] > 0).map(([name, word]) => `${word} ${duration(parts[name])}`).join(", ");

// One stacked bar; mostS: what the whole width is.
export function bar(parts, mostS, kind, word) {
  const label = `${word}: ${duration(total(parts))}: ${said(parts) || "nothing"}`;
  const svg = draw("svg", { class: `bar ${kind}`, viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": label },
    draw("title", {}, label));
  let x = 0;
  for (const [name, , style] of STAGES) {
    const width = mostS > 0 ? (1000 * (parts[name] || 0)) / mostS : 0;
    if (width > 0) svg.append(draw("rect", { x, y: 0, width, height: 10, class: `s-${style}` }));
    x += width;
  }
  return svg;
}

export const legend = () =>
  STAGES.map(([, word, style]) => make("span", { class: "key" }, make("i", { class: `k-${style}`, "aria-hidden": "true" }), word));

// The parts of the page that show how things stand now: notices, tiles, plans, fleet, cuts, policies.
import { make, put, table } from "./dom.js";
import { bar, legend, total } from "./stages.js";
import { age, bandwidth, count, duration, lasting, rate, share, size } from "./words.js";

export function notices(found) {
  const items = found.map((one) =>
    make("li", { class: one.level }, make("strong", {}, one.level === "alarm" ? "Alarm" : "Warning"), " ", one.what, " ",
      make("span", { class: "look" }, one.look)));
  const list = document.getElementById("notices");
  const said = items.length ? items : [make("li", { class: "fine" }, make("strong", {}, "Nothing"), " needs attention, by the last 5 minutes.")];
  // Left alone where it says the same: a screen reader reads every change aloud.
  if (list.textContent !== said.map((one) => one.textContent).join("")) list.replaceChildren(...said);
}

const tile = (word, value, more, level = "") =>
  make("div", { class: `tile ${level}` }, make("dt", {}, word), make("dd", { class: "value" }, value), make("dd", { class: "more" }, more));

const heard = (fleet) => (!fleet.heard ? "not heard of" : fleet.away_s === null ? "heard" : `silent for ${lasting(fleet.away_s)}`);

export function tiles(sight) {
  const { now, link, totals, fleet } = sight;
  const { latency, error } = now;
  const asked = now.failed_in_window + now.answered_in_window;
  const full = now.waiting_limit ? now.waiting / now.waiting_limit : 0;
  const named = fleet.replicas.length;
  put("tiles",
    tile("Answered", `${rate(now.answered_per_s)} /s`, `${count(totals.answered)} since the start`),
    tile("Failed, 5 min", count(now.failed_in_window), `${asked ? `of ${count(asked)}, ${share(now.failed_in_window / asked)}` : "no requests"}${now.mistaken_in_window ? `; + ${count(now.mistaken_in_window)} by clients` : ""}`, now.failed_in_window ? (now.failed_in_window >= 3 && now.failed_in_window / asked >= 0.01 ? "alarm" : "warning") : ""),
    tile("Median latency", duration(latency?.p50_s), latency ? `95 % within ${duration(latency.p95_s)}` : "no requests"),
    tile("Uplink", link ? bandwidth(link.uplink_bps) : "unknown", link ? `± ${share(link.uplink_spread)}, RTT ${duration(link.rtt_s)}` : "nothing crossed yet"),
    tile("Waiting", count(now.waiting), `of ${count(now.waiting_limit)}${now.before_turn ? `, ${count(now.before_turn)} before their turn: ${duration(now.turn_wait_s)}` : ""}; edge ${duration(now.edge_queue_s)}, cloud ${duration(now.cloud_queue_s)}`, full >= 0.8 ? "alarm" : ""),
    tile("Prediction off by", error ? share(error.median) : "–", error ? (error.bias < 0 ? `takes ${share(-error.bias)} longer` : `takes ${share(error.bias)} less`) : "no requests", error && error.median > 0.3 ? "warning" : ""),
    tile("Replicas usable", `${now.replicas_usable} of ${named}`, fleet.registry ? `registry ${heard(fleet)}` : "no registry", fleet.registry && (!fleet.heard || now.replicas_usable < named || (!named && fleet.missed)) ? "alarm" : fleet.heard && fleet.away_s >= 30 ? "warning" : ""));
}

let legendDrawn = false;

export function plans(found, styleOf) {
  if (!legendDrawn) {
    put("legend", ...legend());
    legendDrawn = true;
  }
  if (!found.length) {
    put("plans", make("p", { class: "empty" }, "No request in the last 5 minutes."));
    return;
  }
  const mostS = Math.max(...found.map((one) => Math.max(total(one.measured), total(one.predicted))));
  const many = new Set(found.map((one) => one.model)).size > 1;
  put("plans", ...found.map((one) =>
    make("div", { class: "plan" },
      make("p", { class: "name" }, make("i", { class: `k-${styleOf(one.name)}`, "aria-hidden": "true" }), many ? `${one.model}: ` : "", make("b", {}, one.name), make("small", {}, one.form === "bytes" ? " of files" : " of tensors")),
      make("p", { class: "much" }, `${share(one.share)}, ${count(one.count)} requests`, one.failed ? make("span", { class: "bad" }, `, ${count(one.failed)} failed`) : ""),
      make("div", { class: "bars" }, bar(one.measured, mostS, "measured", "measured"), bar(one.predicted, mostS, "predicted", "predicted")),
      make("p", { class: "much" }, make("b", {}, duration(one.latency?.p50_s)), ` median, 95 % ${duration(one.latency?.p95_s)}; prediction off by `, make("b", {}, share(one.error?.median))))));
}

const STANDING = {
  ready: "takes requests",
  "on trial": "failed lately, takes one at a time",
  "set aside": "takes none: it failed, or left a request unanswered",
  connecting: "not connected or not prepared yet",
  draining: "takes nothing new",
};

export function fleet(found) {
  if (!found.registry) {
    put("fleet", make("p", { class: "empty" }, "No registry is configured: this edge serves alone."));
    return;
  }
  const rows = found.replicas.map((one) => [
    make("span", { class: `standing ${one.standing.replace(" ", "-")}`, title: STANDING[one.standing] }, one.standing),
    make("span", { class: "mono" }, one.replica_id, make("br"), make("small", {}, one.target)),
    duration(one.cloud_queue_s),
    `${one.in_flight}, ${size(one.in_flight_bytes)}`,
    count(one.plans),
    age(one.heard_age_s),
  ]);
  const heads = ["", "replica", ["queue", "n"], ["under way", "n"], ["plans", "n"], ["heard", "n"]];
  const said = `Registry ${found.registry}, ${heard(found)}.`;
  put("fleet", make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Fleet", "data-key": "fleet" },
    table(found.replicas.length ? said : `${said} It names no replica.`, heads, rows)));
}

const shown = new Map();

// A picture is asked for again only where the cut has changed: it is the largest part of the page.
export function cuts(models) {
  const key = JSON.stringify(models.map(({ name, cut }) => [name, cut?.plan_id]));
  const say = (model) => {
    const cut = model.cut;
    return cut ? `${model.name}, version ${model.version}: ${cut.name}, ${count(cut.count)} of the last ${count(cut.of)} requests` : `${model.name}: ${model.state === "READY" ? "no request yet" : model.state.toLowerCase()}`;
  };
  if (shown.get("key") !== key) {
    shown.set("key", key);
    put("cuts", ...models.map((model) => {
      const caption = make("figcaption", {}, say(model));
      shown.set(model.name, caption);
      if (!model.cut) return make("figure", {}, caption);
      const address = `/cut.svg?model=${encodeURIComponent(model.name)}&plan=${encodeURIComponent(model.cut.plan_id)}`;
      return make("figure", {}, caption, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `The graph of ${model.name}` },
        make("a", { href: address, title: "The picture alone" }, make("img", { src: address, alt: `The graph of ${model.name}: ${model.cut.name}`, class: "cut" }))));
    }));
  } else for (const model of models) shown.get(model.name).textContent = say(model);
}

export function policies(sight) {
  const { policy, totals, edge } = sight;
  const shadow = policy.shadow;
  const pairs = [
    ...policy.in_force.map((one) => [one.scope, one.policy]),
    ["canary", policy.canary ? `${policy.canary.policy}, ${share(policy.canary.share)} of the requests` : "none"],
    ["shadow", shadow ? `${shadow.policy}; of ${count(shadow.decisions)} requests the same plan for ${count(shadow.agreed)}` : "none"],
    ["this edge", `${edge.engine} on ${edge.device}, ${edge.threads} thread${edge.threads === 1 ? "" : "s"}, version ${edge.version}, up for ${lasting(edge.up_s)}`],
    ["since the start", `${count(totals.answered)} answered, ${count(totals.failed)} failed, ${count(totals.mistaken)} by clients' fault; by the first replica ${count(totals.answered_by_cloud)}, finished here after all ${count(totals.resumed_on_edge)}, sent again ${count(totals.resent)}, hedged ${count(totals.hedged)} (${count(totals.hedges_won)} won), late answers ${count(totals.late_answers)}`],
  ];
  put("policy", make("dl", { class: "facts" }, pairs.flatMap(([term, said]) => [make("dt", {}, term), make("dd", {}, said)])));
}

// The requests that ended last, the failures, and one request explained.
import { make, put, table } from "./dom.js";
import { STAGES, bar, legend, total } from "./stages.js";
import { age, bandwidth, duration, share, signed, size } from "./words.js";

export function requests(found, styleOf) {
  const mostS = Math.max(1e-9, ...found.map((one) => one.measured_s));
  const rows = found.map((one) => [
    age(one.age_s),
    opens(one.id),
    make("span", {}, one.model, one.class ? make("small", {}, ` class ${one.class}`) : null),
    make("span", {}, make("i", { class: `k-${styleOf(one.plan)}`, "aria-hidden": "true" }), one.plan, one.explored ? make("small", {}, " to learn the link") : null),
    one.failure ? make("span", { class: "bad" }, `failed: ${one.failure}`) : bar(one.stages, mostS, "small", "measured"),
    one.failure ? "–" : duration(one.measured_s),
    duration(one.predicted_s),
    one.failure ? "–" : one.error === null ? make("span", { class: "bad" }, `on the ${one.finished_by}`) : signed(-one.error),
  ]);
  const heads = ["", "request", "model", "plan", "where the time went", ["took", "n"], ["predicted", "n"], ["over it", "n"]];
  put("requests", found.length ? table("Newest first.", heads, rows) : make("p", { class: "empty" }, "None yet."));
}

export function failures(found) {
  const rows = found.map((one) => [age(one.age_s), opens(one.id), make("span", { class: "mono" }, one.status), one.model || "–", one.message]);
  put("failures", found.length ? table("Newest first; also those that were refused before anything was decided.", ["", "request", "status", "model", "reason"], rows)
    : make("p", { class: "empty" }, "None is remembered."));
}

function opens(id) {
  return make("button", { type: "button", class: "mono link", "data-key": id, onclick: () => explain(id) }, id.slice(0, 8));
}

export async function explain(id) {
  const dialog = document.getElementById("explain");
  document.getElementById("explain-title").textContent = `Request ${id}`;
  put("explained", make("p", {}, "asking…"));
  if (!dialog.open) dialog.showModal();
  try {
    const answer = await fetch(`/request.json?id=${encodeURIComponent(id)}`);
    if (!answer.ok) throw new Error((await answer.text()).trim());
    put("explained", ...record(await answer.json()));
  } catch (error) {
    put("explained", make("p", { class: "bad" }, String(error.message)));
  }
}

function record(told) {
  const chosen = told.explored || told.choice || null; // null for one that was refused
  const { request, link, outcome } = told;
  const happened = outcome && !outcome.failure ? outcome : null;
  const parts = [...told.candidates.map((one) => total(one.predicted)), happened ? total(happened) : 0];
  const mostS = Math.max(...parts);
  const took = (stages, kind, word) => make("td", { class: "wide" }, bar(stages, mostS, kind, word));
  const row = (mark, name, stages, kind, word, key) => make("tr", { class: key },
    make("td", {}, mark), make("td", {}, name), took(stages, kind, word), make("td", { class: "n" }, duration(total(stages))));
  return [
    make("dl", { class: "facts" },
      told.policy ? [make("dt", {}, "decided by"), make("dd", {}, `${told.policy.name}, for ${told.because}`)] : null,
      chosen ? [make("dt", {}, "because"), make("dd", {}, chosen.reason)] : [make("dt", {}, "refused"), make("dd", { class: "bad" }, told.failure)],
      told.explored ? [make("dt", {}, "to learn the link"), make("dd", {}, `in place of ${told.choice.name}`)] : null,
      make("dt", {}, "asked"), make("dd", {}, asked(request)),
      told.policy ? [make("dt", {}, "believed"), make("dd", {}, believed(request, link))] : null,
      chosen ? [make("dt", {}, "happened"), make("dd", { class: outcome?.failure ? "bad" : "" }, said(outcome, chosen.predicted.total_s, told.waited_s))] : null),
    ...(told.candidates.length ? [
      make("div", { class: "legend" }, legend()),
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Plans" }, make("table", { class: "candidates" },
        make("caption", {}, "What happened, and every plan with its prediction then, quickest first."),
        make("tbody", {},
          happened ? row("=", "measured", happened, "measured", "measured", "happened") : null,
          told.candidates.map((one) => row(one.plan_id === chosen?.plan_id ? "▶ chosen" : "", one.name, one.predicted, "predicted", "predicted", one.plan_id === chosen?.plan_id ? "chosen" : ""))))),
    ] : []),
    make("p", { class: "note mono" }, `isthmus explain ${request.request_id}`),
  ];
}

function asked(request) {
  const what = request.form === "bytes" ? `a file of ${size(request.file_bytes)}` : "tensors";
  const deadline = request.remaining_s === null ? "no deadline" : `${duration(request.remaining_s)} until the deadline`;
  return `${what}, batch ${request.batch}, ${deadline}${request.request_class ? `, class ${request.request_class}` : ""}`;
}

function believed(request, link) {
  const waits = `edge queue ${duration(request.edge_queue_s)}, uplink queue ${duration(request.uplink_queue_s)}, cloud queue ${duration(request.cloud_queue_s)}`;
  if (!request.cloud_reachable) return `no replica reachable, ${waits}`;
  if (!link) return `link not measured yet, ${waits}`;
  return `${bandwidth(link.uplink_bps)} up ± ${share(request.uplink_spread)}, ${bandwidth(link.downlink_bps)} down, RTT ${duration(link.rtt_s)}, ${waits}`;
}

function said(outcome, predictedS, waitedS) {
  if (!outcome) return "no answer yet";
  if (outcome.failure) return `failed: ${outcome.failure}`;
  const tookS = total(outcome), ownS = tookS - waitedS;
  const before = waitedS >= 0.001 ? `, ${duration(waitedS)} of it before its turn` : "";
  const parts = STAGES.filter(([name]) => outcome[name] > 0).map(([name, word]) => `${word} ${duration(outcome[name])}`).join(", ");
  const crossed = outcome.wire_bytes ? `; ${size(outcome.wire_bytes)} crossed${outcome.sendings > 1 ? `, sent ${outcome.sendings} times` : ""}` : "";
  const replica = outcome.replica ? ` (${outcome.replica})` : "";
  return `${duration(tookS)}${before}, ${signed(ownS / predictedS - 1)} of the predicted ${duration(predictedS)}, finished by the ${outcome.finished_by}${replica}: ${parts}${crossed}`;
}

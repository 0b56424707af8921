"""Records of runs for tests of answers and reports: an M/M/1 queue's times, worked out by Lindley's recursion."""

from __future__ import annotations

import numpy as np

from simulations.run_record import EndedRequest, Resource, RunFacts, RunRecord, RunRecorder, Series

__all__ = ["made_run", "made_runs"]

PLANS = (("edge-1", "edge-only"), ("split-1", "split"), ("cloud-1", "cloud-only"))


def made_run(seed: int, n: int = 600, duration_s: float = 60.0, warm_up_s: float = 6.0) -> RunRecord:
    """Two clients at two edges; one in fifty is refused, one in a hundred given up on the cloud."""
    random, recorder = np.random.default_rng(seed), RunRecorder()
    arrivals_s = np.sort(random.uniform(0.0, duration_s, n))
    works_s = random.exponential(0.05, n)
    free_s = 0.0
    for number, (time_s, work_s) in enumerate(zip(arrivals_s.tolist(), works_s.tolist(), strict=True)):
        edge = f"shop-{number % 2}"
        recorder.sample(Series("edge_queue_s", edge), time_s, max(0.0, free_s - time_s))
        if number % 50 == 7:
            refused = EndedRequest(time_s, 0.0, 0.3, outcome="refused", reason="shed", edge=edge, client="till")
            recorder.add(refused._replace(model="net"))
            continue
        queued_s = max(0.0, free_s - time_s)
        free_s = time_s + queued_s + work_s
        plan, kind = PLANS[number % 3]
        finish_s = 0.1 if number % 100 == 3 else 0.0
        there = kind != "edge-only"
        recorder.add(
            EndedRequest(
                time_s,
                queued_s + work_s + there * 0.03 + finish_s,
                0.3,
                edge_queue_s=queued_s,
                edge_s=work_s,
                uplink_s=there * 0.02,
                cloud_s=there * 0.01,
                finish_s=finish_s,
                up_bytes=there * 1e4,
                outcome="resumed" if finish_s else "answered",
                edge=edge,
                group="shop",
                link="lte" if there else "",
                replica="replica-0" if there else "",
                client="till" if number % 2 else "cameras",
                model="net",
                plan=plan,
                kind=kind,
            )
        )
    counted_s = duration_s - warm_up_s
    for edge in ("shop-0", "shop-1"):
        recorder.resource(Resource("edge", edge, "shop", 0.25 * counted_s, counted_s, 0.25, 2.0 * counted_s))
    recorder.resource(Resource("replica", "replica-0", "gpu", 0.9 * counted_s, counted_s, 0.9))
    for second in range(int(duration_s)):
        recorder.sample(Series("replicas", "cloud"), float(second), 1.0 + (second > 30))
    facts = RunFacts("shop", seed, duration_s, warm_up_s, plan_titles={"split-1": "split after <stem>"})
    return recorder.finish(facts)


def made_runs(count: int, n: int = 600) -> list[RunRecord]:
    """Replications."""
    return [made_run(seed, n) for seed in range(1, count + 1)]

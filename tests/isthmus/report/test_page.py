"""The report's page: whole, self-contained, and its numbers are the plans'."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import torch
from torch import nn

from isthmus.errors import InvalidInput, InvalidPlan
from isthmus.report import Report, report_of, report_page
from isthmus.report.facts import chapter_of
from isthmus.units import format_bandwidth, format_duration, format_size
from nodes.measure.answer_quality import AnswerQuality, Share
from nodes.measure.codec_survey import Family, SurveyRow
from partitioner.accuracy_rule import AccuracyTable
from partitioner.condition import Condition
from partitioner.constraints import Constraints
from partitioner.front_end import model_from_module
from partitioner.frontier import frontier_of
from partitioner.link import Link
from partitioner.measurements import Measurement, Power, SegmentTime, digest_of_ops
from partitioner.memory import MemoryModel
from partitioner.menu import MOST_CUTS, menu_of
from partitioner.model import Model
from partitioner.partition import BestPlan, best_plan, partition_graph, plan_for_cut, plans_to_compare
from partitioner.plan import Plan
from partitioner.setting import Setting
from partitioner.spec import ModelSpec

_PARTS = ("edge_s", "uplink_s", "cloud_s", "downlink_s", "total_s")


def _tree(page: str) -> ET.Element:
    return ET.fromstring(page)


def _tables(page: str) -> dict[str, list[list[str]]]:
    """Rows of cells by caption; of tables of one caption, the first chapter's."""
    found: dict[str, list[list[str]]] = {}
    for table in _tree(page).iter("table"):
        rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
        found.setdefault(table.findtext("caption") or "", rows)
    return found


def _table(page: str, start: str) -> list[list[str]]:
    return next(rows for caption, rows in _tables(page).items() if caption.startswith(start))


def _said(page: str) -> str:
    return " ".join("".join(_tree(page).itertext()).split())


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    """Made once: all tests only read it."""
    return report_page(report)


def test_it_is_well_formed_and_needs_nothing_from_outside(page: str) -> None:
    assert _tree(page).tag == "html"
    outside = re.findall(r"https?://[^\"]*|href|src=|@import|<script|url\((?!#isthmus-)", page)
    assert set(outside) == {"http://www.w3.org/2000/svg"}


def test_names_are_escaped(page: str) -> None:
    assert "small <&> model" in _said(page)
    assert "small &lt;&amp;&gt; model" in page


def test_the_maps_have_a_key_of_every_plan_of_the_frontier(page: str) -> None:
    keys = next(one for one in _tree(page).iter("p") if one.get("class") == "keys")
    said = [" ".join("".join(key.itertext()).split()) for key in keys]
    codes = {row[0] for row in _table(page, "The pieces of the curve")[1:]}
    assert codes <= {key.partition(" ")[0] for key in said}
    assert "E edge-only" in said


def test_no_two_elements_have_one_id(page: str) -> None:
    ids = re.findall(r' id="([^"]+)"', page)
    assert page.count('class="cut"') == 2
    assert len(ids) == len(set(ids)) == 4


def test_the_breakdown_holds_the_plans_own_numbers(page: str, report: Report) -> None:
    chapter = report.chapters[0]
    rows = _table(page, "The same as numbers. Uplink")[1:]
    assert rows[0][2:7] == [format_duration(getattr(chapter.plan.predicted, part)) for part in _PARTS]
    plans = {plan.plan_id: plan for plan in (chapter.plan, *chapter.others)}
    assert [row[2:7] for row in rows] == [
        [format_duration(getattr(plan.predicted, part)) for part in _PARTS] for plan in plans.values()
    ]


def test_of_a_batch_the_page_says_how_many_items_and_holds_all_their_bytes(model: Model, setting: Setting) -> None:
    many = replace(setting, costing=replace(setting.costing, batch=4))
    made = report_of(model, many, plan_for_cut(model, many, [op.name for op in model.graph.ops[:2]]))
    page, chapter = report_page(made), made.chapters[0]
    assert "Requests that bring the tensor, 4 items each" in _said(page)
    assert "items each" not in _said(report_page(report_of(model, setting, partition_graph(model, setting))))
    rows = {row[1]: row[-1] for row in _table(page, "The same as numbers. Uplink")[1:]}
    (cloud,) = (plan for plan in chapter.others if plan.kind == "cloud-only")
    (title,) = (title for title in rows if title.startswith("cloud-only"))
    assert rows[title] == format_size(4 * cloud.uplink_bytes)
    (crossing,) = (row for row in _table(page, "What crosses, for one item")[1:] if row[1] == "up")
    assert crossing[4] == f"{chapter.plan.boundary[0].bytes:,}"


class Found:
    """What was found and judged already."""

    def __init__(self, model: Model, setting: Setting) -> None:
        self.judged, self.frontier_setting = best_plan(model, setting), setting
        self.frontier, self._others = frontier_of(model, setting), (self.judged.plan,)

    def others(self) -> tuple[Plan, ...]:
        return self._others

    def best(self, objective: str | Mapping[str, float]) -> BestPlan:
        return self.judged


def test_all_plans_of_both_forms_may_come_from_whoever_judges_them(model: Model, setting: Setting) -> None:
    files = replace(setting, costing=replace(setting.costing, form="bytes", accuracy=AccuracyTable(0.02, {})))
    found = {"tensor": Found(model, setting), "bytes": Found(model, files)}
    made = report_of(model, setting, partition_graph(model, setting), searches_of=found.__getitem__)
    own, other = made.chapters
    assert (other.plan, other.setting) == (found["bytes"].judged.plan, files)
    for chapter, searches in zip((own, other), found.values(), strict=True):
        assert chapter.frontier is searches.frontier  # a second search may find others, which nobody judged
        assert chapter.others is searches.others()


def test_every_cloud_only_encoding_of_a_file_is_there(page: str) -> None:
    said = _said(page)
    assert all(f"cloud-only, image as {codec}" in said for codec in ("file", "png"))


def test_how_a_cloud_only_plan_sends_is_said_once(model: Model, setting: Setting) -> None:
    (plan,) = (one for one in plans_to_compare(model, setting) if one.kind == "cloud-only")
    said = _said(report_page(report_of(model, setting, plan)))
    assert ": cloud-only, image as" in said
    assert "sending" not in said


def test_every_tensor_that_crosses_is_named_with_its_bytes(page: str, report: Report) -> None:
    rows = _table(page, "What crosses")[1:]
    plan = report.chapters[0].plan
    assert [(row[0], row[2], row[4]) for row in rows] == [
        (tensor.tensor, tensor.codec, f"{tensor.bytes:,}") for tensor in (*plan.boundary, *plan.downlink)
    ]


def test_the_frontier_table_holds_every_plan(page: str, report: Report) -> None:
    frontier = report.chapters[0].frontier
    assert frontier is not None
    rows = _table(page, "The plans, those with most ops")[1:]
    assert [row[4:] for row in rows] == [
        [
            format_size(entry.costs.uplink_bytes),
            format_size(entry.costs.downlink_bytes),
            format_duration(entry.costs.edge_s),
            format_duration(entry.costs.cloud_s),
        ]
        for entry in frontier.plans
    ]


@pytest.mark.parametrize("bandwidth", ["100kbps", "4mbps", "300mbps"])
def test_the_curve_at_the_bandwidth_asked_about_is_the_chosen_plan(
    report_over: Callable[[str], Report], bandwidth: str
) -> None:
    report = report_over(bandwidth)
    page, plan = report_page(report), report.chapters[0].plan
    bps = report.chapters[0].setting.link.uplink_bps
    assert f"asked: {format_bandwidth(bps)}" in _said(page)
    rows = _table(page, "The pieces of the curve")[1:]
    (here,) = [row for row in rows if _bps(row[4]) <= bps < _bps(row[5])]
    assert here[2] == (", ".join(f"{t.tensor} as {t.codec}" for t in plan.boundary) or "nothing")


def _bps(said: str) -> float:
    if said in ("0", "any"):
        return 0.0 if said == "0" else float("inf")
    number, unit = said.split()
    return float(number) * {"kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}[unit]


def test_the_map_names_the_frontiers_best_plan(page: str, report: Report) -> None:
    chapter = report.chapters[0]
    assert chapter.frontier is not None
    (head, *rows) = _table(page, "Rows of that map (round trip")
    codes = {row[0]: row[1] for row in _table(page, "The plans, those with most ops")[1:]}
    for row in (rows[0], rows[-1]):
        for said, code in zip(head[1:], row[1:], strict=True):
            bps, load = _bps(said), float(row[0].removeprefix("× "))
            link = Link(bps, bps, chapter.setting.link.rtt_s)
            best = chapter.frontier.best(Condition(link, cloud_load=load)).plan
            expected = {"edge-only": "edge-only", "cloud-only": "cloud-only,"}.get(
                best.kind, f"split after {len(best.edge_ops)} "
            )
            assert codes[code].startswith(expected)


def test_the_menu_says_what_it_guarantees(page: str, report: Report) -> None:
    menu = report.chapters[0].menu
    assert menu is not None
    assert f"at most {menu.excess:.2%} slower" in _said(page)
    assert f"(granted: {menu.tolerance:.2%})" in _said(page)
    assert f"The menu: {len(menu.cuts)} cut" in _said(page)


def test_the_menu_is_what_a_fleet_would_be_offered(setting: Setting) -> None:
    """Of a model whose tensors halve from op to op, so that many cuts win somewhere."""
    halving = nn.Sequential(*(nn.AvgPool1d(2) for _ in range(14))).eval()
    spec = ModelSpec(module=halving, example_inputs=(torch.zeros(2, 1, 2**16),))
    model = model_from_module(spec)
    chapter = chapter_of(model, setting, partition_graph(model, setting))
    assert chapter.frontier is not None
    assert len(menu_of(chapter.frontier).cuts) > MOST_CUTS
    assert chapter.menu == menu_of(chapter.frontier, most_cuts=MOST_CUTS)


def test_emulation_guesses_and_noise_come_before_the_numbers(model: object, report: Report) -> None:
    setting = report.chapters[0].setting
    noisy = replace(setting.cloud, provenance=replace(setting.cloud.provenance, noisy=True))
    chapter = replace(report.chapters[0], setting=replace(setting, cloud=noisy))
    said = _said(report_page(Report(report.model, (chapter,))))
    start = said[: said.index("The question")]
    assert "The edge is emulated: this machine, slowed down 40 times." in start
    assert "The cloud's op times are guesses from its peak rates" in start
    assert "The cloud's profile was taken on a busy machine" in start


def test_what_the_plans_had_to_keep_to_is_said(report: Report, page: str) -> None:
    chapter = report.chapters[0]
    rules = Constraints(edge_ops=frozenset({"conv2d"}), wire_bytes=5000.0)
    costing = replace(chapter.setting.costing, form="tensor", lossless=True, private_input=True, constraints=rules)
    ruled = replace(chapter, setting=replace(chapter.setting, costing=costing))
    said = _said(report_page(Report(report.model, (ruled,))))
    assert "inputs never leave the edge; pins to the edge (conv2d); wire 5 kB" in said
    assert "codec int8" not in said  # not allowed
    assert "codec png" not in said  # of no use to a tensor
    assert "kept to" not in _said(page)


def test_within_limits_there_is_a_frontier_of_the_plans_that_keep_to_them(model: Model, setting: Setting) -> None:
    whole = MemoryModel(model.graph).edge(frozenset(op.name for op in model.graph.ops))
    rules = Constraints(edge_memory_bytes=whole - 1)
    limited = replace(setting, costing=replace(setting.costing, constraints=rules))
    said = _said(report_page(report_of(model, limited, partition_graph(model, limited))))
    assert "under some bandwidth, round trip and loads; no other plan within the limits ever is." in said
    assert "under some bandwidth, round trip and loads; no other plan ever is." not in said


def test_where_no_accuracy_was_measured_the_page_says_so(page: str) -> None:
    assert "No accuracy was measured; lossy codecs are allowed all the same." in _said(page)
    assert "Accuracy against bytes" not in page


def _under_a_budget(report: Report, *, pruned: bool = False) -> str:
    """What the page says where a lossy codec must keep a budget."""
    chapter = report.chapters[0]
    costing = replace(chapter.setting.costing, accuracy=AccuracyTable(0.02, {}, pruned=pruned))
    return _said(
        report_page(Report(report.model, (replace(chapter, setting=replace(chapter.setting, costing=costing)),)))
    )


def test_under_an_accuracy_budget_no_lossy_codec_is_allowed_all_the_same(report: Report) -> None:
    said = _under_a_budget(report)
    assert "a lossy one is used only where it was measured to keep accuracy budget 0.02." in said
    assert "all the same" not in said


def test_under_an_accuracy_budget_the_frontier_is_of_the_codecs_measured(report: Report, page: str) -> None:
    assert "no other plan of the codecs measured ever is." in _under_a_budget(report)
    assert "no other plan ever is." in _said(page)


def test_the_page_says_that_a_codec_was_taken_out_for_a_whole_plans_sake(report: Report) -> None:
    said = _under_a_budget(report, pruned=True)
    assert (
        "no other plan of the codecs left ever is (of all codecs measured nothing is proven: a codec was taken" in said
    )


def test_every_chapter_is_about_the_objective_that_was_asked_for(model: Model, setting: Setting) -> None:
    edge = replace(setting.edge, power=Power(5.0, 1.0, 2.0, "declared"))
    declared = replace(setting, edge=edge)
    made = report_of(model, declared, partition_graph(model, declared, "energy"), objective="energy")
    assert [c.plan.provenance["objective"].split(":")[0] for c in made.chapters] == ["energy", "energy"]
    said = _said(report_page(made))
    assert all(chapter.plan.provenance["objective"] in said for chapter in made.chapters)


def test_the_curve_says_that_it_goes_by_op_times_where_halves_were_measured(
    model: Model, setting: Setting, page: str
) -> None:
    half = SegmentTime(model.digest, "prefix", digest_of_ops(["conv2d"]), "eager", 1, Measurement(0.001, 0.0, 5))
    known = replace(setting, edge=setting.edge.with_segment_times(half))
    said = _said(report_page(report_of(model, known, partition_graph(model, known))))
    assert "by sums of op times; the plans above by the halves that were measured whole" in said
    assert "the halves that were measured" not in _said(page)


def test_parameters_that_two_layers_share_are_counted_once(setting: Setting) -> None:
    """A layer of 64 * 64 + 64 floats, twice."""
    layer = nn.Linear(64, 64)
    spec = ModelSpec(module=nn.Sequential(layer, nn.ReLU(), layer).eval(), example_inputs=(torch.zeros(2, 64),))
    tied = model_from_module(spec)
    said = _said(report_page(report_of(tied, setting, partition_graph(tied, setting))))
    assert f"{format_size(4 * (64 * 64 + 64))} of parameters" in said


def surveyed(edge_ops: tuple[str, ...], codec: str, size: float, agreement: float) -> SurveyRow:
    share = Share(agreement, agreement - 0.01, 1.0, 80)
    cosine, divergence = Share(0.5, 0.4, 0.6, 80), Share(0.125, 0.1, 0.15, 80)
    right, before = Share(0.75, 0.7, 0.8, 80), Share(0.8125, 0.75, 0.875, 80)
    quality = AnswerQuality(cosine, 0.25, share, None, divergence, right, before)
    family: Family = "transform" if codec.startswith("transform") else "linear"
    return SurveyRow(edge_ops, codec, family, Share(size, size, size, 80), quality, 1e-3, 2e-3, 13_000)


def test_every_codec_at_every_cut_is_plotted_and_listed(report: Report) -> None:
    cut = report.chapters[0].plan.edge_ops
    rows = (
        surveyed((), "int8", 3000, 1.0),
        surveyed(cut, "transform, step x1", 1568, 0.9875),
        surveyed(cut, "transform, step x2", 900, 0.9),
        surveyed(cut, "int8", 2000, 1.0),
    )
    page = report_page(Report(report.model, (replace(report.chapters[0], surveyed=rows, budget=0.02),)))
    table = _table(page, "Accuracy and bytes")[1:]
    assert [row[0] for row in table] == ["input", *["cut 2"] * 3]
    assert table[1][2:] == [
        "transform, step x1", "1.57 kB", "0.9875", "0.9775 to 1.0000", "1 ms", "2 ms", "13 kB",
    ]  # fmt: skip
    assert "cut 2, transform, step x1: 0.9875 at 1.57 kB" in _said(page)
    answers = _table(page, "What becomes of the answers")[1:]
    assert answers[1] == [
        "cut 2", "transform, step x1", "0.9875 (0.9775 to 1.0000)", "–", "0.7500 (0.7000 to 0.8000)",
        "0.8125 (0.7500 to 0.8750)", "0.1250 (0.1000 to 0.1500)", "0.5000 (0.4000 to 0.6000)", "–", "0.25",
    ]  # fmt: skip
    bold = [strong.text for strong in _tree(page).iter("strong") if strong.text in ("int8", "transform, step x1")]
    assert bold == ["int8", "transform, step x1"]


def test_what_else_the_plan_knows_of_its_making_is_listed(report: Report) -> None:
    chapter = report.chapters[0]
    plan = replace(chapter.plan, provenance={**chapter.plan.provenance, "objective": "least energy"})
    assert "objectiveleast energy" in _said(report_page(Report(report.model, (replace(chapter, plan=plan),))))


def test_without_a_frontier_the_page_says_why(report: Report) -> None:
    bare = replace(report.chapters[0], frontier=None, menu=None, why_none="limits that it cannot keep")
    said = _said(report_page(Report(report.model, (bare,))))
    assert "Not on this page: limits that it cannot keep." in said
    assert "The frontier" not in said


def test_a_plan_of_another_model_is_refused(report: Report) -> None:
    stranger = replace(report.chapters[0].plan, model_digest="0" * 64)
    with pytest.raises(InvalidPlan, match="another model"):
        Report(report.model, (replace(report.chapters[0], plan=stranger),))


def test_a_report_about_nothing_is_refused(report: Report) -> None:
    with pytest.raises(InvalidInput, match="chapter"):
        Report(report.model, ())

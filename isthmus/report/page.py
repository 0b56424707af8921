"""The page: a self-contained HTML file that needs no script and nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from isthmus.page.html import bullets, figure, paragraph, section, table
from isthmus.page.style import STYLE_SHEET
from isthmus.report.accuracy import accuracy_section
from isthmus.report.bandwidth_curve import bandwidth_section
from isthmus.report.breakdown import breakdown_section
from isthmus.report.facts import Chapter, Report
from isthmus.report.frontier_tables import frontier_section, menu_section
from isthmus.report.plan_names import PlanName, codecs_of, plan_names, plan_title
from isthmus.report.question import assumed_section, question_section, warnings_of
from isthmus.report.winner_map import map_section
from isthmus.units import format_duration
from partitioner.graph import ModelGraph
from partitioner.picture import cut_picture
from partitioner.plan import Plan
from partitioner.plan_op_times import plan_op_seconds
from partitioner.svg import escaped

__all__ = ["report_page"]

_FORMS = {"tensor": "Requests that bring the tensor", "bytes": "Requests that bring an image file"}


def report_page(report: Report) -> str:
    """The page as HTML that is well-formed XML too."""
    title = f"Where to cut {report.model.name}"
    body = [f"<h1>{escaped(title)}</h1>\n"]
    body.append(bullets("warn", warnings_of(report)))
    body += [paragraph(_answer(chapter, len(report.model.graph.ops)), "answer") for chapter in report.chapters]
    body.append(question_section(report))
    body += [_chapter(report, chapter) for chapter in report.chapters]
    body.append(assumed_section(report.chapters))
    head = (
        f'<meta charset="utf-8"/><meta name="viewport" content="width=device-width,initial-scale=1"/>'
        f"<title>{escaped(title)}</title><style>{STYLE_SHEET}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{"".join(body)}</body></html>\n'


def _answer(chapter: Chapter, op_count: int) -> str:
    """The choice in a sentence."""
    plan = chapter.plan
    said = f"{_requests(chapter)}, over {chapter.setting.link}: {plan_title(plan, op_count)}"
    if plan.kind == "split":  # of cloud-only the title says it
        said += f", sending {codecs_of(plan.boundary)}"
    if plan.predicted is None:
        return said + "."
    return f"{said}; {format_duration(plan.predicted.total_s)} predicted{_gains(plan, chapter)}."


def _requests(chapter: Chapter) -> str:
    """Which requests the chapter's times and bytes are of, but where it says otherwise."""
    batch = chapter.setting.costing.batch
    return _FORMS[chapter.plan.form] + (f", {batch} items each" if batch > 1 else "")


def _gains(plan: Plan, chapter: Chapter) -> str:
    total_s = plan.predicted.total_s if plan.predicted is not None else 0.0
    others = [
        (other.kind, other.predicted.total_s)
        for other in chapter.others
        if other.predicted is not None and other.plan_id != plan.plan_id
    ]
    best = {kind: min(s for k, s in others if k == kind) for kind in dict.fromkeys(kind for kind, _ in others)}
    said = " and ".join(f"{kind} {format_duration(seconds)}" for kind, seconds in best.items())
    return f" ({said})" if said and total_s > 0 else ""


def _chapter(report: Report, chapter: Chapter) -> str:
    graph = report.model.graph
    names = plan_names(_plans(chapter), len(graph.ops))
    parts = [
        breakdown_section(chapter, names, graph),
        _picture(report, chapter),
        *_conditions(chapter, names, graph),
        accuracy_section(chapter, len(graph.ops)),
    ]
    return section(_requests(chapter), *parts, level=2)


def _plans(chapter: Chapter) -> Iterator[Plan]:
    """All plans that the chapter speaks of; the frontier first, whose order gives the codes."""
    if chapter.frontier is not None:
        yield from (entry.plan for entry in chapter.frontier.plans)
    yield from (chapter.plan, *chapter.others)


def _conditions(chapter: Chapter, names: Mapping[str, PlanName], graph: ModelGraph) -> Iterator[str]:
    """What the frontier says, or why there is none."""
    if chapter.frontier is None:
        yield section("Other conditions", paragraph(f"Not on this page: {chapter.why_none}."))
        return
    yield bandwidth_section(chapter, chapter.frontier, names, graph)
    yield map_section(chapter, chapter.frontier, names)
    yield frontier_section(chapter, chapter.frontier, names)
    if chapter.menu is not None:
        yield menu_section(chapter.menu, names)


def _picture(report: Report, chapter: Chapter) -> str:
    seconds = plan_op_seconds(report.model, chapter.setting, chapter.plan.edge_ops)
    batch = chapter.setting.costing.batch
    drawing = cut_picture(report.model.graph, chapter.plan, op_seconds=seconds, batch=batch)
    drawn = figure(drawing, "Time runs downwards; repeated blocks are drawn once, with their number.")
    return section("The cut", drawn, _crossing(report, chapter.plan))


def _crossing(report: Report, plan: Plan) -> str:
    """The tensors that cross, with their full names."""
    tensors = report.model.graph.tensors
    ways = [("up", tensor) for tensor in plan.boundary] + [("down", tensor) for tensor in plan.downlink]
    if not ways:
        return paragraph("Nothing crosses.")
    return table(
        "What crosses, for one item",
        ("tensor", "way", "codec", "bytes of the tensor", "bytes on the wire"),
        [(t.tensor, way, t.codec, f"{tensors[t.tensor].bytes:,}", f"{t.bytes:,}") for way, t in ways],
        numbers_from=3,
    )

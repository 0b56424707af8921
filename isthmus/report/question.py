"""What was asked, of what, on what: the provenance of every number on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from isthmus.page.html import listing, paragraph, section, table
from isthmus.report.facts import Chapter, Report
from isthmus.units import format_bandwidth, format_duration, format_flops, format_size
from partitioner.codec_choice import sizes_allowed
from partitioner.cost_model import Costing, ModelFacts
from partitioner.memory import MemoryModel
from partitioner.profiles import DeviceProfile
from partitioner.setting import Setting

__all__ = ["assumed_section", "question_section", "warnings_of"]

_FORMS = {"tensor": "tensors", "bytes": "files"}


def question_section(report: Report) -> str:
    """The model and the two devices."""
    setting = report.chapters[0].setting
    devices = (("edge", setting.edge), ("cloud", setting.cloud))
    columns = [_device(device, report.model) for _, device in devices]
    facts = [(term, *(dict(column)[term] for column in columns)) for term, _ in columns[0]]
    return section(
        "The question",
        listing(_model(report.model)),
        table("The devices, as their profiles say", ("", *(side for side, _ in devices)), facts, numbers_from=3),
    )


def _model(model: ModelFacts) -> Iterator[tuple[str, str]]:
    graph = model.graph
    yield "model", model.name
    yield "digest", model.digest
    flops = format_flops(sum(op.flops for op in graph.ops))
    work = f"{'at least ' if graph.least_counted else ''}{flops} for one item"
    yield "size", f"{len(graph.ops)} ops, {work}, {format_size(_parameter_bytes(model))} of parameters"
    for word, names in (("input", graph.inputs), ("output", dict.fromkeys(graph.outputs))):
        for name in names:
            tensor = graph.tensors[name]
            yield word, f"{name}, {tensor.dtype} {list(tensor.shape_at(1))}, {format_size(tensor.bytes)}"


def _parameter_bytes(model: ModelFacts) -> int:
    return MemoryModel(model.graph).parameters(op.name for op in model.graph.ops)


def _device(device: DeviceProfile, model: ModelFacts) -> list[tuple[str, str]]:
    taken, apart = device.provenance, device.taken_apart(model.digest)
    noisy = "noisy: repeats disagreed or the machine was busy" if device.is_noisy(model.digest) else "quiet"
    slowed = f"× {device.slowdown:g}, inside all its times" if device.slowdown != 1.0 else "none"
    return [
        ("device", f"{device.name} ({device.device})"),
        ("engine", device.ran_on),
        ("times of the ops", device.op_times_are(model.digest)),
        ("emulated slowdown", slowed),
        ("peak", ", ".join(f"{format_flops(rate)}/s {dtype}" for dtype, rate in device.flops_per_s.items())),
        ("memory", f"{format_size(device.memory_bytes_per_s)}/s"),
        ("measured", f"{taken.measured_at} on {taken.host}"),
        *([] if apart is None else [("the model measured", f"{apart.measured_at} on {apart.host}")]),
        ("load then", f"{taken.load:.2f}; {noisy}"),
        ("software", f"torch {taken.torch_version}, allocator {taken.allocator}"),
    ]


def warnings_of(report: Report) -> Iterator[str]:
    """What a reader must know before any number: emulation, noise, guesses."""
    setting = report.chapters[0].setting
    for side, device in (("edge", setting.edge), ("cloud", setting.cloud)):
        if device.slowdown != 1.0:
            yield f"The {side} is emulated: this machine, slowed down {device.slowdown:g} times."
        if not device.has_op_times(report.model.digest):
            yield f"The {side}'s op times are guesses from its peak rates: run `isthmus profile`."
        if device.provenance.scaled_from:
            yield f"The {side} was never measured: its profile is scaled from {device.provenance.scaled_from}."
        if device.is_noisy(report.model.digest):
            yield f"The {side}'s profile was taken on a busy machine and is flagged noisy."


def assumed_section(chapters: Iterable[Chapter]) -> str:
    """What no measurement says."""
    lines: dict[str, str] = {}
    for chapter in chapters:
        facts = dict(_assumed(chapter.setting))
        facts |= {key: said for key, said in chapter.plan.provenance.items() if _is_more(key)}
        for key, said in facts.items():
            differs = lines.get(key, said) != said
            lines[f"{key} ({_FORMS[chapter.plan.form]})" if differs else key] = said
    return section(
        "What is assumed",
        paragraph("Predictions are sums of these and the measured times; a live system corrects them as it serves."),
        listing(lines.items()),
    )


def _is_more(key: str) -> bool:
    """Whether a line of a plan's provenance says what the page does not say elsewhere, as its objective."""
    return key not in ("edge", "cloud", "link", "loads", "batch", "file") and not key.startswith("codec ")


def _assumed(setting: Setting) -> Iterator[tuple[str, str]]:
    costing, link = setting.costing, setting.link
    up, down = format_bandwidth(link.uplink_bps), format_bandwidth(link.downlink_bps)
    yield (
        "link",
        f"{up} up, {down} down, round trip {format_duration(link.rtt_s)}, half of it each way; as asked, not measured",
    )
    yield "loads", f"edge × {costing.edge_load:g}, cloud × {costing.cloud_load:g} (1: idle); no queue on either side"
    yield "batch", f"{costing.batch} a request"
    rules = list(_rules(costing))
    if rules:
        yield "kept to", "; ".join(rules)
    for size in sizes_allowed(costing.codecs, lossless=costing.lossless):
        # What was measured of one tensor stands in the accuracy section.
        if size.tensor or (size.applies_to == "picture" and costing.form != "bytes"):
            continue
        fixed = f" + {format_size(size.fixed_bytes)}" if size.fixed_bytes else ""
        yield f"codec {size.codec}", f"{size.ratio:g} of the tensor's bytes{fixed}; {size.provenance}"
    if costing.form == "bytes":
        file = costing.file
        side = math.sqrt(file.pixels)
        yield "file", f"{format_size(file.size_bytes)} and {file.pixels} pixels (as {side:.0f} × {side:.0f}) an item"


def _rules(costing: Costing) -> Iterator[str]:
    """What every plan on the page had to keep to, besides its codecs."""
    if costing.private_input:
        yield "inputs never leave the edge"
    for name, part in costing.constraints.parts().items():
        ops = sorted(part.edge_ops | part.cloud_ops)
        yield f"{name} ({', '.join(ops)})" if ops else name

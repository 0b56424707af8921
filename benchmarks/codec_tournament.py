"""How many times fewer bytes than the smallest picture of the input does a cut need, at the same answers?

efficientnet-lite0, cut where at most half of its compute is on the edge. Every photo in the installed wheels
(`benchmarks.photos`), framed several times; the photos are dealt into folds, and each is judged by codecs that were
calibrated on the other photos only: rotation, steps, probabilities, ranges, and which cut. A codec counts where its
answers agree with the unsplit model's on uncompressed pixels on 98 % or more. The baseline is the smallest picture
codec that reaches the same, lossless WebP at its slowest setting included (in --quick at a setting 20 times quicker
and 0.4 % larger). Bytes are whole messages; tables are part of the plan, sent once, and listed. Intervals resample
photos. The second model is MiniLM: its hidden states at cosine 0.999.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.figure import Figure, Interval, Options, machine, parse_options, report
from benchmarks.photos import PhotoSet, framings
from benchmarks.sentences import pieces
from benchmarks.tournament_items import Contestant, CutItems, Items, Row
from benchmarks.tournament_pictures import jpeg_files, lossless_rows, lossy_row
from benchmarks.tournament_plot import draw
from isthmus.zoo import efficientnet_lite0, minilm
from nodes.codecs.base import Codec
from nodes.codecs.factory import codec
from nodes.codecs.linear import ranges_parameter
from nodes.measure.answer_quality import Share
from nodes.preprocessing import normalise
from partitioner.front_end import model_from_module
from partitioner.model import Model

HOLD, GOAL, FEATURES_HOLD, FEATURES_GOAL, MOST_MS = 7.0, 9.0, 7.5, 10.0, 3.0
BUDGET, COSINE_BUDGET, MOST_COMPUTE = 0.02, 0.001, 0.501  # MiniLM's middle is half but for rounding
NAME = "codec_tournament"
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
JPEG_QUALITIES, RESAMPLES = (75, 90), 2000


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: framings a photo, folds, cuts, factors on the calibrated step, bits, picture qualities."""

    framings: int
    folds: int
    cuts: int
    factors: tuple[float, ...]
    bits: tuple[int, ...]
    lossy: Mapping[str, tuple[int, ...]]
    tiled: tuple[tuple[str, int], ...]
    sentences: int
    webp_effort: int


FULL = Size(
    16, 5, 2, (0.5, 1.0, 2.0, 4.0), (8, 6, 5, 4, 3),
    {"jpeg": (80, 90, 95, 100), "webp-lossy": (90, 100), "avif": (80, 90, 100)},
    (("webp-lossy", 90), ("avif", 90), ("jpeg", 95)), 20, 100,
)  # fmt: skip
QUICK = Size(6, 3, 1, (1.0, 2.0), (8, 6), {"jpeg": (100,), "avif": (100,)}, (("avif", 90),), 6, 90)


def cuts_within(model: Model, share: float, count: int) -> list[tuple[tuple[str, ...], str]]:
    """The last cuts after a residual sum or a layer norm with at most `share` of the compute on the edge, where one
    float tensor crosses and none is smaller: edge ops and that tensor.
    """
    graph, found = model.graph, []
    shares = np.cumsum([op.flops for op in graph.ops]) / sum(op.flops for op in graph.ops)
    names = tuple(op.name for op in graph.ops)
    for number in range(1, int((shares <= share).sum()) + 1):
        crossing = [graph.tensors[name] for name in graph.boundary(names[:number])]
        floats = [tensor for tensor in crossing if tensor.dtype == "float32"]
        if len(floats) == 1 and graph.ops[number - 1].kind in ("add", "layer_norm"):
            found.append((floats[0].bytes_at(1), names[:number], floats[0].name))
    smallest = min(size for size, _, _ in found)
    return [(ops, name) for size, ops, name in found if size == smallest][-count:]


def contestants(cut: CutItems, budget: float, size: Size) -> Iterator[Contestant]:
    """The tensor codecs at a cut, each made from what a fold may calibrate on."""

    def transform(factor: float, fold: int) -> Codec:
        return codec("transform", {"table": cut.fits[fold].table(factor * cut.step(fold, budget)).to_text()})

    def linear(bits: int, fold: int) -> Codec:
        return codec(f"int{bits}", {"ranges": ranges_parameter(cut.calibration(fold)), "coder": "range"})

    def tiled(form: str, quality: int, fold: int) -> Codec:
        ranges = ranges_parameter(cut.calibration(fold))
        return codec("tiled", {"format": form, "quality": str(quality), "ranges": ranges})

    for factor in size.factors:
        yield Contestant(f"transform, step x{factor:g}", "transform", partial(transform, factor))
    for bits in size.bits:
        yield Contestant(f"int{bits}", "linear", partial(linear, bits))
    for form, quality in size.tiled if cut.values.dim() == 4 else ():
        yield Contestant(f"tiled {form} q{quality}", "tiled", partial(tiled, form, quality))


def picture_rows(items: Items, photos: PhotoSet, size: Size) -> list[Row]:
    """The input as pictures."""
    how = items.model.interface.inputs[0].preprocessing
    assert how is not None
    lossy = [
        lossy_row(items, photos.pictures, how, name, quality)
        for name, qualities in size.lossy.items()
        for quality in qualities
    ]
    return [*lossless_rows(items, photos.pictures, how, size.webp_effort), *lossy]


def cut_rows(items: Items, budget: float, size: Size) -> tuple[list[Row], list[CutItems]]:
    """Every contestant at every cut."""
    rows, cuts = [], []
    for edge_ops, tensor in cuts_within(items.model, MOST_COMPUTE, size.cuts):
        cut = CutItems(items, edge_ops, tensor)
        rows += [cut.judge(one, f"after {tensor}") for one in contestants(cut, budget, size)]
        cuts.append(cut)
    return rows, cuts


def best_by_calibration(items: Items, cuts: Sequence[CutItems], rows: Sequence[Row], budget: float) -> Row:
    """The calibrated transform at the cut that each fold finds smallest on its own calibration items."""
    own = [row for row in rows if row.name == "transform, step x1"]
    size, outputs = own[0].size.copy(), own[0].outputs.clone()
    for fold, mask in enumerate(items.folds):
        costs = [cut.calibration_bytes(fold, budget) for cut in cuts]
        chosen = own[int(np.argmin(costs))]
        size[mask], outputs[torch.from_numpy(mask)] = chosen.size[mask], chosen.outputs[torch.from_numpy(mask)]
    quality = items.quality(outputs)
    return replace(
        own[-1], name="transform", place="cut by fold", size=size, outputs=outputs, quality=quality,
        bytes=items.mean_bytes(size),
    )  # fmt: skip


def smallest_picture(rows: Sequence[Row], agreement: float) -> Row:
    """The baseline: the smallest picture codec that reaches the agreement."""
    able = [row for row in rows if row.family == "picture" and row.quality.agreement.value >= agreement]
    return min(able, key=lambda row: row.bytes.value)


def times_fewer(items: Items, ours: Row, other: Row, seed: int, chosen: npt.NDArray[np.bool_]) -> Interval:
    """Mean bytes of `other` over ours, photos resampled."""
    pairs = [
        (float(other.size[own].mean()), float(ours.size[own].mean()))
        for group in np.unique(items.groups[chosen])
        for own in [(items.groups == group) & chosen]
    ]
    source = np.random.default_rng(seed)
    sums = np.array(pairs)[source.integers(0, len(pairs), (RESAMPLES, len(pairs)))].sum(1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975))
    theirs, own = np.sum(pairs, axis=0)
    return Interval(float(theirs / own), float(low), float(high))


def table(rows: Sequence[Row]) -> list[str]:
    """The tournament in words: a line a row."""
    head = f"{'codec':24s} {'place':16s} {'bytes':>7s} {'agreement [95 %]':>26s}"
    lines = [f"{head} {'enc ms':>7s} {'dec ms':>7s} {'table':>7s}"]
    for row in rows:
        found = row.quality.agreement
        agreement = f"{found.value:.5f} [{found.low:.4f}, {found.high:.4f}]"
        lines.append(
            f"{row.name:24s} {row.place:16s} {row.bytes.value:7.0f} {agreement:>26s} "
            f"{row.encode_ms:7.2f} {row.decode_ms:7.2f} {row.table_bytes:7d}"
        )
    return lines


def sentence_rows(size: Size, options: Options) -> tuple[list[Row], int]:
    """MiniLM's hidden states in the middle; and their bytes as float32."""
    inputs, groups = pieces(size.sentences)
    items = Items.of(model_from_module(minilm()), inputs, groups, size.folds, options.seed)
    rows, cuts = cut_rows(items, COSINE_BUDGET, replace(size, cuts=1))
    return rows, cuts[0].values[0].nbytes


def measure_tournament(options: Options) -> Figure:
    """Run it all; the figure is about the calibrated transform at the cut that the calibration finds best."""
    size = QUICK if options.quick else FULL
    photos = framings(size.framings, options.seed)
    model = model_from_module(efficientnet_lite0())
    how = model.interface.inputs[0].preprocessing
    assert how is not None
    items = Items.of(model, (normalise(photos.pictures, how),), photos.groups, size.folds, options.seed)
    pictures = picture_rows(items, photos, size)
    rows, cuts = cut_rows(items, BUDGET, size)
    ours, base = best_by_calibration(items, cuts, rows, BUDGET), smallest_picture(pictures, 1 - BUDGET)
    sentences, hidden_bytes = sentence_rows(size, options)
    everything = [*pictures, *rows, ours]
    if options.record:
        shown = [*pictures, *(row for row in rows if row.place == rows[-1].place)]
        title = f"efficientnet-lite0, {len(photos.names)} photos, features {rows[-1].place}"
        draw(shown, 1 - BUDGET, title, RESULTS / f"{NAME}.svg")
    every = np.ones(len(photos.groups), bool)
    ratio = times_fewer(items, ours, base, options.seed, every)
    hidden, over_fp32 = _calibrated(sentences), cuts[0].values[0].nbytes / ours.bytes.value
    details = _details(items, photos, ours, base, options.seed) | {
        "tournament": table(everything),
        "minilm": table(sentences),
        "minilm_float32_bytes": hidden_bytes,
        "fp32_bytes_at_the_cut": cuts[0].values[0].nbytes,
        "fp32_over_ours": round(over_fp32, 2),
        "jpeg_files": {f"q{q}": round(jpeg_files(photos.pictures, q)) for q in JPEG_QUALITIES}
        | {"note": "a file that arrives so small is its own truth: where it is below ours, the file is what to send"},
    }
    parts = (
        _part("over the smallest picture", ratio.value, HOLD, GOAL),
        _part("over float32 at the cut", over_fp32, FEATURES_HOLD, FEATURES_GOAL),
        _part("MiniLM over float32", hidden_bytes / hidden.bytes.value, FEATURES_HOLD, FEATURES_GOAL),
    )
    kept = ours.quality.agreement.value >= 1 - BUDGET and hidden.quality.agreement.value >= 1 - COSINE_BUDGET
    quick = ours.encode_ms + ours.decode_ms <= MOST_MS
    holds = kept and quick and all(held for held, _ in parts)
    words = "; ".join([*(told for _, told in parts), f"agreement {_words(kept)}", f"time {_words(quick)}"])
    return Figure(
        NAME, ratio.value, ratio.low, ratio.high, 1.0, len(every), HOLD, holds, machine(), options.seed, words, details,
    )  # fmt: skip


def _part(name: str, value: float, hold: float, goal: float) -> tuple[bool, str]:
    """Whether a part of the figure holds, and its words."""
    held, reached = value >= hold, "reached" if value >= goal else "not reached"
    return held, f"{name} {value:.2f} of {hold:g}: {_words(held)}, {goal:g} {reached}"


def _words(held: bool) -> str:
    return "holds" if held else "missed"


def _calibrated(rows: Sequence[Row]) -> Row:
    """The transform calibrated to the budget."""
    return next(row for row in rows if row.name == "transform, step x1")


def _details(items: Items, photos: PhotoSet, ours: Row, base: Row, seed: int) -> dict[str, object]:
    colour = np.array(photos.colour)
    quality, on_colour = ours.quality, items.quality(ours.outputs, colour)
    coloured = times_fewer(items, ours, base, seed, colour)
    return {
        "ours": f"{ours.bytes.value:.0f} B [{ours.bytes.low:.0f}, {ours.bytes.high:.0f}], agreement "
        f"{_share(quality.agreement)}, of confident answers {_share(quality.confident_agreement)}, "
        f"encode + decode {ours.encode_ms + ours.decode_ms:.2f} ms (at most {MOST_MS:g})",
        "baseline": f"{base.name}: {base.bytes.value:.0f} B, agreement {_share(base.quality.agreement)}",
        "colour_photos_only": f"{coloured.value:.2f} [{coloured.low:.2f}, {coloured.high:.2f}] times fewer: "
        f"{items.mean_bytes(ours.size, colour).value:.0f} B against {items.mean_bytes(base.size, colour).value:.0f} B, "
        f"agreement {_share(on_colour.agreement)}",
        "photos": ", ".join(photos.names),
    }


def _share(share: Share | None) -> str:
    return "none" if share is None else f"{share.value:.4f} [{share.low:.4f}, {share.high:.4f}], n {share.n}"


def main() -> None:
    torch.set_num_threads(1)
    options = parse_options(__doc__)
    report(measure_tournament(options), options)


if __name__ == "__main__":
    main()

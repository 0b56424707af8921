"""The options of `isthmus partition`, and the constraints that some of them make."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.errors import InvalidInput
from isthmus.units import parse_size_bytes

if TYPE_CHECKING:
    from partitioner.constraints import Constraints
    from partitioner.cost_model import FileFacts
    from partitioner.graph import ModelGraph
    from partitioner.model import Model

__all__ = [
    "RAW_INPUT",
    "AccuracyBudget",
    "AsJson",
    "Bandwidth",
    "Batch",
    "CloudLoad",
    "CloudMemory",
    "CloudProfile",
    "Downlink",
    "EdgeLoad",
    "EdgeMemory",
    "EdgeProfile",
    "File",
    "FrontierTable",
    "Lossy",
    "Objective",
    "Output",
    "Picture",
    "PinCloud",
    "PinEdge",
    "Plans",
    "Privacy",
    "Report",
    "RoundTrip",
    "TimeLimit",
    "WireLimit",
    "check_batch",
    "check_ops",
    "check_shown",
    "constraints_of",
    "file_facts",
]

RAW_INPUT = "raw-input"
_RULES, _SHOWN = "What the plan must keep to", "What to show and write"

EdgeProfile = Annotated[
    list[Path],
    typer.Option(
        help="The edge's profile, from `isthmus profile`; of several, on other engines say, the best pair with a cloud "
        "wins: repeatable."
    ),
]
CloudProfile = Annotated[list[Path], typer.Option(help="The cloud's profile; repeatable.")]
Bandwidth = Annotated[str, typer.Option(help="Both ways, like 20mbps; with --downlink of the way up alone.")]
Downlink = Annotated[str, typer.Option(help="Bandwidth of the way down, where it is another.")]
RoundTrip = Annotated[str, typer.Option(help="There and back, like 30ms.")]
Batch = Annotated[
    int,
    typer.Option(
        min=1, help="Items a request: what is printed and drawn is of them all; a plan file holds one's bytes."
    ),
]
TimeLimit = Annotated[
    str, typer.Option(help="Most for each search that throughput, memory or a wire limit need.", rich_help_panel=_RULES)
]
EdgeLoad = Annotated[float, typer.Option(help="How many times as long as when idle the edge takes.")]
CloudLoad = Annotated[float, typer.Option(help="The same of the cloud.")]
Objective = Annotated[
    str,
    typer.Option(
        help="latency, throughput, energy, cost, or a sum like latency+0.2*energy. "
        "Energy needs the edge's power, cost the cloud's price: see `isthmus declare`."
    ),
]
File = Annotated[Path | None, typer.Option(help="An image. Requests bring files of its length and size, not tensors.")]
Lossy = Annotated[
    bool,
    typer.Option(
        "--lossy",
        help="Allow codecs that lose accuracy, whatever they lose: without calibration inputs of raw, zstd "
        "and int8, for files of the file, PNG and lossless WebP, too.",
    ),
]
AccuracyBudget = Annotated[
    float | None, typer.Option(help="Allow lossy codecs whose measured loss is no larger, like 0.02.")
]
Privacy = Annotated[
    str,
    typer.Option(
        help="raw-input: inputs never leave the edge, padded, resized, scaled or grey ones neither; or an op: of it "
        "and all before it only what it makes crosses.",
        rich_help_panel=_RULES,
    ),
]
EdgeMemory = Annotated[
    str,
    typer.Option(
        help="Most that the parameters and activations of the edge's ops take, like 64MB; an edge that can also finish "
        "alone needs all parameters, which is said where it is more.",
        rich_help_panel=_RULES,
    ),
]
CloudMemory = Annotated[
    str, typer.Option(help="The same in the cloud, for one request at a time.", rich_help_panel=_RULES)
]
WireLimit = Annotated[
    str,
    typer.Option(
        help="Most bytes of a request on the wire, both ways together, like 50kB; on average, where they hang on the "
        "input.",
        rich_help_panel=_RULES,
    ),
]
PinEdge = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OP", help="An op that runs on the edge, with all before it; repeatable.", rich_help_panel=_RULES
    ),
]
PinCloud = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OP", help="An op that runs in the cloud, with all after it; repeatable.", rich_help_panel=_RULES
    ),
]

FrontierTable = Annotated[
    bool,
    typer.Option(
        "--frontier",
        help="Print every plan that wins somewhere, as a table; where, by --objective.",
        rich_help_panel=_SHOWN,
    ),
]
Picture = Annotated[Path | None, typer.Option(help="Write an SVG of the graph with the cut.", rich_help_panel=_SHOWN)]
Report = Annotated[
    Path | None, typer.Option(help="Write a page (HTML): the plan, and where it changes.", rich_help_panel=_SHOWN)
]
Plans = Annotated[
    Path | None,
    typer.Option(
        help="Write the plans that a fleet would be offered, with their times, as JSON: what `isthmus simulate` reads.",
        rich_help_panel=_SHOWN,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Write the plan or frontier as JSON.", rich_help_panel=_SHOWN),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the plan or frontier as JSON.", rich_help_panel=_SHOWN)]


def constraints_of(
    privacy: str, limits: tuple[str, str, str], pinned: tuple[Iterable[str] | None, Iterable[str] | None]
) -> Constraints:
    """limits: edge memory, cloud memory, wire; "" for none. pinned: to the edge, to the cloud.

    Raises InvalidQuantity naming the option.
    """
    from partitioner.constraints import Constraints

    options = ("--edge-memory", "--cloud-memory", "--wire-limit")
    edge, cloud, wire = (
        parse_size_bytes(text, option) if text else math.inf for text, option in zip(limits, options, strict=True)
    )
    return Constraints(
        edge_ops=frozenset(pinned[0] or ()),
        cloud_ops=frozenset(pinned[1] or ()),
        private_up_to="" if privacy == RAW_INPUT else privacy,
        edge_memory_bytes=edge,
        cloud_memory_bytes=cloud,
        wire_bytes=wire,
    )


def file_facts(path: Path, model: Model) -> FileFacts:
    """Of the image that requests bring. Raises InvalidInput for one that is none, or that the model does not take."""
    from nodes.image_files import open_image
    from partitioner.cost_model import FileFacts

    if all(spec.preprocessing is None for spec in model.interface.inputs):
        raise InvalidInput("--file", f"{model.name} takes tensors only", remedy="leave it out")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput("--file", f"cannot be read: {error.strerror}", value=str(path)) from None
    picture = open_image(data, "--file")
    return FileFacts(len(data), picture.width * picture.height)


def check_shown(*, frontier: bool, plans: bool, drawn: bool, pairs: int) -> None:
    """Raise InvalidInput for what cannot be shown together. drawn: a picture or a report. pairs: of profiles."""
    if frontier and drawn:
        raise InvalidInput("--frontier", "is a table of many plans", remedy="leave out --picture and --report")
    if pairs > 1 and (frontier or plans):
        remedy = "give one --edge and one --cloud"
        raise InvalidInput("--frontier" if frontier else "--plans", "is about one profile of each side", remedy=remedy)


def check_batch(batch: int, model: Model) -> None:
    """Raise InvalidInput for more items than the model takes at once."""
    most = model.interface.max_batch
    if batch > most:
        raise InvalidInput("--batch", f"is more than {model.name} takes at once", value=batch, remedy=f"{most} at most")


def check_ops(graph: ModelGraph, named: Mapping[str, Iterable[str] | None]) -> None:
    """Raise InvalidInput naming the option whose value is no op of the model. named: by option."""
    from partitioner.constraints import names_like

    ops = {op.name for op in graph.ops}
    for option, names in named.items():
        for name in names or ():
            if name not in ops and (option, name) != ("--privacy", RAW_INPUT):
                what = (
                    "is neither raw-input nor an op of the model" if option == "--privacy" else "is no op of the model"
                )
                raise InvalidInput(
                    option, what, value=name, remedy=f"write it as the graph does, like {names_like(graph, name)}"
                )

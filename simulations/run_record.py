"""What a simulated run did, request by request, in columns: a million requests are about 150 MB.

A simulation gives every request that has ended to a `RunRecorder`, with samples over time and the busy seconds of
resources; `finish` makes the frozen `RunRecord`, in the order of arrival, that answers and reports are made of. Names
are kept once and stand in the columns as numbers. Equal runs make equal files (numpy's npz, no pickle in it).
"""

from __future__ import annotations

import zipfile
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import InvalidInput
from isthmus.whole_file import whole_file
from partitioner.plain_json import STRICT, read_json, write_json

__all__ = [
    "OUTCOMES",
    "STAGES",
    "WITHOUT_ANSWER",
    "EndedRequest",
    "Measure",
    "Outcome",
    "Requests",
    "Resource",
    "ResourceKind",
    "RunFacts",
    "RunRecord",
    "RunRecorder",
    "Samples",
    "Series",
]

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]

Outcome = Literal["answered", "resumed", "refused", "dropped", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("answered", "resumed", "refused", "dropped", "failed")
"""resumed: the edge finished what the cloud did not answer. refused: no plan was chosen for it. dropped: one was, and
its time passed before it was answered. failed: anything else that gave no answer."""
WITHOUT_ANSWER: tuple[Outcome, ...] = ("refused", "dropped", "failed")

STAGES = ("edge_queue_s", "edge_s", "uplink_s", "cloud_queue_s", "cloud_s", "downlink_s", "finish_s")
"""Disjoint, in their order; of an answered request they sum to what it took."""


class EndedRequest(NamedTuple):
    """One request, when it has ended.

    time_s: its arrival, since the start of the run. took_s: until its end; of a refused one usually 0. timeout_s:
    within how long it had to be answered, inf: whenever. edge_queue_s: all waits before the prefix, admission's too.
    edge_s: the prefix. uplink_s: the link's queue, the bytes, half a round trip. cloud_queue_s: with the wait for its
    batch, and its companions' part of that; what was waited at replicas in vain, too. cloud_s: the suffix, as if it had
    run alone. downlink_s: like uplink_s. finish_s: of a resumed one, from giving up on the cloud to its end. What one
    waited for the cloud in vain is uplink_s until its bytes had arrived at a replica, from then on cloud_queue_s, and
    downlink_s once its suffix had run: live, nobody can tell these apart.
    reason: of a refusal, drop or failure ("deadline", "shed", ...). group: the edge's. link, replica, plan: "" where it
    used none. kind: the plan's: "edge-only", "split", "cloud-only".
    """

    time_s: float
    took_s: float
    timeout_s: float = float("inf")
    edge_queue_s: float = 0.0
    edge_s: float = 0.0
    uplink_s: float = 0.0
    cloud_queue_s: float = 0.0
    cloud_s: float = 0.0
    downlink_s: float = 0.0
    finish_s: float = 0.0
    up_bytes: float = 0.0
    down_bytes: float = 0.0
    outcome: Outcome = "answered"
    reason: str = ""
    edge: str = ""
    group: str = ""
    link: str = ""
    replica: str = ""
    client: str = ""
    model: str = ""
    request_class: str = ""
    plan: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """The columns of an `EndedRequest`, in the order of arrival. Those of words hold their numbers in `words` of the
    record."""

    time_s: Floats
    took_s: Floats
    timeout_s: Floats
    edge_queue_s: Floats
    edge_s: Floats
    uplink_s: Floats
    cloud_queue_s: Floats
    cloud_s: Floats
    downlink_s: Floats
    finish_s: Floats
    up_bytes: Floats
    down_bytes: Floats
    outcome: Ids
    reason: Ids
    edge: Ids
    group: Ids
    link: Ids
    replica: Ids
    client: Ids
    model: Ids
    request_class: Ids
    plan: Ids
    kind: Ids

    def __len__(self) -> int:
        return len(self.time_s)

    def where(self, chosen: NDArray[np.bool_] | slice) -> Requests:
        """Some of them."""
        return Requests(*(getattr(self, name)[chosen] for name in EndedRequest._fields))


_FLOAT_COLUMNS = EndedRequest._fields.index("outcome")
_ID_COLUMNS = len(EndedRequest._fields) - _FLOAT_COLUMNS

Measure = Literal["edge_queue_s", "uplink_queue_s", "cloud_queue_s", "replicas", "uplink_bps", "uplink_estimate_bps"]
"""Queues in seconds of work. replicas: how many run. uplink_bps: what the link does; its estimate: what is believed."""


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity over time. of: whose, by name: an edge, a group of edges, a link, a replica."""

    __pydantic_config__ = STRICT
    measure: Measure
    of: str


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Values over time. series: each one's place in the record's `series`."""

    time_s: Floats
    value: Floats
    series: Ids


ResourceKind = Literal["edge", "uplink", "downlink", "replica"]


@dataclass(frozen=True, slots=True)
class Resource:
    """What works: busy_s of the present_s that it was there, both between the end of the warm-up and the end of the
    run. group: what it is told with ("shop" of the edges of that name). One may stand for many that are alike, with the
    sums of their seconds and joules. busiest: the share of its time that it worked, of many the highest of any one.
    energy_j: of edges and replicas, in that time; None where nobody knows it, and of links."""

    __pydantic_config__ = STRICT
    kind: ResourceKind
    name: str
    group: str
    busy_s: float
    present_s: float
    busiest: float
    energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was run. Requests that arrive from warm_up_s until duration_s count. plan_titles: words for plan ids. notes:
    what a reader must know before any number: what is assumed, emulated or scaled."""

    __pydantic_config__ = STRICT
    scenario: str
    seed: int
    duration_s: float
    warm_up_s: float = 0.0
    replication: int = 0
    plan_titles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """A finished run."""

    facts: RunFacts
    requests: Requests
    words: tuple[str, ...]
    samples: Samples
    series: tuple[Series, ...]
    resources: tuple[Resource, ...]

    def id_of(self, word: str) -> int:
        """Its number in the columns; -1, which none has, where no request has that word."""
        return self.words.index(word) if word in self.words else -1

    def counted(self) -> Requests:
        """Those that arrived after the warm-up."""
        first, last = np.searchsorted(self.requests.time_s, (self.facts.warm_up_s, self.facts.duration_s))
        return self.requests.where(slice(int(first), int(last)))

    def save(self, path: Path) -> None:
        """Whole or not at all: it gets its name when it is written. Raises OSError."""
        header = write_json(_Header(self.facts, self.words, self.series, self.resources)).encode()
        columns = {f"request.{name}": getattr(self.requests, name) for name in EndedRequest._fields}
        columns |= {f"sample.{one.name}": getattr(self.samples, one.name) for one in fields(Samples)}
        with whole_file(path, path.with_name(path.name + ".part")) as unfinished, unfinished.open("wb") as file:
            np.savez_compressed(file, header=np.frombuffer(header, np.uint8), **columns)

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """What `save` wrote. Raises InvalidInput naming the file."""
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                header = read_json(_Header, file["header"].tobytes(), InvalidInput, str(path))
                requests = Requests(*_columns(file, "request", EndedRequest._fields, len(header.words)))
                names = [one.name for one in fields(Samples)]
                samples = Samples(*_columns(file, "sample", names, len(header.series)))
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InvalidInput(
                str(path), f"is no record of a run: {error}", remedy="run the simulation again"
            ) from error
        return cls(header.facts, requests, header.words, samples, header.series, header.resources)


@dataclass(frozen=True, slots=True)
class _Header:
    __pydantic_config__ = STRICT
    facts: RunFacts
    words: tuple[str, ...]
    series: tuple[Series, ...]
    resources: tuple[Resource, ...]


def _columns(file: Mapping[str, NDArray[Any]], of: str, names: Iterable[str], numbered: int) -> list[NDArray[Any]]:
    """The columns of that table. Raises ValueError where they do not fit together. numbered: one above the highest
    number of a word or series that there is."""
    columns = [file[f"{of}.{name}"] for name in names]
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
        raise ValueError(f"{of} columns differ in length")
    for column in columns:
        known = column.dtype == np.float64 or (column.dtype == np.int32 and np.all((column >= 0) & (column < numbered)))
        if not known:
            raise ValueError(f"a {of} column holds no numbers of this record")
    return columns


class _Numbered(dict[str, int]):
    """A number for each word, given when it is first asked for."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


class RunRecorder:
    """Takes down a run while it goes; `finish` once."""

    def __init__(self) -> None:
        self._floats, self._ids = array("d"), array("i")
        self._words = _Numbered()
        self._words[""] = 0
        self._sample_times, self._sample_values, self._sample_series = array("d"), array("d"), array("i")
        self._series: dict[Series, int] = {}
        self._resources: list[Resource] = []

    def add(self, ended: EndedRequest) -> None:
        """A request, when it has ended."""
        row: tuple[Any, ...] = ended
        self._floats.extend(row[:_FLOAT_COLUMNS])
        words = self._words
        self._ids.extend([words[word] for word in row[_FLOAT_COLUMNS:]])

    def sample(self, series: Series, time_s: float, value: float) -> None:
        """A value at a moment. Of many edges sample their sum or the largest: each sample is kept."""
        self._sample_series.append(self._series.setdefault(series, len(self._series)))
        self._sample_times.append(time_s)
        self._sample_values.append(value)

    def resource(self, resource: Resource) -> None:
        """What a resource did, when the run is over."""
        self._resources.append(resource)

    def finish(self, facts: RunFacts) -> RunRecord:
        """The record: requests in the order of arrival, those that came at once in the order in which they ended."""
        floats = np.array(self._floats).reshape(-1, _FLOAT_COLUMNS)
        ids = np.array(self._ids, np.int32).reshape(-1, _ID_COLUMNS)
        order = np.argsort(floats[:, 0], kind="stable")
        columns = [np.ascontiguousarray(floats[order, place]) for place in range(_FLOAT_COLUMNS)]
        words = [np.ascontiguousarray(ids[order, place]) for place in range(_ID_COLUMNS)]
        samples = Samples(
            np.array(self._sample_times), np.array(self._sample_values), np.array(self._sample_series, np.int32)
        )
        requests = Requests(*columns, *words)
        return RunRecord(facts, requests, tuple(self._words), samples, tuple(self._series), tuple(self._resources))

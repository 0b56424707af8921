"""When a client's requests come and how large they are, as a scenario says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from isthmus.configuration_fields import Section
from isthmus.errors import InvalidConfiguration, InvalidInput, NotFound
from simulations.scenario.fields import Duration, File, Size, Start
from simulations.workload.arrival_process import ArrivalProcess
from simulations.workload.bursty import Bursty
from simulations.workload.closed_loop import ClosedLoop
from simulations.workload.diurnal import Diurnal
from simulations.workload.file_sizes import ConstantSize, FileSizes, LogNormalSize, SizeRange
from simulations.workload.logged import Logged, read_logged
from simulations.workload.mmpp import Mmpp
from simulations.workload.poisson import Poisson
from simulations.workload.recorded import read_arrivals
from simulations.workload.steady import Steady

__all__ = ["Arrivals", "FileSize", "LoggedArrivals", "file_sizes"]

_Rate = Annotated[float, Field(gt=0.0, le=1e9, allow_inf_nan=False)]


class _OpenLoop(Section):
    def process(self) -> ArrivalProcess:
        """As it comes. Raises InvalidInput where the fields do not go together, or a file is none."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        try:
            self.process()
        except InvalidInput as error:
            raise _fault(error) from None
        return self


class PoissonArrivals(_OpenLoop):
    """Independent requests, so many a second."""

    kind: Literal["poisson"] = "poisson"
    rate_per_s: _Rate

    def process(self) -> ArrivalProcess:
        """See _OpenLoop."""
        return Poisson(self.rate_per_s)


class SteadyArrivals(_OpenLoop):
    """One each period, late by up to jitter: frames of a camera. The first is anywhere in the first period."""

    kind: Literal["steady"]
    period: Duration = Field(gt=0.0)
    jitter: Duration = 0.0

    def process(self) -> ArrivalProcess:
        """See _OpenLoop."""
        return Steady(self.period, self.jitter)


class BurstyArrivals(_OpenLoop):
    """Bursts of so many requests in the mean, `spacing` apart."""

    kind: Literal["bursty"]
    rate_per_s: _Rate
    burst: float = Field(ge=1.0, le=1e6, allow_inf_nan=False)
    spacing: Duration = 0.0

    def process(self) -> ArrivalProcess:
        """See _OpenLoop."""
        return Bursty(self.rate_per_s, self.burst, self.spacing)


class DiurnalArrivals(_OpenLoop):
    """A rate that swings about its mean: by `swing` of it (0 to 1), first at its peak at `peak`."""

    kind: Literal["diurnal"]
    rate_per_s: _Rate
    swing: float = Field(default=0.8, ge=0.0, le=1.0, allow_inf_nan=False)
    period: Duration = Field(default=86_400.0, gt=0.0)
    peak: Duration = 0.0

    def process(self) -> ArrivalProcess:
        """See _OpenLoop."""
        return Diurnal(self.rate_per_s, self.swing, self.period, self.peak)


class MmppArrivals(_OpenLoop):
    """A rate that jumps between states (a Markov-modulated Poisson process): each one's rate and mean stay."""

    kind: Literal["mmpp"]
    rates_per_s: tuple[Annotated[float, Field(ge=0.0, le=1e9, allow_inf_nan=False)], ...]
    stays: tuple[Duration, ...]

    def process(self) -> ArrivalProcess:
        """See _OpenLoop."""
        return Mmpp(self.rates_per_s, self.stays)


class RecordedArrivals(_OpenLoop):
    """As they once came, played once. file: a second a line. start: where each client begins in it, "random" for apart
    from each other; what came before that comes after its end."""

    kind: Literal["recorded"]
    file: File
    start: Start = "random"

    def process(self) -> ArrivalProcess:
        """See _OpenLoop."""
        return replace(read_arrivals(Path(self.file)), start_s=None if self.start == "random" else self.start)


def _played(log: str) -> str:
    """A decision log. Read here, so that the field is named for what is wrong with it."""
    try:
        read_logged(Path(log))
    except InvalidInput as error:
        facts = {"problem": f"cannot be played: {error.field} {error.problem}", "remedy": error.remedy}
        raise PydanticCustomError("log", "{problem}", facts) from None
    except NotFound as error:
        raise PydanticCustomError("log", "{problem}", {"problem": f"cannot be played: {error}"}) from None
    return log


class LoggedArrivals(Section):
    """As a running edge logged them, played once: each request with its time, model, form, size, items, class,
    priority, client and deadline, and the policy or plan that it named. log: the folder of a decision log
    (edge.decision_log), or one file of it. start: as of recorded arrivals."""

    kind: Literal["logged"]
    log: Annotated[File, AfterValidator(_played)]
    start: Start = "random"

    def requests(self) -> Logged:
        """What is asked, and when."""
        return Logged.of(read_logged(Path(self.log)).requests, None if self.start == "random" else self.start)

    def process(self) -> ArrivalProcess:
        """Raises InvalidConfiguration: its requests differ in more than their times."""
        remedy = "simulate it, or write the times to a file and use {kind: recorded}"
        problem = "are a decision log's, each with what it asked for: only a simulation plays them"
        raise InvalidConfiguration("arrivals", problem, value=self.log, remedy=remedy)


class ClosedLoopArrivals(Section):
    """Users who ask again when the answer is there and they have thought: `think` in the mean, exponential."""

    kind: Literal["closed-loop"]
    users: int = Field(ge=1, le=1_000_000)
    think: Duration = 0.0

    def process(self) -> ClosedLoop:
        """As it comes."""
        return ClosedLoop(self.users, self.think)


Arrivals = Annotated[
    PoissonArrivals
    | SteadyArrivals
    | BurstyArrivals
    | DiurnalArrivals
    | MmppArrivals
    | RecordedArrivals
    | LoggedArrivals
    | ClosedLoopArrivals,
    Field(discriminator="kind"),
]


class SizeBetween(Section):
    """Any size from the least to the most, alike."""

    least: Size
    most: Size


class SizeAbout(Section):
    """Half below the median. spread: standard deviation of the logarithm."""

    median: Size
    spread: float = Field(default=0.5, ge=0.0, le=10.0, allow_inf_nan=False)


def _kind(value: Any) -> str:
    if isinstance(value, SizeBetween | SizeAbout):
        return "a range" if isinstance(value, SizeBetween) else "a distribution"
    if isinstance(value, dict):
        return "a range" if "least" in value or "most" in value else "a distribution"
    return "a size"


def _drawable(given: int | SizeBetween | SizeAbout) -> int | SizeBetween | SizeAbout:
    try:
        file_sizes(given)
    except InvalidInput as error:
        raise _fault(error) from None
    return given


def _fault(error: InvalidInput) -> PydanticCustomError:
    facts = {"problem": f"{error.field} {error.problem}", "remedy": error.remedy}
    return PydanticCustomError("workload", "{problem}", facts)


FileSize = Annotated[
    Annotated[Size, Tag("a size")]
    | Annotated[SizeBetween, Tag("a range")]
    | Annotated[SizeAbout, Tag("a distribution")],
    Discriminator(_kind),
    AfterValidator(_drawable),
]


def file_sizes(given: int | SizeBetween | SizeAbout) -> FileSizes:
    """As the workload draws them. Raises InvalidQuantity."""
    if isinstance(given, SizeBetween):
        return SizeRange(given.least, given.most)
    if isinstance(given, SizeAbout):
        return LogNormalSize(given.median, given.spread)
    return ConstantSize(given)

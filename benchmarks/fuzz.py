"""A million hostile inputs: stream frames, encoded tensors, requests, plan offers, documents, graphs, pictures and
model files, each sound data of the real writers with faults in its bytes, its fields or its order.

Nothing may come of one but an answer or a declared error; in 5 s of CPU; and what it makes the process hold on top must
stay under 512 MB (a picture may have 64 million pixels). The figure is the share of inputs with which that is
so. Case number N is the same on every machine: `--seed` and N make it.

It runs in pieces: for `--budget` seconds or until a million, and with --record from where the record of the same seed
ended, whose counts it goes on with and whose findings it tries again.
"""

from __future__ import annotations

import json
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from benchmarks.figure import Figure, machine, parse_options, report
from benchmarks.fuzz_files import all_targets
from benchmarks.fuzz_mutation import Mutator
from benchmarks.fuzz_targets import REFUSED, Target

__all__ = ["Finding", "Fuzzing", "fuzz"]

CASES, QUICK_CASES, BUDGET_S = 1_000_000, 60_000, 540.0
MOST_CPU_S, MOST_GROWTH_BYTES = 5.0, 512 << 20
RECORD = Path(__file__).resolve().parent.parent / "docs" / "results" / "fuzz.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that was neither answered nor refused as it should be."""

    target: str
    case: int
    what: str


@dataclass
class Fuzzing:
    """What became of the cases `first` to `after` - 1."""

    first: int
    after: int
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    took_s: float = 0.0
    most_growth_bytes: int = 0


class _TooLong(BaseException):
    """No handler of errors in between takes it for one."""


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise _TooLong


def fuzz(targets: Sequence[Target], seed: int, first: int, after: int, budget_s: float) -> Fuzzing:
    """Cases `first` to `after` - 1, as far as the budget goes; every target gets as many."""
    done, began_s = Fuzzing(first, first), time.monotonic()
    signal.signal(signal.SIGPROF, _too_long)
    for case in range(first, after):
        if time.monotonic() - began_s > budget_s:
            break
        _run(targets[case % len(targets)], seed, case, done)
        done.after = case + 1
    done.took_s = time.monotonic() - began_s
    return done


def _run(target: Target, seed: int, case: int, done: Fuzzing) -> None:
    before = _peak_bytes()
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        target.run(Mutator(f"{seed}/{case}"))
        outcome = "answered"
    except REFUSED:
        outcome = "refused"
    except _TooLong:
        outcome = "too long"
        done.findings.append(Finding(target.name, case, f"took more than {MOST_CPU_S:g} s"))
    except Exception as error:
        outcome = "raised"
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        done.findings.append(Finding(target.name, case, f"{type(error).__name__} at {place}: {str(error)[:120]}"))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    done.outcomes[f"{target.name}, {outcome}"] += 1
    growth = _peak_bytes() - before
    done.most_growth_bytes = max(done.most_growth_bytes, growth)
    if growth > MOST_GROWTH_BYTES:
        done.findings.append(Finding(target.name, case, f"made the process hold {growth >> 20} MB more"))


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _earlier(seed: int) -> Mapping[str, object]:
    """The details of the record, where it is of that seed."""
    if not RECORD.is_file():
        return {}
    told = json.loads(RECORD.read_text(encoding="utf-8"))
    details: Mapping[str, object] = told["details"] if told["seed"] == seed and told["n"] < CASES else {}
    return details


def main() -> None:
    options = parse_options(__doc__ or "", budget_s=BUDGET_S)
    earlier = _earlier(options.seed) if options.record else {}
    first = int(str(earlier.get("cases", 0)))
    cases = QUICK_CASES if options.quick else CASES
    budget_s = 100.0 if options.quick else options.budget_s
    targets = all_targets()
    before = [Finding(**told) for told in list(earlier.get("findings", []))]  # type: ignore[call-overload]
    again = [fuzz(targets, options.seed, one.case, one.case + 1, budget_s).findings for one in before]
    fixed = [one for one, still in zip(before, again, strict=True) if not still]
    done = fuzz(targets, options.seed, first, cases, budget_s)
    outcomes = Counter(dict(earlier.get("outcomes", {}))) + done.outcomes  # type: ignore[call-overload]
    found = [asdict(one) for one in (*(one for still in again for one in still), *done.findings)]
    piece = f"{first} to {done.after - 1} in {done.took_s:.0f} s, {(done.after - first) / done.took_s:.0f} a second"
    details = {
        "cases": done.after,
        "pieces": [*list(earlier.get("pieces", [])), piece],  # type: ignore[call-overload]
        "outcomes": dict(sorted(outcomes.items())),
        "findings": found,
        "found in earlier pieces, not found again": [
            *list(earlier.get("found in earlier pieces, not found again", [])),  # type: ignore[call-overload]
            *(f"{one.target}, case {one.case}: {one.what}" for one in fixed),
        ],
        "most that one input of this piece added to the peak of memory": f"{done.most_growth_bytes / 1e6:.0f} MB",
    }
    share = 1 - len(found) / max(1, done.after)
    whole = done.after >= cases
    words = "missed" if found else "holds" if whole else f"holds so far: {done.after} of {cases}"
    numbers = (share, share, share, 1.0, done.after, 1.0, not found and whole)
    report(Figure("fuzz", *numbers, machine(), options.seed, words, details), options)


if __name__ == "__main__":
    main()

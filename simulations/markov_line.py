"""How many bits a fitted link carries from one moment to another, drawn as far as a run asks and no farther.

Ten thousand edges' links drawn for a day beforehand are 28 GB. So steps are drawn in blocks, each by a generator of its
own: a block begins in the state in which the one before it ended, and can be drawn anew when it was let go. Of each
line the last two blocks that were asked of are kept, and of all others nothing but where they begin.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from random import Random

from simulations.bandwidth_trace import DEAD_BPS
from simulations.markov_link import MarkovLink

__all__ = ["BLOCK_STEPS", "MarkovLine"]

BLOCK_STEPS = 1024
_KEPT = 2


class _Block:
    """Steps from `first` on, drawn so far. states: of each; the one that the next block begins in is the last.
    carried: bits since the beginning of all when each of them begins, and at last when the last one ends."""

    def __init__(self, first: int, states: Iterator[int], carried: float) -> None:
        self.first, self._coming = first, states
        self.states, self.carried = array("H", [next(states)]), array("d", [carried])

    def draw(self, model: MarkovLink, steps: int) -> None:
        """So many of them at least."""
        for state in islice(self._coming, max(0, steps + 1 - len(self.states))):
            step = self.first + len(self.carried) - 1
            # The difference of the two, as of any recording's times: it is not step_s to the last digit.
            length_s = (step + 1) * model.step_s - step * model.step_s
            self.carried.append(self.carried[-1] + model.bandwidths_bps[self.states[-1]] * length_s)
            self.states.append(state)
        if len(self.states) > BLOCK_STEPS:
            self._coming = iter(())  # the generator is as large as a quarter of the block


class MarkovLine:
    """One direction of one link, without an end; like a LineCapacity. Equal seeds give equal ones, whatever is asked of
    them, and in which order."""

    def __init__(self, model: MarkovLink, seed: str) -> None:
        self._model, self._seed = model, seed
        self._begin_states, self._begins_carried = array("H"), array("d")  # of blocks that follow another one
        self._blocks: dict[int, _Block] = {}

    def bps(self, moment_s: float) -> float:
        """See LineCapacity, as of all of these."""
        return self._bps_of(self._step(moment_s))

    def passes_s(self, moment_s: float) -> float:
        """See LineCapacity. It looks no further ahead than the blocks that are kept: in a state that is never left
        what is small passes then, as what is large does some time."""
        first = self._step(moment_s)
        steps = range(first, first + BLOCK_STEPS)
        step = next((step for step in steps if self._bps_of(step) > DEAD_BPS), steps.stop)
        return moment_s if step == first else step * self._model.step_s

    def end_s(self, bits: float, start_s: float) -> float:
        """When so many bits that start to cross then have crossed. Not before, whatever the rounding."""
        left, step = self._carried(start_s) + bits, self._step(start_s)
        block = self._drawn(step)
        while True:
            step = block.first + bisect_right(block.carried, left) - 1
            if step < block.first + len(block.carried) - 1:
                break
            block = self._drawn(step)
        place = step - block.first
        bps = self._model.bandwidths_bps[block.states[place]]
        return max(start_s, step * self._model.step_s + (left - block.carried[place]) / bps)

    def bits(self, start_s: float, end_s: float) -> float:
        """How many cross between two moments."""
        return self._carried(end_s) - self._carried(start_s)

    def _bps_of(self, step: int) -> float:
        return self._model.bandwidths_bps[self._drawn(step).states[step % BLOCK_STEPS]]

    def _carried(self, moment_s: float) -> float:
        step = self._step(moment_s)
        block, place = self._drawn(step), step % BLOCK_STEPS
        bps = self._model.bandwidths_bps[block.states[place]]
        return block.carried[place] + (moment_s - step * self._model.step_s) * bps

    def _step(self, moment_s: float) -> int:
        """That holds then: the last one that begins no later."""
        step_s = self._model.step_s
        step = int(moment_s / step_s)
        if step * step_s > moment_s:
            return step - 1
        return step + 1 if (step + 1) * step_s <= moment_s else step

    def _drawn(self, step: int) -> _Block:
        """The block of that step, drawn beyond it."""
        number, place = divmod(step, BLOCK_STEPS)
        while len(self._begin_states) < number:
            whole = self._block(len(self._begin_states))
            whole.draw(self._model, BLOCK_STEPS)
            self._begin_states.append(whole.states[-1])
            self._begins_carried.append(whole.carried[-1])
        block = self._block(number)
        block.draw(self._model, place + 1)
        return block

    def _block(self, number: int) -> _Block:
        known = self._blocks.pop(number, None)
        if known is None:
            # The first block has the draws of a recording that is drawn as a whole.
            rng = Random(f"{self._seed}/{number}" if number else self._seed)
            state = self._begin_states[number - 1] if number else self._model.first_state(rng)
            carried = self._begins_carried[number - 1] if number else 0.0
            known = _Block(number * BLOCK_STEPS, self._model.states(rng, state), carried)
            while len(self._blocks) >= _KEPT:
                del self._blocks[next(iter(self._blocks))]
        self._blocks[number] = known  # the last one of them
        return known

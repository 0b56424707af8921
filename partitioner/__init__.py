"""Model -> graph -> cuts -> plans -> segments, given measured profiles as data. No clock, no sockets.

This page loads the solver alone (no torch); everything else is imported from its module.
"""

from isthmus.errors import InfeasibleCut
from partitioner.cut_problem import CutProblem, CutSolution, OpCost, TensorCost
from partitioner.min_cut import solve

__all__ = ["CutProblem", "CutSolution", "InfeasibleCut", "OpCost", "TensorCost", "solve"]

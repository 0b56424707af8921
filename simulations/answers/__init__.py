"""Answers: pure statistics over the records of replicated runs, with their confidence intervals."""

from simulations.answers.interval import CONFIDENCE, Estimate
from simulations.answers.prices import Prices, read_prices
from simulations.answers.ratio import Counted
from simulations.answers.slo import Slo
from simulations.answers.stopping import precise, side_of
from simulations.answers.summary import Summary, summary

__all__ = [
    "CONFIDENCE",
    "Counted",
    "Estimate",
    "Prices",
    "Slo",
    "Summary",
    "precise",
    "read_prices",
    "side_of",
    "summary",
]

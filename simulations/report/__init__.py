"""A simulation's answers as one page: pure functions from a summary to HTML and SVG text."""

from simulations.report.page import report_page

__all__ = ["report_page"]

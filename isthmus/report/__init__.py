"""The answer to "where to cut, and what if?" as one page: what was asked, what was chosen, and where it changes."""

from isthmus.report.facts import Chapter, Report, chapter_of, report_of
from isthmus.report.page import report_page

__all__ = ["Chapter", "Report", "chapter_of", "report_of", "report_page"]

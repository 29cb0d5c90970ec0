"""`report.html`: a day's evidence for a person, in one file that needs no network.

titles            what is shown for the names of kinds and age groups
tables            what its tables show, capped; all of it is in the package's CSV and JSON files
coverage_tables   those of what was covered and compared
charts            trend and ages, as SVG
rendering         the page: template, style and script in one
"""

from rolecall.evidence.report.rendering import REPORT, report_html
from rolecall.evidence.report.tables import ReportRows

__all__ = ["REPORT", "ReportRows", "report_html"]

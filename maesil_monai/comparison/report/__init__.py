"""The report of a comparison: Tables II and III as Markdown, and one page with charts, pictures and a viewer."""

from maesil_monai.comparison.report.write import write_report

__all__ = ["write_report"]

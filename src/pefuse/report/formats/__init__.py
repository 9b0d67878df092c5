"""The report as Markdown, LaTeX and PDF, made of the finished page."""

from pefuse.report.formats.writing import FORMATS, check_formats, parse_formats, write_formats

__all__ = ["FORMATS", "check_formats", "parse_formats", "write_formats"]

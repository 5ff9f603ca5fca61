"""The Compare page: choose approaches, watch them run, read the verdict and what it rests on."""

from app.pages.compare.evidence import next_links
from app.pages.compare.page import ComparePage

__all__ = ["ComparePage", "next_links"]

"""The Data page: bring a file, see what is wrong with it, look at the rows, work on them. One file a section."""

from app.pages.data.page import DataPage
from app.pages.data.reading import dataset_at

__all__ = ["DataPage", "dataset_at"]

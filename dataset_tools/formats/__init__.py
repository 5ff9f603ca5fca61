"""Rows <-> examples: one file a family of row shapes, and a JSON Schema for each."""

from dataset_tools.formats.base import Format, to_example
from dataset_tools.formats.detection import FORMATS, Detected, detect_format, format_named
from dataset_tools.formats.messages import Messages
from dataset_tools.formats.prompt_completion import PromptCompletion
from dataset_tools.formats.schemas import schema, schema_names

__all__ = [
    "FORMATS",
    "Detected",
    "Format",
    "Messages",
    "PromptCompletion",
    "detect_format",
    "format_named",
    "schema",
    "schema_names",
    "to_example",
]

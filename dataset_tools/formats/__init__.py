"""Rows <-> examples: one file a family of row shapes, and a JSON Schema for each."""

from dataset_tools.formats.alpaca import Alpaca
from dataset_tools.formats.base import Format, ShapeError, Turn, conversation_faults, explain, to_example
from dataset_tools.formats.detection import FORMATS, WRITTEN, Detected, detect_format, format_for, format_named
from dataset_tools.formats.flavours import Fireworks, Mistral, OpenAI, Together
from dataset_tools.formats.kto import KTO
from dataset_tools.formats.messages import Messages
from dataset_tools.formats.preference import Preference
from dataset_tools.formats.prompt_completion import PromptCompletion
from dataset_tools.formats.schemas import schema, schema_names
from dataset_tools.formats.sharegpt import ShareGPT
from dataset_tools.formats.templates import Parsed, parse_template, template_of
from dataset_tools.formats.text import Text

__all__ = [
    "FORMATS",
    "KTO",
    "WRITTEN",
    "Alpaca",
    "Detected",
    "Fireworks",
    "Format",
    "Messages",
    "Mistral",
    "OpenAI",
    "Parsed",
    "Preference",
    "PromptCompletion",
    "ShapeError",
    "ShareGPT",
    "Text",
    "Together",
    "Turn",
    "conversation_faults",
    "detect_format",
    "explain",
    "format_for",
    "format_named",
    "parse_template",
    "schema",
    "schema_names",
    "template_of",
    "to_example",
]

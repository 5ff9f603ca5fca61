"""Zero-shot: the user's prompt, as it is."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.approaches.approach import Approach
from dataset_tools.example import Example, Message


class ZeroShot(Approach):
    """Ask the base model and show it nothing."""

    name = "zero-shot"
    title = "Zero-shot"

    def prompts(self, examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        """The examples' own prompts."""
        return [example.prompt for example in examples]

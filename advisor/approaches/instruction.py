"""The user's prompt with the best of a few instructions before it: what wording alone can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.instructions import proposed_instructions, written_instruction
from advisor.approaches.tuning import Prompt, Setting, Tuned, can_tune, choose
from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import prompt_text
from dataset_tools.similarity import fold

_AS_IT_IS, _YOURS, _WRITTEN, _PROPOSED = "your prompt as it is", "yours", "written from the answers", "by the model"
_SHOWN = 60  # characters of an instruction in its setting's name


def with_instruction(prompt: Prompt, text: str, *, in_system: bool = True) -> Prompt:
    """The prompt with an instruction before the user's words.

    Args:
        prompt: What is asked.
        text: The instruction; an empty one changes nothing.
        in_system: Whether the model takes system messages. Where the prompt has one, the instruction is added to it.
    """
    if not text:
        return prompt
    if prompt[0].role == "system":
        first = replace(prompt[0], content=f"{prompt[0].content}\n\n{text}".strip())
        return (first, *prompt[1:])
    if in_system:
        return (Message("system", text), *prompt)
    place = next((place for place, message in enumerate(prompt) if message.role == "user"), 0)
    asked = replace(prompt[place], content=f"{text}\n\n{prompt[place].content}")
    return (*prompt[:place], asked, *prompt[place + 1 :])


class Instruction(Approach):
    """The base model with an instruction chosen on validation rows, the user's bare prompt among the choices."""

    name = "instruction"
    title = "Instruction, optimised"

    def why_not(self, tools: Tools) -> str:
        """Without anything to try this would be zero-shot once more."""
        if written_instruction(tools.task) or self._given(tools) or (can_tune(tools) and tools.base is not None):
            return ""
        return (
            f"no instruction can be written from answers of this kind ({tools.task.kind}), you gave none, "
            "and there is no budget to try what the model proposes"
        )

    def prepare(self, tools: Tools) -> None:
        """Collect the instructions and choose one; untried, the one written from the answers is taken."""
        self.tools = tools
        self.in_system = _takes_system(tools)
        proposed, asked = proposed_instructions(tools) if can_tune(tools) else ([], 0)
        candidates = [(_AS_IT_IS, ""), *((_YOURS, text) for text in self._given(tools))]
        candidates += [(_WRITTEN, written_instruction(tools.task)), *((_PROPOSED, text) for text in proposed)]
        first = {fold(text): (source, text) for source, text in reversed(candidates)}  # of equal ones the first
        settings = [self._setting(*first[key]) for key in dict.fromkeys(fold(text) for _, text in candidates)]
        tuned = choose(settings, tools)
        if tuned.trials:
            self.tuned = replace(tuned, answers=tuned.answers + asked)
        else:
            by_source = {setting.values["source"]: setting for setting in reversed(settings)}
            untried = by_source.get(_WRITTEN) or by_source.get(_YOURS) or settings[0]
            self.tuned = Tuned(replace(untried, name=f"{untried.name} (untried: there was no row to try it on)"))

    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """The prompts with the instruction that was chosen."""
        assert self.tuned is not None
        return self.tuned.setting.prompts(examples)

    def _given(self, tools: Tools) -> list[str]:
        """The user's instructions, without those that hold a test row with its answer."""
        texts = [text.strip() for text in tools.instructions]
        return [text for text in texts if text and not tools.task.guard.quotes_test(text)]

    def _setting(self, source: str, text: str) -> Setting:
        line = " ".join(text.split())
        start = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
        name = f'{source}: "{start}"' if line else source
        return Setting(name, {"source": source, "instruction": text}, partial(self._prompts, text))

    def _prompts(self, text: str, examples: Sequence[Example]) -> list[Prompt]:
        """A question that leaves no room for the instruction is asked without."""
        dressed = [with_instruction(example.prompt, text, in_system=self.in_system) for example in examples]
        return [
            prompt if self.tools.fits(prompt) else example.prompt
            for prompt, example in zip(dressed, examples, strict=True)
        ]


def _takes_system(tools: Tools) -> bool:
    """Whether the model's template knows system messages: some refuse them."""
    try:
        prompt_text((Message("system", "Be brief."), Message("user", "Hello.")), tools.tokenizer)
    except DataError:
        return False
    return True

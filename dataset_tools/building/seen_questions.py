"""Was this asked before? Questions are compared by their words, and near ones by their answers too."""

from __future__ import annotations

from collections.abc import Iterable

from dataset_tools.building.candidate_checks import Reason
from dataset_tools.building.support import words
from dataset_tools.example import Example
from dataset_tools.similarity import normalise

_SAME = 90  # per cent of rapidfuzz's ratio over sorted words; two texts this alike differ in a word or two


class SeenQuestions:
    """The questions that are there already, with their answers.

    Args:
        examples: Rows of the user's; their last question and their answer count.
    """

    def __init__(self, examples: Iterable[Example] = ()) -> None:
        self._answers: dict[str, str] = {}
        self._sorted: dict[str, str] = {}
        for example in examples:
            self.add(example.question, example.completion)

    def add(self, question: str, answer: str) -> None:
        """Remember a question."""
        key = normalise(question)
        self._answers.setdefault(key, answer)
        self._sorted.setdefault(key, _sorted_words(question))

    def remove(self, question: str) -> None:
        """Forget a question again, so that it may be asked once more."""
        key = normalise(question)
        self._answers.pop(key, None)
        self._sorted.pop(key, None)

    def find(self, question: str, answer: str) -> Reason | None:
        """The reason to reject a question that was asked before.

        The same one is, whatever its answer. One that is nearly the same is only if its answer is, too: "How much is
        plan A?" and "How much is plan B?" are two questions, though they differ in a letter.
        """
        from rapidfuzz import fuzz, process

        key = normalise(question)
        if key in self._answers:
            other = "" if _alike(answer, self._answers[key]) else ", which has another answer"
            return Reason("duplicate", f"the same question was asked before{other}")
        near = process.extract_iter(_sorted_words(question), self._sorted, scorer=fuzz.ratio, score_cutoff=_SAME)
        for _, _, earlier in near:
            if _alike(answer, self._answers[earlier]):
                return Reason("duplicate", f"nearly the same was asked before: {earlier[:100]}")
        return None


def _alike(answer: str, other: str) -> bool:
    from rapidfuzz import fuzz

    one, two = _sorted_words(answer), _sorted_words(other)
    return [word for word in one.split() if word.isdigit()] == [word for word in two.split() if word.isdigit()] and (
        fuzz.ratio(one, two) >= _SAME
    )


def _sorted_words(text: str) -> str:
    return " ".join(sorted(words(text))) or normalise(text)

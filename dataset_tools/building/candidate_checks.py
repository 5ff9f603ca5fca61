"""Is a question with its answer worth a training row? Each check is a rule that gives a reason, not a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dataset_tools.building.phrases import MARKS, MENTION, PLACEHOLDER, REFUSAL, YES_NO
from dataset_tools.building.sections import Section
from dataset_tools.building.support import PassageWords, words
from dataset_tools.similarity import normalise

# Measured on the 394 English questions of XQuAD's test rows: of the right answers 99.7% reach 0.6 in their own
# passage, 8% in another of the same article and 2% in any other; of the questions themselves 99.5% reach 0.2 in their
# own passage and 7% in any other. Question and answer taken together as one statement: 92%, 0.8% and 1%. Of the
# pairs themselves 97.5% pass all checks.
LEAST_SUPPORT = 0.6
LEAST_QUESTION_SUPPORT = 0.2
LEAST_QUESTION_WORDS = 3

CHECKS = {
    "no-answer": "have no answer",
    "prompt-leak": "repeat the instruction",
    "refusal": "refuse or say that they do not know",
    "yes-no": "say only yes or no",
    "short-question": "ask too little",
    "answer-in-question": "give the answer in the question",
    "mentions-passage": "speak of the passage, which nobody will see",
    "long-answer": "are longer than the passage",
    "unsupported": "are not supported by the passage",
    "off-topic": "ask about something else",
    "duplicate": "repeat an earlier question",
    "answered-otherwise": "are answered otherwise by the model itself",
}
"""The ids of the checks, most telling first, and what is said of the candidates that they reject."""

_LEAK_RUN = 6  # words in a row; shorter runs of an instruction occur in honest questions


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a candidate is rejected: the id of the check, and what it found."""

    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message.replace(';', ',')}"


@dataclass(frozen=True, slots=True)
class Checked:
    """One pair of question and answer, with the passage that it should come from."""

    question: str
    answer: str
    section: Section
    passage: PassageWords
    instruction: str
    least_support: float


def passage_words(section: Section) -> PassageWords:
    """The words of a section, its headings, and its document's name: what an answer may be made of."""
    return PassageWords("\n".join((section.document, *section.headings, section.text)))


def check_pair(pair: Checked) -> list[Reason]:
    """All reasons to reject the pair, most telling first; duplicates are found by `SeenQuestions`."""
    found = ((check, rule(pair)) for check, rule in _RULES.items())
    return [Reason(check, message) for check, message in found if message]


def _no_answer(pair: Checked) -> str:
    return "" if pair.answer.strip() else "the model wrote no answer"


def _leak(pair: Checked) -> str:
    for text in (pair.question, pair.answer):
        mark = MARKS.search(text) or (PLACEHOLDER.search(text) if text.strip() else None)
        if mark:
            return f"it holds {mark[0].strip()[:40]!r}"
        run = _shared_run(text, pair.instruction)
        if run and run not in " ".join(words(pair.section.text)):
            return f"it repeats {run!r}"
    return ""


def _shared_run(text: str, instruction: str) -> str:
    """Six words in a row that both have, or an empty text."""
    said, told = list(words(text)), f" {' '.join(words(instruction))} "
    runs = (" ".join(said[at : at + _LEAK_RUN]) for at in range(len(said) - _LEAK_RUN + 1))
    return next((run for run in runs if f" {run} " in told), "")


def _refusal(pair: Checked) -> str:
    found = REFUSAL.search(pair.answer)
    return f"it says {found[0].strip()!r}" if found else ""


def _yes_no(pair: Checked) -> str:
    said = list(words(pair.answer))
    if not said or said[0] not in YES_NO:
        return ""
    more = [word for word in pair.passage.content(pair.answer) if word not in YES_NO]
    return "" if more else "there is nothing to learn but yes or no"


def _short_question(pair: Checked) -> str:
    count = sum(1 for _ in words(pair.question))
    return f"{count} words" if count < LEAST_QUESTION_WORDS else ""


def _answer_in_question(pair: Checked) -> str:
    if normalise(pair.answer) == normalise(pair.question):
        return "the answer is the question"
    if next(words(pair.answer), "") in YES_NO:  # a whole sentence behind a yes or a no: what decides is not asked
        return ""
    content = pair.passage.content(pair.answer)
    asked = PassageWords(pair.question)
    return "all its words are in the question" if content and all(word in asked for word in content) else ""


def _mentions_passage(pair: Checked) -> str:
    found = MENTION.search(pair.question) or MENTION.search(pair.answer)
    return f"it says {found[0]!r}" if found else ""


def _long_answer(pair: Checked) -> str:
    size, most = len(pair.answer), len(pair.section.text)
    return f"{size:,} characters, the passage has {most:,}" if size > most else ""


def _unsupported(pair: Checked) -> str:
    if not pair.answer.strip():
        return ""
    support = pair.passage.support(pair.answer)
    if support.numbers:
        return f"not in the passage: {', '.join(support.numbers[:5])}"
    if support.score >= pair.least_support:
        return ""
    if not support.missing:
        return "the answer has no word to look for"
    return f"{1 - support.score:.0%} of its words are not in the passage: {', '.join(support.missing[:5])}"


def _off_topic(pair: Checked) -> str:
    support = pair.passage.support(pair.question)
    if support.score >= LEAST_QUESTION_SUPPORT:
        return ""
    return "the question has hardly a word of the passage" if support.missing else "the question names nothing"


_RULES: dict[str, Callable[[Checked], str]] = {
    "no-answer": _no_answer,
    "prompt-leak": _leak,
    "refusal": _refusal,
    "yes-no": _yes_no,
    "short-question": _short_question,
    "answer-in-question": _answer_in_question,
    "mentions-passage": _mentions_passage,
    "long-answer": _long_answer,
    "unsupported": _unsupported,
    "off-topic": _off_topic,
}

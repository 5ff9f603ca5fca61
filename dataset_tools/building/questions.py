"""Questions and answers out of documents: a model writes them, checks sort them, a person decides.

Many will be rejected where the model is small, and the result says so. What is kept is not proven right: it is
supported by the words of its passage (see `support`), and worth being read.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dataset_tools.building.candidate_checks import (
    CHECKS,
    LEAST_SUPPORT,
    Checked,
    Reason,
    check_pair,
    passage_words,
)
from dataset_tools.building.candidate_text import Pair, find_pairs
from dataset_tools.building.draft import Draft
from dataset_tools.building.draft_rows import NewRow
from dataset_tools.building.generate import Generate, ask
from dataset_tools.building.sections import Section
from dataset_tools.building.seen_questions import SeenQuestions
from dataset_tools.building.verification import answered_otherwise
from dataset_tools.example import Example, Message

_RULES = """Write {count} questions that the passage below answers, each with its answer.
- Each question must be clear to a reader who has not seen the passage: name what it is about.
- Each answer must be short, and say only what the passage says.
- Use the language of the passage.
"""
_FORMS = {
    "lines": "Write each as two lines, and nothing else:\nQ: ...\nA: ...\n",
    "json": 'Write each as one line of JSON, and nothing else:\n{"question": "...", "answer": "..."}\n',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSettings:
    """How questions are asked for and sorted.

    Attributes:
        per_section: How many questions the model is asked for in each passage.
        batch: How many passages go to the model at once; it can be stopped between two batches.
        form: ``lines`` (``Q:`` and ``A:``) is what small models can follow, ``json`` what large ones do best. Either
            is read, whatever was asked for.
        least_support: The share of an answer's content words that must be in its passage.
        verify: Have the model answer what passed the other checks twice more, with and without the passage.
        most_sections: Draw so many of the passages, by ``seed``; None takes all.
        seed: What the draw hangs on.
    """

    per_section: int = 3
    batch: int = 8
    form: Literal["lines", "json"] = "lines"
    least_support: float = LEAST_SUPPORT
    verify: bool = False
    most_sections: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.per_section, self.batch) < 1 or not 0 <= self.least_support <= 1:
            raise ValueError("per_section and batch are at least 1, least_support is from 0 to 1")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question with its answer and its passage. With a reason it is rejected, without one it waits for a person.

    ``support`` is the share of the answer's content words in the passage. ``note`` says what is worth knowing but no
    reason to reject: that the model answers the question without the passage, too.
    """

    question: str
    answer: str
    section: Section
    support: float
    reasons: tuple[Reason, ...] = ()
    note: str = ""

    @property
    def rejected(self) -> bool:
        """Whether a check rejected it."""
        return bool(self.reasons)

    def to_example(self) -> Example:
        """The training row. Its group is the document, so that a split keeps a document's rows on one side."""
        messages = (Message("user", self.question), Message("assistant", self.answer))
        return Example(messages, group=self.section.document)

    def to_row(self, tags: Iterable[str] = ()) -> NewRow:
        """The row of a draft: pending or rejected, with its passage and the reasons."""
        return NewRow(
            example=self.to_example(),
            status="rejected" if self.rejected else "pending",
            source="document",
            tags=tuple(tags),
            passage=self.section.text,
            place=self.section.where,
            reason="; ".join(map(str, self.reasons)) or self.note or None,
        )


@dataclass(frozen=True, slots=True)
class Questions:
    """All candidates of some passages. ``passages`` counts those that were read, ``of`` those that were to be.

    ``empty`` counts the answers of the model in which no question was found at all.
    """

    candidates: tuple[Candidate, ...]
    passages: int
    of: int
    empty: int = 0

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """The candidates that no check rejected."""
        return tuple(candidate for candidate in self.candidates if not candidate.rejected)

    @property
    def rejected(self) -> dict[str, int]:
        """Check id -> how many it rejected; a candidate with several reasons counts for the first. Most first."""
        counts = Counter(candidate.reasons[0].check for candidate in self.candidates if candidate.reasons)
        return dict(counts.most_common())

    @property
    def summary(self) -> str:
        """What came of it, in a sentence or three."""
        total, lost = len(self.candidates), sum(self.rejected.values())
        parts = [f"{count} {CHECKS[check]}" for check, count in self.rejected.items()]
        why = f" ({', '.join(parts)})" if parts else ""
        said = [f"{lost} of {total} candidates from {self.passages} passages rejected{why}; {total - lost} kept."]
        if self.empty:
            said.append(f"{self.empty} answers of the model held no question.")
        if self.passages < self.of:
            said.append(f"Stopped: {self.of - self.passages} of {self.of} passages were not read.")
        return " ".join(said)


def question_prompt(section: Section, settings: QuestionSettings | None = None) -> tuple[Message, ...]:
    """What the model is asked about a passage. What all passages share comes first, so that it can be cached."""
    title = " > ".join((section.document, *section.headings))
    return (Message("user", f"{_instruction(settings or QuestionSettings())}\nPassage ({title}):\n{section.text}"),)


def write_questions(
    sections: Sequence[Section],
    generate: Generate,
    *,
    settings: QuestionSettings | None = None,
    known: Iterable[Example] = (),
    save: Callable[[Sequence[Candidate]], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Questions:
    """Have a model write questions about passages, and check each one.

    Args:
        sections: The passages; see `passages`.
        generate: The model.
        settings: How they are asked for and sorted.
        known: Rows that must not be repeated.
        save: Called with the candidates of each batch, so that an error later loses none of them.
        progress: Called with the passages that were read and all of them, after each batch.
        stop: Asked before each batch; the candidates so far are the result where it says True.

    Raises:
        ModelError: The model gave more or fewer answers than there were prompts.
    """
    settings = settings or QuestionSettings()
    drawn = _drawn(sections, settings)
    seen = SeenQuestions(known)
    candidates: list[Candidate] = []
    done = empty = 0
    while done < len(drawn) and not (stop and stop()):
        batch = drawn[done : done + settings.batch]
        answers = ask(generate, [question_prompt(section, settings) for section in batch])
        pairs = [find_pairs(answer) for answer in answers]
        found = list(_checked(batch, pairs, seen, settings))
        found = _verified(found, generate, seen) if settings.verify else found
        if save is not None and found:
            save(found)
        candidates += found
        empty += pairs.count([])
        done += len(batch)
        if progress is not None:
            progress(done, len(drawn))
    return Questions(tuple(candidates), done, len(drawn), empty)


def add_candidates(draft: Draft, candidates: Sequence[Candidate], *, tags: Iterable[str] = ()) -> list[str]:
    """Add candidates to a draft in one step, as pending or rejected rows; their ids in order.

    They are accepted there: ``draft.set_status([row.id for row in draft.rows("pending", search=...)], "accepted")``.
    """
    tags = tuple(tags)
    return draft.add_all(candidate.to_row(tags) for candidate in candidates)


def _instruction(settings: QuestionSettings) -> str:
    return _RULES.format(count=settings.per_section) + _FORMS[settings.form]


def _drawn(sections: Sequence[Section], settings: QuestionSettings) -> Sequence[Section]:
    """The passages that are read, in their order."""
    most = settings.most_sections
    if most is None or most >= len(sections):
        return sections
    places = random.Random(settings.seed).sample(range(len(sections)), max(0, most))
    return [sections[place] for place in sorted(places)]


def _checked(
    sections: Sequence[Section], pairs: Sequence[Sequence[Pair]], seen: SeenQuestions, settings: QuestionSettings
) -> Iterator[Candidate]:
    """A candidate for each pair. Only those that are kept count as asked before."""
    instruction = _instruction(settings)
    for section, found in zip(sections, pairs, strict=True):
        passage = passage_words(section)
        for question, answer in found:
            pair = Checked(question, answer, section, passage, instruction, settings.least_support)
            reasons = check_pair(pair)
            again = seen.find(question, answer)
            reasons += [again] if again else []
            if not reasons:
                seen.add(question, answer)
            support = round(passage.support(answer).score, 3)
            yield Candidate(question, answer, section, support, tuple(reasons))


def _verified(candidates: Sequence[Candidate], generate: Generate, seen: SeenQuestions) -> list[Candidate]:
    """The candidates, those that the model answers otherwise rejected; their questions may be asked again."""
    kept = [candidate for candidate in candidates if not candidate.rejected]
    verdicts = iter(answered_otherwise([(one.question, one.answer, one.section) for one in kept], generate))
    judged = [one if one.rejected else _with_verdict(one, *next(verdicts)) for one in candidates]
    for before, after in zip(candidates, judged, strict=True):
        if after.rejected and not before.rejected:
            seen.remove(after.question)
    return judged


def _with_verdict(candidate: Candidate, otherwise: str, without: bool) -> Candidate:
    if otherwise:
        return replace(candidate, reasons=(Reason("answered-otherwise", otherwise),))
    return replace(candidate, note="note: the model answers it without the passage, too") if without else candidate

"""What votes become: preference pairs for DPO, thumbs for KTO, and edits as examples. It trains nothing.

Test rows are left out unless the caller takes them in knowingly; then they must be replaced in the test set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from advisor.human.session import Session
from advisor.human.votes import Vote, counted
from advisor.task import LeakGuard
from dataset_tools.example import Example, Message
from dataset_tools.formats import format_named


@dataclass(frozen=True)
class Feedback:
    """Examples made from votes, with what must be known of them.

    Attributes:
        examples: for training.
        strengths: one an example, in (0, 1]: how far the votes lean to one side.
        items: the item of each example, by its place in the session.
        left_out: items that were left out because they are test rows.
        to_replace: items that were taken although they are test rows: put others into the test set.
        sentence: for the user.
    """

    examples: tuple[Example, ...]
    strengths: tuple[float, ...]
    items: tuple[int, ...]
    left_out: tuple[int, ...]
    to_replace: tuple[int, ...]
    sentence: str

    def rows(self) -> list[dict[str, Any]]:
        """Rows in TRL's shapes (huggingface.co/docs/trl/dataset_formats), with ``strength`` as a further field.

        ``prompt``, ``chosen`` and ``rejected`` for pairs; ``prompt``, ``completion`` and ``label`` for thumbs;
        ``messages`` for edits.
        """
        return [
            {**_row(example), "strength": round(strength, 4)}
            for example, strength in zip(self.examples, self.strengths, strict=True)
        ]


def preference_pairs(
    session: Session, votes: Sequence[Vote], *, test_rows: Sequence[Example] = (), use_test_rows: bool = False
) -> Feedback:
    """Pairs of a preferred answer and the other, for DPO and its kin.

    All votes on the same two answers make one pair: the better one is that with more votes, and the strength is by how
    many of all votes it leads. Where neither leads (ties, both bad, as many for either) there is no pair; skips and
    repeats do not count.

    Args:
        session: the session.
        votes: its votes.
        test_rows: rows that must not be trained on, nearly equal ones neither. All items are such where the session is
            ``held_out``.
        use_test_rows: take them all the same, and say which must be replaced.
    """
    found: list[tuple[int, Example, float]] = []
    for (item, a, b), given in _by_pair(session, votes).items():
        lead = sum(vote.value_for(a) for vote in given)
        chosen, rejected = (a, b) if lead > 0 else (b, a)
        if lead:
            messages = (*session.items[item].prompt, _answer(session, item, chosen))
            worse = (_answer(session, item, rejected),)
            found.append((item, Example(messages, rejected=worse), abs(lead) / len(given)))
    return _checked(session, found, "preference pair", test_rows=test_rows, use_test_rows=use_test_rows)


def thumbs(
    session: Session, votes: Sequence[Vote], *, test_rows: Sequence[Example] = (), use_test_rows: bool = False
) -> Feedback:
    """Answers with a thumb up or down, for KTO: the preferred one up, the other down, and both down for both bad.

    An answer that was met by several votes has the thumb of most of them; none where they are even. Arguments as of
    `preference_pairs`.
    """
    said: dict[tuple[int, str], list[int]] = {}
    for vote in counted(votes):
        for arm in (vote.left, vote.right):
            thumb = -1 if vote.kind == "both_bad" else vote.value_for(arm)
            text = session.answer(vote.item, arm) or ""
            if thumb:
                said.setdefault((vote.item, text), []).append(thumb)
    found: list[tuple[int, Example, float]] = []
    for (item, text), values in said.items():
        lead = sum(values)
        if lead and text:
            messages = (*session.items[item].prompt, Message("assistant", text))
            found.append((item, Example(messages, desirable=lead > 0), abs(lead) / len(values)))
    return _checked(session, found, "rated answer", test_rows=test_rows, use_test_rows=use_test_rows)


def edited_examples(
    session: Session, votes: Sequence[Vote], *, test_rows: Sequence[Example] = (), use_test_rows: bool = False
) -> Feedback:
    """The better answers that raters wrote themselves, as examples for supervised training; arguments likewise.

    Of several on one item the last is taken.
    """
    last = {vote.item: vote.edit.strip() for vote in sorted(votes, key=lambda vote: vote.number) if vote.edit.strip()}
    found = [
        (item, Example((*session.items[item].prompt, Message("assistant", text))), 1.0) for item, text in last.items()
    ]
    return _checked(session, found, "edited answer", test_rows=test_rows, use_test_rows=use_test_rows)


def feedback_as(
    form: Literal["dpo", "kto", "sft"],
    session: Session,
    votes: Sequence[Vote],
    *,
    test_rows: Sequence[Example] = (),
    use_test_rows: bool = False,
) -> Feedback:
    """Votes in the form that a way of training takes: `preference_pairs`, `thumbs` or `edited_examples`."""
    make = {"dpo": preference_pairs, "kto": thumbs, "sft": edited_examples}[form]
    return make(session, votes, test_rows=test_rows, use_test_rows=use_test_rows)


def _by_pair(session: Session, votes: Iterable[Vote]) -> dict[tuple[int, str, str], list[Vote]]:
    """The counted votes on each two answers, the arms in the session's order."""
    found: dict[tuple[int, str, str], list[Vote]] = {}
    for vote in counted(votes):
        a, b = sorted((vote.left, vote.right), key=session.arms.index)
        found.setdefault((vote.item, a, b), []).append(vote)
    return found


def _answer(session: Session, item: int, arm: str) -> Message:
    return Message("assistant", session.answer(item, arm) or "")


def _checked(
    session: Session,
    found: Sequence[tuple[int, Example, float]],
    what: str,
    *,
    test_rows: Sequence[Example],
    use_test_rows: bool,
) -> Feedback:
    """Keep test rows out, or say which were taken; an example with an empty answer is none."""
    whole = [
        (item, example, strength)
        for item, example, strength in found
        if example.completion and all(message.content for message in example.rejected)
    ]
    tests = _test_items(session, whole, test_rows)
    kept = [row for row in whole if use_test_rows or row[0] not in tests]
    return Feedback(
        examples=tuple(example for _, example, _ in kept),
        strengths=tuple(strength for _, _, strength in kept),
        items=tuple(item for item, _, _ in kept),
        left_out=() if use_test_rows else tests,
        to_replace=tests if use_test_rows else (),
        sentence=_sentence(len(kept), len(whole), what, tests=len(tests), use_test_rows=use_test_rows),
    )


def _test_items(
    session: Session, found: Sequence[tuple[int, Example, float]], test_rows: Sequence[Example]
) -> tuple[int, ...]:
    guard = LeakGuard(test_rows, [example for _, example, _ in found]) if test_rows else None
    return tuple(
        dict.fromkeys(
            item for item, example, _ in found if session.held_out or (guard is not None and guard.is_leak(example))
        )
    )


def _sentence(kept: int, whole: int, what: str, *, tests: int, use_test_rows: bool) -> str:
    told = f"{kept} {what}{'' if kept == 1 else 's'} from the votes."
    if tests and use_test_rows:
        return f"{told} {tests} of the prompts are test rows: replace them in the test set, or its scores mean nothing."
    if tests:
        return (
            f"{told} {whole - kept} left out, as {tests} of the prompts are test rows: what is trained on cannot test "
            "any more. Take them knowingly, and put other rows into the test set in their place."
        )
    return told


def _row(example: Example) -> dict[str, object]:
    if example.rejected:
        return format_named("preference").from_example(example)
    return format_named("messages" if example.desirable is None else "kto").from_example(example)

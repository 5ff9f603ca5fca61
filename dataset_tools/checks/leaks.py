"""Checks against the rows of the test set: what was trained on cannot be tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dataset_tools.checks.base import Check, DatasetCheck, Hit, Severity
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.leaked_rows import Kind, Leak, Leaks
from dataset_tools.example import Example

SURE = 0.9  # Jaccard similarity; under this, or with another answer, it may well be another question
_DROP = Fix(what="drop the row; it stays in the test set", drop=True)
_WHY = "A test on rows that were trained on measures memory (Brown et al. 2020, 4, arxiv.org/abs/2005.14165)."


def _exact(leak: Leak, test: Example) -> str:
    return f"the prompt of {_place(test)}{_answer(leak)}"


def _near(leak: Leak, test: Example) -> str:
    if leak.similarity == 1:
        return f"the prompt of {_place(test)} but for case, blanks or punctuation{_answer(leak)}"
    return f"nearly the prompt of {_place(test)} ({int(100 * leak.similarity)}%){_answer(leak)}"


def _conversation(leak: Leak, test: Example) -> str:
    return f"the row begins with the whole conversation of {_place(test)}"


def _group(leak: Leak, test: Example) -> str:
    return f"the group {str(test.group)[:40]!r} is also that of {_place(test)}"


def _place(test: Example) -> str:
    return f"line {test.line} of the test rows" if test.line else "a test row"


def _answer(leak: Leak) -> str:
    return "" if leak.same_answer else ", with another answer"


def _of_kind(kind: Kind, say: Callable[[Leak, Example], str]) -> Callable[[Leaks], Iterator[Hit]]:
    def run(leaks: Leaks) -> Iterator[Hit]:
        for leak in leaks.found:
            if leak.kind == kind:
                sure = leak.similarity == 1 or (leak.similarity >= SURE and leak.same_answer)
                severity: Severity = "error" if sure else "warning"
                yield Hit(say(leak, leaks.tests[leak.test]), leaks.lines.get(leak.record), leak.record, severity)

    return run


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="leak-exact",
        severity="error",
        family="leaks",
        title="a prompt of the test set",
        why=_WHY,
        observer=Leaks,
        run=_of_kind("same", _exact),
        needs=("test_rows",),
        fix=_DROP,
    ),
    DatasetCheck(
        id="leak-near",
        severity="error",
        family="leaks",
        title="nearly a prompt of the test set",
        why=_WHY,
        observer=Leaks,
        run=_of_kind("near", _near),
        needs=("test_rows",),
        fix=_DROP,
    ),
    DatasetCheck(
        id="leak-conversation",
        severity="error",
        family="leaks",
        title="a conversation of the test set, continued",
        why="The answer that the test asks for is trained on, or read, in the middle of the row.",
        observer=Leaks,
        run=_of_kind("conversation", _conversation),
        needs=("test_rows",),
        fix=_DROP,
    ),
    DatasetCheck(
        id="leak-group",
        severity="error",
        family="leaks",
        title="a group that is also in the test set",
        why="Rows of one document or user share what is asked (Kaufman et al. 2012, doi.org/10.1145/2382577.2382579).",
        observer=Leaks,
        run=_of_kind("group", _group),
        needs=("test_rows",),
        fix=_DROP,
    ),
)

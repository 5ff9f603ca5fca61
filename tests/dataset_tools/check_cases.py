"""What the tests of single checks share: a check asked about texts, about a file of rows, and its fix tried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dataset_tools.checks import code_answers, label_noise, labels, privacy, spread, text
from dataset_tools.checks.base import Check, DatasetCheck, ExampleCheck, ExampleView, Hit, Setting

MODULES = (text, labels, privacy, code_answers, label_noise, spread)
CHECKS: dict[str, Check] = {check.id: check for module in MODULES for check in module.CHECKS}
Row = Mapping[str, Any]


def said(check: str, *contents: str, tokenizer: Any = None) -> list[str]:
    """What an example check has to say about a row with these texts."""
    found = CHECKS[check]
    assert isinstance(found, ExampleCheck)
    setting = Setting(tokenizer=tokenizer)
    run = found.start(setting) if found.start else found.run
    return list(run(ExampleView(contents, line=1, record=1)))


def hits(check: str, rows: Sequence[Sequence[str]]) -> list[Hit]:
    """What a check of the whole file finds in these rows, which stand in lines from 1 on."""
    found = CHECKS[check]
    assert isinstance(found, DatasetCheck)
    setting = Setting()
    observer = setting.share(found.observer) if found.observer else None
    for number, contents in enumerate(rows, 1):
        view = ExampleView(contents, line=number, record=number)
        setting.views.append(view)
        if observer is not None:
            observer.see(view)
    setting.rows = setting.usable = len(rows)
    return list(found.run(observer if observer is not None else setting))


def lines(check: str, rows: Sequence[Sequence[str]]) -> list[int | None]:
    """The lines of these hits."""
    return [hit.line for hit in hits(check, rows)]


def row_fix(check: str) -> Callable[[Row], Row | None]:
    """The fix of a check as a function of a row."""
    fix = CHECKS[check].fix
    assert fix is not None and fix.row is not None
    return fix.row


def assert_fix_keeps_its_promise(check: str, prompt: str, completion: str) -> None:
    """The fix is pure and idempotent, leaves all else alone, and what it mended is not found any more."""
    fix = row_fix(check)
    row = {"id": 7, "prompt": prompt, "meta": {"text": prompt}, "completion": completion}
    before = repr(row)
    fixed = fix(row)
    assert repr(row) == before
    if fixed is None:
        assert said(check, prompt, completion) == [] or _would_be_blank(fix, prompt, completion)
        return
    assert fix(fixed) is None
    assert list(fixed) == list(row) and (fixed["id"], fixed["meta"]) == (7, {"text": prompt})
    if not _would_be_blank(fix, prompt, completion):
        assert said(check, fixed["prompt"], fixed["completion"]) == []
    chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    mended = fix({"messages": chat})
    assert mended is not None
    assert [turn["content"] for turn in mended["messages"]] == [fixed["prompt"], fixed["completion"]]


def _would_be_blank(fix: Callable[[Row], Row | None], *texts: str) -> bool:
    """Whether a text would be left without a word, and therefore stays as it is.

    Asked with a full stop after and before the text, since some marks count at the end of a text alone.
    """
    for framed in (frame.format(content) for content in texts for frame in ("{}\n.", ".\n{}")):
        fixed = fix({"prompt": framed, "completion": "."})
        if fixed is not None and not str(fixed["prompt"]).strip(". \n\t\r\xa0"):
            return True
    return False

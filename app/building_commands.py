"""What ``fitting-room build`` does: documents in, questions with answers out, all without a person in between.

The rows that it writes are supported by their passages, not proven right: they are to be read before they are used.
The Build page does the same with a person who decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.models import Models
from app.question_writing import drawn
from dataset_tools import DocumentsError, Message, UsageError, write_jsonl
from dataset_tools.building import Candidate, Documents, QuestionSettings, passages, read_documents, write_questions
from dataset_tools.formats import format_named
from training.models.loading import default_model

Progress = Callable[[int, int], None]
FORMS = ("messages", "prompt_completion")


def build_file(
    documents: Path,
    out: Path,
    *,
    model: str | None = None,
    to: str = "messages",
    questions: int = 3,
    limit: int | None = None,
    verify: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    models: Models | None = None,
) -> dict[str, Any]:
    """Have a model write questions about documents, check each one, and write those that pass as training rows.

    What there is so far is written after each batch of passages, so that little is lost when it is stopped.

    Args:
        documents: A Markdown, text, HTML, PDF or Word file, or a folder of them.
        out: The file of rows. All candidates, the rejected ones too, go to ``NAME.candidates.jsonl`` beside it, with
            their passages and the reasons.
        model: A model's name or folder; the default one where None.
        to: ``messages`` or ``prompt_completion``.
        questions: How many are asked for in each passage.
        limit: The most passages, drawn from all over the documents by `seed`.
        verify: Have the model answer each question that passed twice more, with and without its passage.
        seed: What the draw hangs on.
        progress: Called with the passages that were read and all of them, after each batch.
        models: Where models are loaded; its own by default.

    Returns:
        ``file``, ``rows``, ``candidates_file``, ``candidates``, ``rejected`` (reason -> how many), ``summary`` (in
        words), ``documents``, ``passages`` (read), ``of`` (passages there were to read), ``failures``, ``skipped``.

    Raises:
        UsageError: the documents are missing, or an option is wrong.
        DocumentsError: none of them could be read.
        ModelError: the model cannot be had.
    """
    _check(to=to, questions=questions, limit=limit, out=out)
    read = read_documents(documents)
    sections = list(itertools.chain.from_iterable(passages(document) for document in read.documents))
    chosen = drawn(sections, min(limit or len(sections), len(sections)), seed=seed)
    models, name = models or Models(), model or default_model()
    target, candidates = _Target(out, to), list[Candidate]()

    def generate(prompts: Sequence[Sequence[Message]]) -> list[str]:
        return [answer.text for answer in models.answer(name, prompts)]

    def save(found: Sequence[Candidate]) -> None:
        candidates.extend(found)
        target.write(candidates)

    settings = QuestionSettings(per_section=questions, verify=verify)
    target.write(candidates)  # a file that cannot be written is refused before the model is asked
    result = write_questions(chosen, generate, settings=settings, save=save, progress=progress)
    return {
        "file": str(out),
        "rows": len(result.kept),
        "candidates_file": str(target.candidates),
        "candidates": len(result.candidates),
        "rejected": result.rejected,
        "summary": result.summary,
        "passages": result.passages,
        "of": result.of,
        **_documents(read),
    }


def _check(*, to: str, questions: int, limit: int | None, out: Path) -> None:
    if to not in FORMS:
        raise UsageError("Questions are not written in this form.", found=repr(to), expected=" or ".join(FORMS))
    if questions < 1 or (limit is not None and limit < 1):
        raise UsageError("At least one question and one passage are needed.", expected="numbers from 1 on")
    if out.is_dir():
        raise UsageError(
            "This is a folder.", where=str(out), expected="the name of a file", next_step="Give --out FILE."
        )


class _Target:
    """The two files: rows that are kept, and all candidates."""

    def __init__(self, out: Path, to: str) -> None:
        self.out, self._form = out, format_named(to)
        self.candidates = out.with_name(f"{out.name.removesuffix('.jsonl')}.candidates.jsonl")

    def write(self, candidates: Sequence[Candidate]) -> None:
        """Write both files anew."""
        kept = [self._form.from_example(candidate.to_example()) for candidate in candidates if not candidate.rejected]
        write_jsonl(self.out, kept)
        write_jsonl(self.candidates, [_row(candidate) for candidate in candidates])


def _row(candidate: Candidate) -> dict[str, Any]:
    row: dict[str, Any] = {
        "status": "rejected" if candidate.rejected else "kept",
        "question": candidate.question,
        "answer": candidate.answer,
        "support": candidate.support,
        "reasons": [str(reason) for reason in candidate.reasons],
        "place": candidate.section.where,
        "passage": candidate.section.text,
    }
    return row | ({"note": candidate.note} if candidate.note else {})


def _documents(read: Documents) -> dict[str, Any]:
    failures = [_failure(error) for error in read.failures]
    return {"documents": len(read.documents), "failures": failures, "skipped": list(read.skipped)}


def _failure(error: DocumentsError) -> dict[str, str | None]:
    return {"file": error.where, "what": error.what, "found": error.found}

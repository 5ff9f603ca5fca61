"""The verdict on an artefact: what passes, what fails, and with which reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import ModelError, RunError
from dataset_tools.example import Example
from tests.training.export_support import HELD_OUT, TRAIN, job_for, same, tiny_run
from training.export import ExportError, export
from training.export.engines import TransformersEngine
from training.export.fidelity import Trace, compare, render_answers, trace
from training.export.loading import load_as_trained, load_on_16_bit
from training.export.proof import LEAST_NEXT_TOKEN, MOST_DIVERGENCE, Reference, prove
from training.export.source import read_source
from training.generation import Generated
from training.models.loading import load_tokenizer
from training.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")
VOCABULARY = 600


class Shifted:
    """An engine whose next-token odds are known: the first `right` tokens of each row as wished, the others not."""

    name = "a table"

    def __init__(self, wish: int, *, right: int = 10**9, odds: float = 20.0, answers: Sequence[str] = ()) -> None:
        self._wish, self._right, self._odds, self._answers = wish, right, odds, answers

    def answer(self, examples: Sequence[Example], *, max_new_tokens: int) -> list[Generated]:
        return [Generated(text, 2, True) for text in self._answers]

    def log_probs(self, ids: list[int], start: int) -> Any:
        import torch

        logits = torch.zeros(len(ids) - start, VOCABULARY)
        logits[: self._right, self._wish] = self._odds
        logits[self._right :, self._wish + 1] = self._odds
        return logits.log_softmax(-1)


def _reference(tiny_model: Path, rows: int, **more: Any) -> Reference:
    tokenizer = load_tokenizer(str(tiny_model))
    examples = [Example.of(f"what {number}", "blue house red cat") for number in range(rows)]
    answers = [Generated("blue house red cat", 2, True) for _ in examples]
    rendered = render_answers(examples, answers, tokenizer)
    traced = trace(Shifted(5), rendered)
    return Reference(tuple(examples), True, 16, answers, rendered, traced, **more)


def _prove(tiny_model: Path, engine: Shifted, reference: Reference, scorer: Any = None) -> Any:
    return prove(reference, engine, tokenizer=load_tokenizer(str(tiny_model)), scorer=scorer, checks=["seen"])


def test_the_same_model_passes_and_the_figures_are_those_of_the_definition(tiny_model: Path) -> None:
    import torch

    reference = _reference(tiny_model, 3)
    proof = _prove(tiny_model, Shifted(5, answers=["blue house red cat"] * 3), reference)
    assert (proof.rows, proof.checks, proof.scores, proof.against_16_bit) == (3, ("seen",), None, None)
    found = proof.against_adapter
    assert (found.next_token, found.same_answers, found.common_prefix) == (1.0, 1.0, 1.0)
    assert abs(found.divergence) < 1e-6 and found.tokens == sum(row.trained for row in reference.rendered)
    exact = compare(reference.trained, Shifted(5, odds=4.0), reference.rendered)
    first, second = (Shifted(5, odds=odds).log_probs([1, 2], 1)[0] for odds in (20.0, 4.0))
    assert exact.divergence == pytest.approx(float((first.exp() * (first - second)).sum()), rel=1e-3)
    tied = Trace(torch.tensor([[5]]), torch.tensor([[-0.5]]))
    assert (
        compare([tied], Shifted(5, odds=0.0), [replace(reference.rendered[0], ids=[1, 2], mask=[0, 1])]).next_token == 1
    )


def test_the_common_prefix_is_counted_in_tokens(tiny_model: Path) -> None:
    reference = _reference(tiny_model, 2)
    found = _prove(
        tiny_model, Shifted(5, answers=["blue house red dog", "blue house red cat"]), reference
    ).against_adapter
    assert found.same_answers == 0.5 and 0.5 < found.common_prefix < 1.0


def test_another_model_fails_whatever_its_score(tiny_model: Path) -> None:
    for scorer in (None, same):
        scores = (1.0,) * 6 if scorer else None
        with pytest.raises(ExportError, match=rf"finds other tokens likely(.|\n)*{MOST_DIVERGENCE:g}"):
            _prove(tiny_model, Shifted(9, answers=["x"] * 6), _reference(tiny_model, 6, scores=scores), scorer)


def test_a_model_that_gives_no_numbers_fails(tiny_model: Path) -> None:
    with pytest.raises(ExportError, match="nan"):
        _prove(tiny_model, Shifted(5, odds=math.nan, answers=["x"] * 2), _reference(tiny_model, 2))


@pytest.mark.parametrize(
    ("score", "passes"), [(None, False), (0.9, False), (1.0, True)], ids=["no metric", "lower", "as good"]
)
def test_a_16_bit_base_may_answer_otherwise_where_it_is_as_good(
    score: float | None, passes: bool, tiny_model: Path
) -> None:
    """The copy is true to the 16-bit base, but that differs from the 4-bit one in most tokens."""
    reference = _reference(tiny_model, 6)
    artefact = Shifted(5, right=1, answers=["red"] * 6)
    reference = replace(reference, on_16_bit=trace(artefact, reference.rendered))
    if score is not None:
        reference = replace(reference, scores=(1.0,) * 6)
    scorer = None if score is None else lambda examples, answers: [score] * len(answers)
    if passes:
        proof = _prove(tiny_model, artefact, reference, scorer)
        assert proof.against_adapter.next_token < LEAST_NEXT_TOKEN and abs(proof.against_16_bit.divergence) < 1e-6
        assert proof.scores.interval[0] < 0 < proof.scores.interval[1]
        return
    with pytest.raises(ExportError, match="answers otherwise"):
        _prove(tiny_model, artefact, reference, scorer)


@pytest.mark.parametrize(
    ("after", "passes"),
    [([1.0] * 12, True), ([1.0] * 11 + [0.0], True), ([0.0] * 6 + [1.0] * 6, False), ([0.0] * 12, False)],
    ids=["the same", "one row worse", "half worse", "all worse"],
)
def test_a_score_may_not_be_lower_beyond_chance(after: list[float], passes: bool, tiny_model: Path) -> None:
    reference = _reference(tiny_model, 12, scores=(1.0,) * 12)
    engine = Shifted(5, answers=["blue house red cat"] * 12)
    if passes:
        scores = _prove(tiny_model, engine, reference, lambda examples, answers: after).scores
        assert scores.adapter == 1.0 and scores.artefact == pytest.approx(sum(after) / 12)
        return
    with pytest.raises(ExportError, match="does the task worse"):
        _prove(tiny_model, engine, reference, lambda examples, answers: after)


def test_the_4_bit_base_and_the_16_bit_one_are_both_held_against(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model, method="qlora")
    proof = export(run, "merged", tmp_path / "out", scorer=same).proof
    assert proof.against_16_bit is not None and proof.scores is not None
    assert proof.against_16_bit.divergence < MOST_DIVERGENCE < proof.against_adapter.divergence
    assert "16 bits, not merged" in (tmp_path / "out" / "README.md").read_text()


def test_the_reference_is_the_adapter_as_it_was_trained(tiny_model: Path, tmp_path: Path) -> None:
    job = job_for(tiny_run(tmp_path / "run", tiny_model, method="qlora"), tmp_path / "export")
    tokenizer = job.tokenizer
    as_trained = TransformersEngine(load_as_trained(job.source, tokenizer=tokenizer))
    assert as_trained.answer(HELD_OUT, max_new_tokens=job.reference.max_new_tokens) == job.reference.answers
    on_16_bit = TransformersEngine(load_on_16_bit(job.source, tokenizer=tokenizer))
    assert compare(job.reference.trained, on_16_bit, job.reference.rendered).divergence > 0.01


def test_rows_that_were_trained_on_prove_only_where_there_are_no_others(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    assert read_source(run, 3).rows == tuple(run.read_rows("validation")[:3]) and read_source(run, 3).held_out
    run.write_rows("validation", [])
    assert len(read_source(run, 99).rows) == len(TRAIN) and not read_source(run, 3).held_out
    report = export(run, "adapter", tmp_path / "out", rows=2)
    assert not report.proof.held_out and "that were trained on" in (tmp_path / "out" / "README.md").read_text()
    (run.path / "train.jsonl").unlink()
    with pytest.raises(ExportError, match="kept no row"):
        read_source(run, 3)


@pytest.mark.parametrize("state", ["running", "failed", "interrupted", "queued"])
def test_a_run_that_has_not_ended_well_is_not_exported(state: str, tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    run.update(state=state)
    with pytest.raises(ExportError, match=f"has not ended well(.|\n)*{state}"):
        export(run, "adapter", tmp_path / "out")
    with pytest.raises(RunError, match="no run here"):
        export(RunFolder(tmp_path / "nowhere"), "adapter", tmp_path / "out")


def test_a_pickle_in_place_of_an_adapter_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    (run.adapter / "adapter_model.safetensors").rename(run.adapter / "adapter_model.bin")
    for kind in ("adapter", "merged", "gguf"):
        with pytest.raises(ModelError, match=r"pickled files: adapter_model\.bin"):
            export(run, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()

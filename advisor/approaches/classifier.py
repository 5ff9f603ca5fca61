"""A plain classifier on sentence embeddings: no language model at all, for tasks whose answer is one of a few labels.

About 100 labels a task are where a small special model breaks even with a general one (Pecher et al. 2025,
arxiv.org/abs/2402.12819), and with many labels it is far ahead: whoever pays for a larger model should know it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from advisor.answering.answer import Answer
from advisor.approaches.approach import Approach, Tools
from advisor.approaches.tuning import Prompt, Setting, Trial, Tuned
from advisor.metrics.classification import normal_label
from advisor.retrieval.embedding import embed_whole
from dataset_tools.errors import UsageError
from dataset_tools.example import Example

# Inverse strengths of the penalty. Embeddings have length 1, so the useful ones are larger than for scaled columns.
_STRENGTHS, _USUAL_STRENGTH = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0), 10.0
_FOLDS = 3
# Judgements: with fewer rows in folds their choice is chance, and from this ratio of labels on each is weighted alike.
_ROWS_FOR_FOLDS, _UNEVEN = 30, 3
_MOST_STEPS = 2_000


def spellings(answers: Sequence[str]) -> dict[str, str]:
    """The labels among the answers as they are compared, the commonest first, and how each is mostly written."""
    written: dict[str, Counter[str]] = defaultdict(Counter)
    for answer in answers:
        written[normal_label(answer)][answer.strip()] += 1
    order = sorted(written, key=lambda label: -written[label].total())
    return {label: written[label].most_common(1)[0][0] for label in order}


class Classifier(Approach):
    """Logistic regression on the embeddings that retrieval uses, averaged over the windows of a long row."""

    name = "classifier"
    title = "Classifier on embeddings"
    asks_model = False
    learns_rows = True

    def why_not(self, tools: Tools) -> str:
        """It can only choose among labels that it has seen."""
        if tools.task.kind != "classification":
            return f"it chooses among labels, and the answers of this task are of another kind ({tools.task.kind})"
        if len(spellings([row.completion for row in tools.task.pool])) < 2:
            return "all rows to learn from have the same label"
        return ""

    def prepare(self, tools: Tools) -> None:
        """Fit it to the pool; how strongly it is held back is chosen by cross-validation inside the pool.

        Raises:
            UsageError: the task has no labels to choose among.
        """
        reason = self.why_not(tools)
        if reason:
            raise UsageError("There is nothing to classify.", found=reason, next_step="Take another approach.")
        self.tools = tools
        pool = tools.task.pool
        self.written = spellings([row.completion for row in pool])
        labels = [normal_label(row.completion) for row in pool]
        vectors = embed_whole([tools.distinct(row) for row in pool])
        weighting = _weighting(labels)
        trials = _cross_validated(vectors, labels, weighting)
        # Of equally good ones the first: the simplest.
        best = max(trials, key=lambda trial: trial.score).values["C"] if trials else _USUAL_STRENGTH
        self.model = _regression(best, weighting).fit(vectors, labels)
        self.tuned = Tuned(Setting(_name(best), {"C": best, "class_weight": weighting}, self.prompts), tuple(trials))

    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """The examples' own prompts, for a reader: no model is asked them."""
        return [example.prompt for example in examples]

    def answers(self, examples: Sequence[Example]) -> list[Answer]:
        """The most likely label of each example, as the pool mostly writes it; no token of a language model is used."""
        if not examples:
            return []
        labels = self.model.predict(embed_whole([self.tools.distinct(example) for example in examples]))
        return [Answer(self.written[str(label)], 0, 0, stopped=True) for label in labels]


def _weighting(labels: Sequence[str]) -> str | None:
    """Whether rare labels count as much as common ones: where the commonest has three times the rows of the rarest."""
    counts = Counter(labels).values()
    return "balanced" if max(counts) >= _UNEVEN * min(counts) else None


def _regression(strength: float, weighting: str | None) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, class_weight=weighting, max_iter=_MOST_STEPS)


def _cross_validated(vectors: Any, labels: Sequence[str], weighting: str | None) -> list[Trial]:
    """Each strength's accuracy over 3 folds of the rows whose label is in all folds; none where these are too few."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    counts = Counter(labels)
    usable = [place for place, label in enumerate(labels) if counts[label] >= _FOLDS]
    known = [labels[place] for place in usable]
    if len(usable) < _ROWS_FOR_FOLDS or len(set(known)) < 2:
        return []
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    trials = []
    for strength in _STRENGTHS:
        scores = cross_val_score(_regression(strength, weighting), vectors[usable], known, cv=folds, scoring="accuracy")
        trials.append(Trial(_name(strength), {"C": strength}, float(scores.mean()), len(usable), 0.0))
    return trials


def _name(strength: float) -> str:
    return f"logistic regression, C = {strength:g}"

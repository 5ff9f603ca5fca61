"""Labels that rows like theirs contradict: few, ranked, and only where the words of the prompts tell the label at all.

A guess by words knows less than a reader, so these are rows to look at, not errors. It asks two judges who saw neither
the row nor each other: a least-squares classifier with the row left out, and the row's nearest neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from dataset_tools.checks.base import Check, DatasetCheck, Hit
from dataset_tools.checks.labels import Labels
from dataset_tools.checks.vectors import DRAWN, Floats, Prompts

MIN_ROWS = 100  # of fewer, words tell too little
TELLS = 0.5  # of the wrong guesses without the words that they must save; under this the judge is no better than luck
MARGIN = 0.3  # by which another label must win, where 1 is a clear case; our choice, measured on flipped labels
NEIGHBOURS = 5  # none of which may have the label
SHARE, MOST = 0.01, 20  # of the rows, and in all: those that a reader will look at
_RIDGE = 1.0  # as heavy as a row's likeness to itself


def left_out_scores(cosines: Floats, given: Floats) -> Floats:
    """What a least-squares classifier says of each row when it has learnt from all the others.

    Args:
        cosines: how alike each two rows are.
        given: a row of zeros and a one for each label.

    Returns:
        a score for each row and label, about 0 to 1. The closed form for leaving each row out is that of Rifkin and
        Lippert 2007, "Notes on regularized least squares", 4.
    """
    inverse = np.linalg.inv(cosines + _RIDGE * np.eye(len(cosines)))
    errors = inverse @ (given - given.mean(axis=0))
    return np.asarray(given - errors / np.diag(inverse)[:, None], dtype=np.float64)


def suspects(cosines: Floats, labels: Sequence[str]) -> list[tuple[int, str, float]]:
    """Rows whose label is in doubt, the doubtful first: the row, the label that its like have, and by how much it wins.

    Empty where the words of the prompts do not tell the labels.
    """
    names = sorted(set(labels))
    numbers = {name: number for number, name in enumerate(names)}
    given = np.array([numbers[label] for label in labels])
    rows = np.arange(len(given))
    scores = left_out_scores(cosines, np.eye(len(names))[given])
    best = scores.argmax(axis=1)
    most = Counter(labels).most_common(1)[0][1] / len(labels)
    right = float((best == given).mean())
    if most == 1 or 1 - (1 - right) / (1 - most) < TELLS:
        return []
    others = cosines.copy()
    np.fill_diagonal(others, -1)
    nearest = np.argpartition(-others, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    alone = (given[nearest] != given[:, None]).all(axis=1) & (given[nearest] == best[:, None]).any(axis=1)
    margins = scores[rows, best] - scores[rows, given]
    found = [int(row) for row in np.argsort(-margins, kind="stable") if alone[row] and margins[row] >= MARGIN]
    return [(row, names[best[row]], float(margins[row])) for row in found]


def _label_noise(labels: Labels) -> Iterator[Hit]:
    prompts = labels.setting.share(Prompts)
    if len(labels.classes) < 2 or len(prompts.views) < MIN_ROWS:
        return
    answers = [labels.variants.get(view.completion, view.completion) for view in prompts.views]
    found = suspects(prompts.cosines, answers)
    for rank, (row, other, _) in enumerate(found[: max(1, min(MOST, int(SHARE * len(answers))))], 1):
        view = prompts.views[row]
        message = f"the label is {answers[row]!r}, and rows like it have {other!r} (doubt {rank} of {len(found)}, "
        yield view.hit(f"{message}{prompts.of})")


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="label-noise",
        severity="info",
        family="labels",
        title="a label that rows like it do not have",
        why="A few wrong labels cost more than missing rows; look at the doubtful first (Northcutt et al. 2021, "
        f"arxiv.org/abs/1911.00068; by the words of {DRAWN:,} rows drawn).",
        observer=Labels,
        run=_label_noise,
    ),
)

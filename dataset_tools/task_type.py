"""What kind of answer is wanted? A guess from the completions that the user confirms; it looks at no prompt.

So a translation is not told from other text: that would take the prompt.
"""

from __future__ import annotations

import ast
import json
import random
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from dataset_tools.similarity import fold

TaskKind = Literal["classification", "multi-label", "json", "numeric", "short-answer", "code", "text"]

# Thresholds: the task table of the design (completions of a closed set, <= 60 characters; 95% JSON; 90% numbers;
# <= 10 words). Those of sets of labels and of code are judgements, made to miss one rather than to see one.
MAX_LABEL_CHARS = 60
MAX_DISTINCT = 0.2
MAX_DISTINCT_SMALL = 0.4
MAX_UNSEEN = 0.1  # Good-Turing: the share of answers seen once estimates the chance that the next one is new
MIN_JSON = 0.95
MIN_NUMERIC = 0.9
MIN_CODE = 0.9
CLOSE = 0.5  # a kind that so many answers are of is named beside the guess
MAX_SHORT_WORDS = 10
MIN_SETS = 10
MIN_SEVERAL = 0.2
MAX_SAME_SIZE = 0.95
MAX_LABEL_WORDS = 5
SAMPLE = 300  # answers that the tests of a kind look at: at 90% that is right to 3.4 points, 95 times in 100
_NUMBER = re.compile(r"[-+]?[\d.,]*\d%?")
_SENTENCE = re.compile(r"[a-z]{2,}\W*[.!?]$|[.!?] +[A-Z]")
# No leading zero: "007" is a name. A currency before or after, a fraction, a percent sign and a full stop may be there.
_QUANTITY = re.compile(
    r"[-+\u2212]?(?:[$€£¥₹]\s?)?[-\u2212]?"
    r"(?:(?:[1-9]\d{0,2}(?:[,.'\u00a0\u202f]\d{3})+|[1-9]\d*|0)(?:[.,]\d+)?|\.\d+)"
    r"(?:[eE][-+]?\d{1,3})?(?:\s?/\s?[1-9]\d*)?\s?(?:%|[$€£¥₹])?\.?"
)
_LABEL_MARKS = ("\n", "|", ";")
_COMMA = re.compile(r",(?!(?<=\d,)\d{3}(?!\d))")  # not the one of 12,000
_BULLET = re.compile(r"(?:[-*•]|\d+[.)])\s+")
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?```", re.DOTALL)
_CALLED = re.compile(r"[\w\])]\(")  # with no blank between: "Paris (France)" parses as a call
# What such code cannot do without; looked for first, as a parser takes its time with a text that is none.
_HINT = re.compile(r"[\w\])]\(|=|^[ \t]*(?:def|class|import|from|for|while|with|async)\b", re.MULTILINE)
_DOES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.For, ast.While, ast.With)


@dataclass(frozen=True, slots=True)
class TaskTypeGuess:
    """The kind of task, and why it looks so (one sentence for the user).

    Attributes:
        kind: the guess.
        why: what was seen.
        labels: those of a classification, or the ones that sets are made of, the most frequent first.
        also: other kinds that are close, so that the user can be asked; mostly none.
    """

    kind: TaskKind
    why: str
    labels: tuple[str, ...] = ()
    also: tuple[TaskKind, ...] = ()


def detect_task_type(completions: Sequence[str]) -> TaskTypeGuess:
    """Guess the kind of task from its wanted answers. No answers at all are taken for text."""
    answers = [completion.strip() for completion in completions]
    if not answers:
        return TaskTypeGuess("text", "there are no answers to look at")
    looks = (_as_json, _as_multi_label, _as_classification, _as_numeric, _as_code, _as_short_answer)
    return next((guess for look in looks if (guess := look(answers))), None) or _as_text(answers)


def split_labels(answer: str) -> tuple[str, ...]:
    """The labels of an answer that is a set of them: parted by line ends, else by ``|``, else by ``;``, else by commas.

    A comma that groups thousands parts nothing. Blanks, bullets and empty parts are left out.
    """
    mark = next((mark for mark in _LABEL_MARKS if mark in answer), None)
    parts = answer.split(mark) if mark else _COMMA.split(answer)
    return tuple(label for part in parts if (label := _BULLET.sub("", part.strip(), count=1).strip()))


def python_tree(text: str) -> ast.Module | None:
    """The syntax tree of Python code, without a Markdown fence around all of it; None where it does not parse."""
    fenced = _FENCED.fullmatch(text.strip())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an odd escape in a string is a warning
        try:
            return ast.parse(fenced.group(1) if fenced else text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: nested too deep for the parser
            return None


def is_python(text: str) -> bool:
    """Whether a text is Python that does something: it defines, imports, loops, calls, or computes in several steps.

    Much plain text parses as well: a word is a name, and ``x = 5`` is an assignment.
    """
    tree = python_tree(text) if _HINT.search(text) else None
    if tree is None:
        return False
    nodes = list(ast.walk(tree))
    if any(isinstance(node, _DOES) for node in nodes):
        return True
    if any(isinstance(node, ast.Call) for node in nodes):
        return _CALLED.search(text) is not None
    plain = (ast.Constant, ast.Name)
    return len(tree.body) > 1 and any(isinstance(n, ast.Assign) and not isinstance(n.value, plain) for n in nodes)


def _as_json(answers: Sequence[str]) -> TaskTypeGuess | None:
    """95% parse as JSON objects or arrays, and the keys of the objects are mostly the same ones."""
    keys: Counter[str] = Counter()
    objects = arrays = lists_of_text = 0
    for answer in answers:
        if answer[:1] not in ("{", "["):
            continue
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            objects += 1
            keys.update(value.keys())
        else:
            arrays += 1
            lists_of_text += all(isinstance(item, str) and len(item) <= MAX_LABEL_CHARS for item in value)
    if objects + arrays < MIN_JSON * len(answers):
        return None
    stable = sorted(key for key, count in keys.items() if count >= objects / 2)
    if objects >= arrays and sum(keys[key] for key in stable) < sum(keys.values()) / 2:
        return None
    share = _percent(objects + arrays, len(answers))
    what = f"objects with the keys {', '.join(stable[:5])}" if objects >= arrays else "arrays"
    also: tuple[TaskKind, ...] = ("multi-label",) if lists_of_text >= MIN_JSON * len(answers) else ()
    return TaskTypeGuess("json", f"{share} of the answers are JSON {what}", also=also)


def _as_multi_label(answers: Sequence[str]) -> TaskTypeGuess | None:
    """Sets of labels, of which many hold more than one."""
    sets = _label_sets(answers)
    if sets is None or sum(1 for labels in sets if len(labels) > 1) < MIN_SEVERAL * len(sets):
        return None
    labels, _ = _spelled(label for found in sets for label in found)
    why = f"{len(answers)} answers are sets of {len(labels)} labels ({_named(labels)})"
    return TaskTypeGuess("multi-label", why, labels, ("classification",) if _as_classification(answers) else ())


def _label_sets(answers: Sequence[str]) -> list[tuple[str, ...]] | None:
    """The answers as sets of labels from a closed vocabulary; None where that does not explain them.

    It does where the labels are fewer than the different sets that they make up, and the sets are of several sizes.
    Single labels with a comma in them ("shoes, bags") are not, as their parts are no fewer, and records ("city,
    country") are not, as they are of one size.
    """
    if (
        len(answers) < MIN_SETS
        or _share(answers, _is_label_set) < MIN_JSON
        or _share(answers, _is_number) >= MIN_NUMERIC
    ):
        return None
    sets = [split_labels(answer) for answer in answers]
    folded = [frozenset(map(fold, labels)) for labels in sets]
    if sum(len(one) == len(labels) for one, labels in zip(folded, sets, strict=True)) < MIN_JSON * len(sets):
        return None
    counts = Counter(label for one in folded for label in one)
    if not counts or len(counts) >= len(set(folded)) or not _is_closed(counts) or _are_sentences(Counter(answers)):
        return None
    same_size = max(Counter(map(len, sets)).values())
    return sets if same_size <= MAX_SAME_SIZE * len(sets) else None


def _is_label_set(answer: str) -> bool:
    labels = split_labels(answer)
    return all(len(label) <= MAX_LABEL_CHARS and len(label.split()) <= MAX_LABEL_WORDS for label in labels)


def _as_classification(answers: Sequence[str]) -> TaskTypeGuess | None:
    """Short answers out of a closed set: few distinct ones, and hardly any that occurs once."""
    if sum(len(answer) <= MAX_LABEL_CHARS for answer in answers) < MIN_JSON * len(answers):
        return None
    labels, counts = _spelled(answers)
    numbers = sum(count for label, count in counts.items() if _NUMBER.fullmatch(label))
    mostly_numbers = numbers >= MIN_NUMERIC * len(answers)
    if not _is_closed(counts) or (len(counts) > 10 and mostly_numbers) or _are_sentences(counts):
        return None
    what = "label" if len(labels) == 1 else "labels"
    also: list[TaskKind] = ["numeric"] if mostly_numbers else []
    also += ["multi-label"] if _label_sets(answers) else []
    why = f"{len(answers)} answers use {len(labels)} {what} ({_named(labels)})"
    return TaskTypeGuess("classification", why, labels, tuple(also))


def _as_numeric(answers: Sequence[str]) -> TaskTypeGuess | None:
    """90% are a number, or end in one that is marked as the result."""
    share = _share(answers, _is_number)
    if share < MIN_NUMERIC:
        return None
    worked = median(len(answer.split()) for answer in answers) > MAX_SHORT_WORDS
    what = "end in a number that is marked as the result" if worked else "are a number"
    return TaskTypeGuess("numeric", f"{share:.0%} of the answers {what}", also=("text",) if worked else ())


def _is_number(answer: str) -> bool:
    r"""A number, or a solution with its result after ``####`` (as in GSM8K) or in ``\boxed{}`` (as in MATH)."""
    result = answer.rpartition("####")[2].strip()  # all of it where there is no mark
    return _QUANTITY.fullmatch(result) is not None or "\\boxed{" in answer


def _as_code(answers: Sequence[str]) -> TaskTypeGuess | None:
    """90% are Python that does something. Other languages are not known, and are taken for text."""
    share = _share(answers, is_python)
    if share < MIN_CODE:
        return None
    one_line = median(answer.count("\n") for answer in answers) == 0
    why = f"{share:.0%} of the answers are Python code"
    return TaskTypeGuess("code", why, also=("short-answer",) if one_line else ())


def _as_short_answer(answers: Sequence[str]) -> TaskTypeGuess | None:
    words = median(len(answer.split()) for answer in answers)
    if words > MAX_SHORT_WORDS or _are_sentences(Counter(answers)):
        return None
    also: list[TaskKind] = ["classification"] if len(set(map(fold, answers))) <= CLOSE * len(answers) else []
    also += ["multi-label"] if _label_sets(answers) else []
    why = f"half of the answers have {words:g} words or fewer, and most differ"
    return TaskTypeGuess("short-answer", why, also=(*also, *_close(answers)))


def _as_text(answers: Sequence[str]) -> TaskTypeGuess:
    words = median(len(answer.split()) for answer in answers)
    return TaskTypeGuess("text", f"the answers are running text of {words:g} words (median)", also=_close(answers))


def _close(answers: Sequence[str]) -> tuple[TaskKind, ...]:
    """The kinds that half of the answers are of, though not enough for a guess."""
    tests: tuple[tuple[TaskKind, Callable[[str], bool]], ...] = (("numeric", _is_number), ("code", is_python))
    return tuple(kind for kind, test in tests if _share(answers, test) >= CLOSE)


def _share(answers: Sequence[str], test: Callable[[str], bool]) -> float:
    """The share of answers that pass, among at most 300 that are drawn at random, the same ones each time."""
    drawn = random.Random(0).sample(answers, SAMPLE) if len(answers) > SAMPLE else answers
    return sum(map(test, drawn)) / len(drawn)


def _spelled(answers: Iterable[str]) -> tuple[tuple[str, ...], Counter[str]]:
    """The distinct labels in their first spelling, the most frequent first, and how often each occurs."""
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for answer in answers:
        counts[spelling.setdefault(fold(answer), answer)] += 1
    return tuple(label for label, _ in counts.most_common()), counts


def _is_closed(counts: Counter[str]) -> bool:
    """Few distinct ones, and hardly any that occurs once."""
    total = counts.total()
    once = sum(1 for count in counts.values() if count == 1)
    distinct = len(counts) / total
    closed = distinct <= MAX_DISTINCT and once <= len(counts) / 2
    return closed or (distinct <= MAX_DISTINCT_SMALL and once <= MAX_UNSEEN * total)


def _named(labels: Sequence[str]) -> str:
    return ", ".join(label[:30] for label in labels[:3]) + (", ..." if len(labels) > 3 else "")


def _are_sentences(counts: Counter[str]) -> bool:
    """Most of the distinct answers are sentences of several words: phrases of a style, not labels or facts."""
    sentences = sum(1 for answer in counts if len(answer.split()) > 3 and _SENTENCE.search(answer))
    return sentences > len(counts) / 2


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole}%"

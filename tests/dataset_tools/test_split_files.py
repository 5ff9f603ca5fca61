from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_tools.errors import DataError, LeakError, UsageError
from dataset_tools.example import Example, Split
from dataset_tools.split_files import split_file
from dataset_tools.split_leaks import find_leaks

Write = Callable[..., Path]
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory", "jetty", "karst", "lilac"]


def _lines(count: int, *, labels: tuple[str, ...] = (), seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    prompts = [f"{n}: " + " ".join(rng.choices(WORDS, k=12)) for n in range(count)]
    answers = [labels[n % len(labels)] if labels else f"answer {n}: {prompt}" for n, prompt in enumerate(prompts)]
    rows = [
        {"prompt": prompt, "completion": answer, "user": f"u{n // 5}", "n": n}
        for n, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]
    return [json.dumps(row, separators=(" , ", ":")) for row in rows]


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_all_rows_come_out_once_as_they_stand_in_the_file(write: Write, tmp_path: Path) -> None:
    lines = _lines(100)
    result = split_file(write("\n".join(lines)), tmp_path / "out")
    assert result.counts == {"train": 72, "validation": 8, "test": 20}
    written = [line for path in result.files.values() for line in _read(path)]
    assert sorted(written) == sorted(lines)
    assert written != lines


def test_the_record_says_how_it_was_split_and_the_same_split_has_the_same_files(write: Write, tmp_path: Path) -> None:
    path = write("\n".join([*_lines(60, labels=("yes", "no")), "broken", *_lines(60, labels=("yes", "no"))[:3]]))
    one, other = split_file(path, tmp_path / "a", seed=5), split_file(path, tmp_path / "b", seed=5)
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "split.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    record = json.loads((tmp_path / "a" / "split.json").read_text())
    assert record == json.loads(json.dumps(one.to_dict())) == json.loads(json.dumps(other.to_dict()))
    assert record["dropped"] == {"duplicates": 3, "duplicate_lines": [62, 63, 64], "unusable": 1}
    assert record["labels"]["test"] == {"no": 10, "yes": 10}
    assert record["leaks"]["shown"] == []
    assert record["seed"] == 5


def test_rows_of_one_value_of_a_column_stay_on_one_side(write: Write, tmp_path: Path) -> None:
    result = split_file(write("\n".join(_lines(100))), tmp_path / "out", group_by="user", test=20, validation=10)
    users = [{json.loads(line)["user"] for line in _read(path)} for path in result.files.values()]
    assert not (users[0] & users[1] or users[0] & users[2] or users[1] & users[2])
    assert result.groups == {"train": 14, "validation": 2, "test": 4}
    assert result.leaks.is_clean


def test_a_column_that_no_row_has_is_refused_with_those_there_are(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="completion, n, prompt, user"):
        split_file(write("\n".join(_lines(30))), tmp_path / "out", group_by="document")


def test_a_table_is_split_into_json_lines(write: Write, tmp_path: Path) -> None:
    rows = "\n".join(f'"{json.loads(line)["prompt"]}",answer {n}' for n, line in enumerate(_lines(40)))
    result = split_file(write(f"prompt,completion\n{rows}\n", "rows.csv"), tmp_path / "out")
    assert {frozenset(json.loads(line)) for line in _read(result.files["test"])} == {
        frozenset({"prompt", "completion"})
    }
    assert sum(result.counts.values()) == 40


def test_an_empty_set_has_no_file(write: Write, tmp_path: Path) -> None:
    path = write("\n".join(_lines(40)))
    split_file(path, tmp_path / "out")
    result = split_file(path, tmp_path / "out", validation=0, overwrite=True)
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["split.json", "test.jsonl", "train.jsonl"]
    assert sorted(result.files) == ["test", "train"]


def test_files_that_are_there_are_not_overwritten_unasked_and_the_source_never(write: Write, tmp_path: Path) -> None:
    path = write("\n".join(_lines(40)), "train.jsonl")
    with pytest.raises(UsageError, match="its own source"):
        split_file(path, tmp_path, overwrite=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "test.jsonl").write_text("mine")
    with pytest.raises(UsageError, match="already"):
        split_file(path, tmp_path / "out")
    assert (tmp_path / "out" / "test.jsonl").read_text() == "mine"


def test_a_file_without_rows_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no usable row"):
        split_file(write('{"a": 1}\n{"a": 2}\n'), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _parts() -> tuple[list[Example], Split]:
    texts = [json.loads(line)["prompt"] for line in _lines(30)]
    rows = [Example.of(text, f"answer {n}", line=n + 1, record=n + 1) for n, text in enumerate(texts)]
    return rows, Split(tuple(rows[:20]), tuple(rows[20:25]), tuple(rows[25:]))


def test_a_clean_split_has_no_leaks() -> None:
    _, parts = _parts()
    check = find_leaks(parts)
    assert check.is_clean
    check.require_clean()


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("exact", lambda row: Example.of(f"  {row.question.upper()} ", "other", line=99, record=99)),
        ("near", lambda row: Example.of(f"{row.question}!! s", "other", line=99, record=99)),
        ("group", lambda row: Example(Example.of("of its own, quite", "x").messages, line=99, record=99, group="g")),
    ],
)
@pytest.mark.parametrize("side", ["validation", "test"])
def test_a_leak_of_each_kind_is_found_with_its_place(
    kind: str, changed: Callable[[Example], Example], side: str
) -> None:
    rows, parts = _parts()
    grouped = Example(rows[3].messages, line=4, record=4, group="g")
    train = (*parts.train[:3], grouped, *parts.train[4:])
    leaked = changed(grouped)
    made = {"train": train, "validation": parts.validation, "test": parts.test}
    made[side] = (*made[side], leaked)
    check = find_leaks(Split(**made))
    assert {name: getattr(check, name) for name in ("exact", "near", "group")} == {
        name: int(name == kind) for name in ("exact", "near", "group")
    }
    [leak] = check.shown
    assert (leak.kind, leak.set, leak.line, leak.other_set, leak.other_line) == (kind, side, 99, "train", 4)
    with pytest.raises(LeakError, match="line 99"):
        check.require_clean()

"""A metric of the user's own, from a file: found, checked, and its mistakes told with the row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.metrics import Metric, metric_named
from dataset_tools.errors import UsageError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(source: str, name: str = "my_metric.py") -> Path:
        file = tmp_path / name
        file.write_text(source, "utf-8")
        return file

    return write_file


def returning(value: str, write: Write) -> Metric:
    return metric_named(str(write(f"def score(answer, wanted):\n    return {value}\n")))


def test_a_file_is_a_metric(write: Write) -> None:
    file = write("def score(answer: str, wanted: str) -> float:\n    return len(answer) / 10\n")
    metric = metric_named(str(file))
    assert metric.scores(["", "abc", "a" * 10], ["x", "y", "z"]) == (0.0, 0.3, 1.0)
    assert metric.score("ab", "x") == 0.2
    assert (metric.name, metric.title) == (f"{file}:score", "score of my_metric.py")
    assert metric.details(["a"], ["b"]) == {}
    with pytest.raises(ValueError, match="one answer for each wanted answer"):
        metric.scores(["a"], [])


def test_a_function_can_be_named_and_is_found_again_from_another_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("def half(answer, wanted, *, more=0):\n    return 0.5\n\nclass Judge:\n    one = 1\n")
    monkeypatch.chdir(tmp_path)
    name = metric_named("my_metric.py:half").name
    monkeypatch.chdir(tmp_path.parent)
    assert metric_named(name).score("a", "b") == 0.5


def test_the_file_may_use_what_python_files_use(write: Write) -> None:
    source = """
        from __future__ import annotations
        import dataclasses

        import numpy as np

        @dataclasses.dataclass
        class Pair:
            answer: str
            wanted: str

        def score(answer, wanted):
            pair = Pair(answer, wanted)
            return np.float32(pair.answer == pair.wanted)
    """
    metric = metric_named(str(write("\n".join(line[8:] for line in source.splitlines()))))
    assert metric.scores(["a", "b"], ["a", "a"]) == (1.0, 0.0)


@pytest.mark.parametrize("value", ["True", "1", "0", "0.25", "__import__('numpy').bool_(True)"])
def test_numbers_of_any_kind_from_0_to_1_are_scores(value: str, write: Write) -> None:
    assert 0.0 <= returning(value, write).score("a", "b") <= 1.0


@pytest.mark.parametrize(
    "value", ["1.01", "-0.01", "float('nan')", "float('inf')", "None", "'1'", "[1]", "10**400", "{}", "1j"]
)
def test_anything_else_is_refused_with_the_row_and_the_value(value: str, write: Write) -> None:
    metric = returning(f"1.0 if answer == 'good' else {value}", write)
    with pytest.raises(UsageError, match="gave no score") as caught:
        metric.scores(["good", "good", "bad answer"], ["w", "w", "wanted so"])
    told = str(caught.value)
    assert "my_metric.py:score, row 3" in told and "'bad answer'" in told and "'wanted so'" in told
    assert repr(eval(value))[:200] in told


@pytest.mark.parametrize(
    ("mistake", "kind"),
    [("1 / len(answer)", "ZeroDivisionError"), ("answer[0]", "IndexError"), ("anwser", "NameError")],
)
def test_a_mistake_in_the_function_is_told_with_the_row(mistake: str, kind: str, write: Write) -> None:
    with pytest.raises(UsageError, match=kind) as caught:
        returning(mistake, write).scores([""], ["w"])
    assert "row 1" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def scores(answer, wanted):\n    return 1\n", "no function score"),
        ("score = 0.5\n", "score is a float"),
        ("def score(answer):\n    return 1\n", "two arguments"),
        ("def score(answer, wanted, third):\n    return 1\n", "third"),
        ("def score(answer, wanted:\n", "SyntaxError"),
        ("import there_is_no_such_module\n", "there_is_no_such_module"),
        ("raise ValueError('not today')\n", "not today"),
    ],
)
def test_a_file_without_a_metric_is_refused_at_once(source: str, found: str, write: Write) -> None:
    with pytest.raises(UsageError, match=r"cannot be used") as caught:
        metric_named(str(write(source)))
    assert found in str(caught.value) and "my_metric.py" in str(caught.value)


@pytest.mark.parametrize("name", ["none.py", "none.py:score", "folder.py"])
def test_a_file_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UsageError, match="no such file"):
        metric_named(str(tmp_path / name))


@pytest.mark.parametrize("name", ["metric.txt", "metric.py:not a name", "metric.py:", "score"])
def test_other_names_are_no_files(name: str) -> None:
    with pytest.raises(UsageError, match="no such metric"):
        metric_named(name)

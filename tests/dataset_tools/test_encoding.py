from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_tools.reading import UnreadableError, read_source

FRENCH = ["Voilà l'été déjà passé", "Où est la gare, s'il vous plaît ?", "Ça coûte 5 €", "plain", "naïve “œuvre”"]


def _lines(texts: list[str]) -> str:
    return "".join(json.dumps({"prompt": text, "completion": "ok"}, ensure_ascii=False) + "\n" for text in texts)


def _prompts(path: Path) -> list[object]:
    return [row.value["prompt"] for row in read_source(path).rows if isinstance(row.value, dict)]


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_text_survives_its_encoding(write: Callable[..., Path], codec: str, encoding: str) -> None:
    path = write(_lines(FRENCH).encode(codec))
    assert _prompts(path) == FRENCH
    assert read_source(path).encoding == encoding


@pytest.mark.parametrize(
    ("codec", "text"), [("cp1251", "Где находится ближайшая станция метро"), ("gb18030", "最近的地铁站在哪里")]
)
def test_other_code_pages_are_guessed(write: Callable[..., Path], codec: str, text: str) -> None:
    texts = [f"{text} {n}" for n in range(20)]
    assert _prompts(write(_lines(texts).encode(codec))) == texts


def test_a_legacy_file_is_reported_with_its_first_bad_byte_and_all_bad_lines(write: Callable[..., Path]) -> None:
    content = _lines(["plain", *FRENCH]).encode("cp1252")
    problems = [problem for problem in read_source(write(content)).problems if problem.check == "encoding"]
    assert [problem.line for problem in problems] == [2, 3, 4, 6]
    offset = content.index("à".encode("cp1252"))
    column = offset - content.index(b"\n")
    assert f"line 2, byte {column} (0xE0, offset {offset}); read as cp1252" in problems[0].message


def test_one_bad_line_in_a_utf_8_file_does_not_spoil_the_others(write: Callable[..., Path]) -> None:
    good = _lines(["été"]).encode() * 20
    path = write(good + _lines(["forêt"]).encode("cp1252") + good)
    assert _prompts(path) == ["été"] * 20 + ["forêt"] + ["été"] * 20
    assert [problem.line for problem in read_source(path).problems] == [21]


def test_a_byte_order_mark_is_told_and_left_out(write: Callable[..., Path]) -> None:
    source = read_source(write("\ufeffprompt,completion\na,b\n"))
    assert source.columns == ("prompt", "completion")
    assert [problem.check for problem in source.problems] == ["bom"]


def test_bytes_that_are_text_in_no_encoding_are_binary(write: Callable[..., Path]) -> None:
    with pytest.raises(UnreadableError):
        read_source(write(bytes(range(0x80, 0x9F)) * 50))

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.data_card import BINS, DataCard, Lengths, data_card
from dataset_tools.errors import DataError
from dataset_tools.lint import lint

Write = Callable[..., Path]
LABELS = ("cancel", "refund", "track")


def _labelled(count: int = 60) -> str:
    rows = [
        {"prompt": f"message number {n} of a customer", "completion": LABELS[n % 3], "group": f"c{n % 7}"}
        for n in range(count)
    ]
    return "\n".join(map(json.dumps, rows))


def test_a_card_counts_what_is_in_the_file(write: Write) -> None:
    path = write(_labelled() + '\n{"prompt": "no answer"}\nbroken\n')
    card = data_card(path, title="Support", licence="CC-BY-4.0", description="From our desk.")
    assert (card.title, card.licence, card.format, card.container) == (
        "Support",
        "CC-BY-4.0",
        "prompt_completion",
        "jsonl",
    )
    assert (card.records, card.rows, card.groups) == (62, 60, 7)
    assert card.messages == {"assistant": 60, "user": 60}
    assert card.task == "classification"
    assert card.labels == {"cancel": 20, "refund": 20, "track": 20}
    assert (card.answers.least, card.answers.median, card.answers.most, card.answers.total) == (5, 6, 6, 340)
    assert card.bytes == path.stat().st_size
    assert {finding.check for finding in card.findings} == {finding.check for finding in lint(path).findings}
    assert json.loads(json.dumps(card.to_dict()))["sha256"] == card.sha256


def test_the_same_file_has_the_same_card_and_one_byte_makes_another(write: Write) -> None:
    path = write(_labelled())
    one, other = data_card(path), data_card(path, report=lint(path))
    assert one == other
    assert one.to_html() == other.to_html()
    assert one.to_markdown() == other.to_markdown()
    assert data_card(write(_labelled(61), "rows.jsonl")).sha256 != one.sha256


def test_a_licence_that_is_not_given_is_said_to_be_not_stated(write: Write) -> None:
    card = data_card(write(_labelled()))
    assert card.licence == "not stated"
    assert "license:" not in card.to_markdown()
    assert 'license: "mit"' in data_card(write(_labelled()), licence="mit").to_markdown()


def test_equal_rows_are_counted_as_duplicates(write: Write) -> None:
    lines = _labelled().split("\n")
    assert data_card(write("\n".join([*lines, *lines[:4]]))).exact_duplicates == 4


def test_tokens_are_those_of_the_tokenizer(write: Write, tokenizer: Any) -> None:
    path = write('{"prompt": "hi", "completion": "hello"}\n{"prompt": "how", "completion": "so"}')
    card = data_card(path, tokenizer=tokenizer, max_length=512)
    assert card.tokens is not None
    assert not card.tokens.estimated
    assert card.tokens.trained == len("hello") + len("so") + 2
    assert card.tokens.total == card.tokens.rows.total
    assert "tokens" in card.to_markdown()


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=80))
def test_lengths_are_summed_up_without_losing_one(values: list[int]) -> None:
    lengths = Lengths.of(values)
    assert sum(bin.count for bin in lengths.bins) == len(values) == lengths.count
    assert len(lengths.bins) <= BINS
    assert lengths.least <= lengths.p5 <= lengths.median <= lengths.p95 <= lengths.most
    for one, following in zip(lengths.bins, lengths.bins[1:], strict=False):
        assert one.high == following.low
    for bin in lengths.bins:
        assert bin.count == sum(bin.low <= value and (bin.high is None or value < bin.high) for value in values)


class _Page(HTMLParser):
    """Checks that tags are closed in order, and gathers what a page could load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "action") or name.startswith("on")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _page(card: DataCard) -> _Page:
    page = _Page()
    page.feed(card.to_html())
    page.close()
    assert page.open == []
    return page


def test_the_page_is_whole_and_loads_and_runs_nothing(write: Write) -> None:
    page = _page(data_card(write(_labelled())))
    assert page.loads == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("svg") >= 3
    assert len(data_card(write(_labelled())).to_html()) < 50_000


def test_text_of_the_data_stays_text_on_both_pages(write: Write) -> None:
    evil = '</text></svg><script>alert("x")</script>|`*'
    rows = [{"prompt": f"question number {n}", "completion": [evil, "plain"][n % 2]} for n in range(40)]
    card = data_card(write("\n".join(map(json.dumps, rows))), title=evil, description="<img src=x onerror=y>")
    assert card.labels is not None
    assert evil in card.labels
    page = _page(card)
    assert page.loads == []
    assert "script" not in page.tags
    assert evil in page.text
    cells = [line for line in card.to_markdown().split("\n") if line.startswith("| ") and "alert" in line]
    assert not any("<script" in cell for cell in cells)
    assert [len(re.findall(r"(?<!\\)\|", cell)) for cell in cells] == [3, 4]  # the task, and the label


def test_an_empty_file_and_one_without_a_usable_row_have_no_card(write: Write) -> None:
    with pytest.raises(DataError):
        data_card(write(""))
    with pytest.raises(DataError, match="no usable row"):
        data_card(write('{"prompt": "no answer"}\n' * 3))


@pytest.mark.parametrize(
    "name",
    ["coffee_messages.parquet", "reviews_excel.csv", "inst_gsm8k.txt", "naughty_strings.jsonl", "trivia_broken.jsonl"],
)
def test_the_messy_files_have_a_card(messy: Path, name: str) -> None:
    card = data_card(messy / name)
    report = lint(messy / name)
    assert (card.records, card.rows, card.format) == (report.rows, report.usable, report.format)
    _page(card)

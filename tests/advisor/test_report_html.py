"""The report as a page: its figures are the result's, it loads nothing, and no text of a row or a model acts in it."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from advisor.report import to_html
from advisor.report.figures import cut, duration, money, percent, roughly, signed
from advisor.report.html import readings
from advisor.report.plots import cost_plot, curve_plot, gaps_plot, scores_plot
from advisor.results import items
from advisor.task import Task, make_task
from dataset_tools.example import Example
from tests.advisor.report_support import arm, result_of, with_everything

EVIL = (
    "</style></script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
    "<svg onload=\"document.title='owned'\"></svg>{{ 7 * 7 }}{% raw %}' \" & \u202e <iframe src=http://example.com>"
)
VOID = {"meta"}


class Page(HTMLParser):
    """What a page holds: its text, its tags with their attributes, and whether they are nested rightly."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open and self.open[-1] == "style" else data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def task(make_tickets: Any) -> Task:
    return make_task(make_tickets(40), make_tickets(40, start=60))


@pytest.fixture(scope="module")
def plain(task: Task) -> dict[str, Any]:
    return result_of(task, arm(task, "zero-shot", 5), arm(task, "few-shot", 28), arm(task, "qlora", 30))


@pytest.fixture(scope="module")
def rows(task: Task) -> list[dict[str, Any]]:
    return list(items(task, [arm(task, "zero-shot", 5), arm(task, "few-shot", 28), arm(task, "qlora", 30)]))


@pytest.fixture(scope="module")
def full(plain: dict[str, Any]) -> dict[str, Any]:
    return with_everything(plain)


def test_the_verdict_comes_first_and_the_three_numbers_follow(full: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    words = Page(to_html(full, rows)).words
    assert (full["verdict"]["kind"], full["verdict"]["arm"]) == ("not_enough_evidence", "qlora")
    opening = words.index("Best bet so far: Fine-tuned (QLoRA).")
    sentence = words.index(full["verdict"]["sentence"])
    gain = words.index("+5.0 points over Few-shot (nearest examples)")
    chance = words.index(f"{percent(full['verdict']['probability_best']['qlora'])} chance to be the best")
    cost = words.index("$0.060 for 1,000 requests with prefix caching; $0.090 without; assumed prices")
    assert opening < sentence < gain < chance < cost < words.index("Scores")


def test_each_part_is_shown_where_it_is_there_and_an_older_result_has_a_page_too(
    plain: dict[str, Any], full: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    only_new = [
        "It answers 3 of 8 harmful requests. Serve it with a filter in front.",
        "40 test rows can show a gap of about 21.0 points",
        "the choice is worth 68.0 points (55.0 to 79.0); on all rows Fine-tuned (QLoRA) has 75.0. 80% of the folds",
        "Dropped after 32 rows: surely worse than few-shot.",
        "Setting: the 6 nearest examples; chosen from 2 on rows held back for it (24 answers).",
        "75.0 (60.0 to 85.0) on 24",
        "Format: read leniently, +12.0 points.",
        "Noise: no conflicts. Demonstrations lower the loss.",
        "Would more training rows help? Doubling the training rows likely adds 1.2 to 7.9 points.",
        "Above 12,000 requests a month it is cheaper.",
        "15,000 requests without prefix caching, never with it",
        "wanted \\ answered PRINT DOORS other PRINT 9 1 DOORS 8 2",
        "fitting-room compare again",
    ]
    new, old = Page(to_html(full, rows)).words, Page(to_html(plain, rows)).words
    assert [part for part in only_new if part not in new] == []
    assert [part for part in only_new if part in old] == []
    assert "Left out Nothing." in old and "Cost against quality" in old


@pytest.mark.parametrize("key", ["plan", "gaps", "confirmed", "cost", "learning_curve", "command", "left_out", "pairs"])
def test_any_one_part_may_be_missing_or_null(full: dict[str, Any], rows: list[dict[str, Any]], key: str) -> None:
    Page(to_html({name: value for name, value in full.items() if name != key}, rows))
    Page(to_html(full | {key: None}, rows))


@pytest.mark.parametrize("key", ["cost", "tuning", "near", "far", "dropped", "confusion", "shared_prefix_tokens"])
def test_any_part_of_an_arm_may_be_missing_or_null(full: dict[str, Any], rows: list[dict[str, Any]], key: str) -> None:
    for missing in (True, False):
        result = copy.deepcopy(full)
        for each in result["arms"]:
            each.pop(key) if missing else each.update({key: None})
        Page(to_html(result, rows))


def test_nothing_is_loaded_and_nothing_runs(full: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    page = to_html(full, rows)
    tags = Page(page).tags
    assert {name for name, _ in tags} & {"script", "link", "img", "iframe", "object", "embed", "form", "a"} == set()
    names = {attribute for _, attributes in tags for attribute in attributes}
    assert not {name for name in names if name.startswith("on")} and not names & {"src", "href", "style", "srcset"}
    assert not re.search(r"https?:|url\(|@import|//", page)
    policy = next(each["content"] for _, each in tags if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'")


def evil_task() -> Task:
    train = [f"row {word * 2} {word}" for word in ("ba", "do", "ki", "lu", "me", "no", "pi", "ra")]
    test = [Example.of(f"{EVIL} number {number} {chr(97 + number) * 4}", f"{EVIL} {number}") for number in range(8)]
    return make_task([Example.of(question, "x") for question in train], test, metric="exact-match")


def evil_page() -> str:
    task = evil_task()
    arms = [arm(task, "zero-shot", 3), arm(task, "few-shot", 6)]
    result = result_of(task, *arms, left_out=[EVIL], command=EVIL)
    result["arms"][0]["title"] = result["verdict"]["sentence"] = result["verdict"]["next_step"] = EVIL
    result["task"]["why"] = result["model"] = result["baseline"]["name"] = EVIL
    result["gaps"] = [
        {"name": "format", "title": EVIL, "size": 0.1, "interval": [0.0, 0.2], "rows": 9, "sentence": EVIL}
    ]
    return to_html(result, items(task, arms))


def test_hostile_text_stays_text() -> None:
    page = Page(evil_page())
    assert {name for name, _ in page.tags} & {"script", "img", "iframe"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count("{{ 7 * 7 }}{% raw %}") >= 10 and "49" not in page.text


@pytest.mark.browser
def test_hostile_text_is_harmless_in_a_browser_at_any_width(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(evil_page(), "utf-8")
    page, asked = browser.new_page(viewport={"width": 390, "height": 800}), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    assert page.title().startswith("Fitting Room: ")
    assert asked == [file.as_uri()]
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("article .text").first.inner_text().startswith("</style></script><script>")
    page.close()


def test_lone_halves_of_characters_do_not_keep_the_page_from_being_written(
    plain: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(to_html(plain | {"left_out": ["half \ud800"]}, []), "utf-8")


def test_two_hundred_long_rows_keep_the_page_below_300_kb(make_tickets: Any) -> None:
    task = make_task(make_tickets(40), make_tickets(130, start=60))
    arms = [arm(task, "zero-shot", 20), arm(task, "few-shot", 70)]
    long = [each | {"prompt": "<&> " * 5000, "wanted": "<&> " * 2000} for each in items(task, arms)]
    for each in long:
        each["arms"] = {name: answer | {"answer": "<&> " * 2000} for name, answer in each["arms"].items()}
    page = to_html(result_of(task, *arms), [*long, *long])
    assert len(page.encode()) < 300_000


def test_wins_and_losses_are_the_rows_that_differ_most(task: Task, plain: dict[str, Any]) -> None:
    written = list(items(task, [arm(task, "few-shot", 28), arm(task, "qlora", 30)]))
    scores = {3: 0.25, 7: 0.5, 9: 1.0, 11: 0.5}  # of few-shot; qlora has 0 there, and all else is equal
    for each in written:
        each["arms"]["qlora"]["score"] = 0.0
        each["arms"]["few-shot"]["score"] = scores.get(each["index"], 0.0)
    wins, losses = readings(plain, written, most=3)
    assert wins == [] and [row.place for row in losses] == ["Test row 10", "Test row 8", "Test row 12"]
    assert losses[0].theirs_score == "100" and losses[0].ours_score == "0"
    written[0]["arms"]["qlora"]["score"] = 0.5
    del written[9]["arms"]["few-shot"]  # dropped before this row
    wins, losses = readings(plain, written, most=3)
    assert [row.place for row in wins] == ["Test row 1"]
    assert [row.place for row in losses] == ["Test row 8", "Test row 12", "Test row 4"]


def test_marks_lie_where_the_figures_are(full: dict[str, Any]) -> None:
    plot = scores_plot(full)
    assert plot.axis.low == 0 and [row.tone for row in plot.rows] == ["dropped", "plain", "best"]
    for row, each in zip(plot.rows, full["arms"], strict=True):
        assert row.at == pytest.approx(100 * each["score"] / plot.axis.high, abs=0.01)
        assert row.low == pytest.approx(100 * each["interval"][0] / plot.axis.high, abs=0.01)
        assert row.low <= row.at <= row.high <= 100
    gaps = gaps_plot(full)
    assert gaps is not None and [row.title for row in gaps.rows] == ["Format"]  # the others are no points
    curve = curve_plot(full)
    assert curve is not None and [label for _, label in curve.x.ticks] == ["20", "40", "80"]
    assert curve.x.at(40) == 50.0  # logarithmic


def test_the_losses_of_the_learning_curve_have_a_plot_of_their_own(full: dict[str, Any]) -> None:
    assert curve_plot(full, loss=True) is None and 'id="losses"' not in to_html(full, [])
    both = copy.deepcopy(full)
    both["learning_curve"]["loss"] = {
        "points": [{"n": 20, "loss": 2.5, "interval": [2.3, 2.7]}, {"n": 40, "loss": 2.0}],
        "fan": [
            {"n": 40, "p5": 1.8, "p25": 1.9, "p50": 2.0, "p75": 2.1, "p95": 2.2},
            {"n": 80, "p5": 1.2, "p25": 1.5, "p50": 1.6, "p75": 1.8, "p95": 2.1},
        ],
        "sentence": "Doubling the training rows likely lowers the loss by 0.100 to 0.400 nats per token.",
    }
    plot = curve_plot(both, loss=True)
    assert plot is not None and plot.y_name == "loss, nats a token"
    assert [dot.text for dot in plot.dots] == ["2.500", "2.000"]
    first, second = plot.dots  # SVG counts from the top: a higher loss lies higher
    assert first.y < second.y and first.y_ends[0] > first.y > first.y_ends[1] and second.y_ends == (second.y, second.y)
    page = to_html(both, [])
    assert 'id="losses"' in page and "lowers the loss by 0.100 to 0.400" in page


def test_the_spread_of_tokens_gives_costs_their_interval(full: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    plot = cost_plot(full, rows)
    assert plot is not None and plot.has_spread and "dollars" in plot.x_name
    ends = [dot.x_ends for dot in plot.dots]
    assert all(low < dot.x < high for dot, (low, high) in zip(plot.dots, ends, strict=True))
    # Prompts have 100 to 139 tokens, 40 of them cached, and answers 5: the SD is that of 40 numbers in a row.
    mean, deviation = 0.1 * (119.5 - 40) + 0.01 * 40 + 0.3 * 5, 0.1 * 11.6905
    expected = 1.96 * deviation / 40**0.5 / mean
    low, high = ends[2]
    assert (high - low) / 2 / plot.dots[2].x == pytest.approx(expected, rel=0.02)
    bare = cost_plot(full, [])
    assert bare is not None and not bare.has_spread


def test_here_a_request_costs_time(full: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    here = copy.deepcopy(full)
    here["cost"]["situation"]["runs_on"] = "here"
    words = Page(to_html(here, rows)).words
    assert "8 min 20 s for 1,000 requests measured on this machine" in words
    assert "The prices are assumed." not in words and "The prices are assumed." in Page(to_html(full, rows)).words


def test_one_arm_or_none_that_works_has_a_page(task: Task) -> None:
    one = result_of(task, arm(task, "zero-shot", 30))
    words = Page(to_html(one, [])).words
    assert "+50.0 points over no model at all" in words and "Cost against quality" not in words
    none = result_of(task, arm(task, "zero-shot", 0), arm(task, "few-shot", 1), reasons={"rag": "no documents"})
    words = Page(to_html(none, [])).words
    assert "Nothing works yet Take none of these yet." in words and "was not run: no documents" in words
    unknown = copy.deepcopy(one)
    unknown["verdict"]["kind"] = "a kind of later"
    assert "a kind of later" in Page(to_html(unknown, [])).words


def test_figures_read_as_people_write_them() -> None:
    assert [signed(value) for value in (0.0123, -0.5, 0.0001, -0.0001)] == ["+1.2", "-50.0", "0.0", "0.0"]
    assert [percent(value) for value in (0, 0.001, 0.5, 0.996, 1)] == ["0%", "under 1%", "50%", "over 99%", "100%"]
    assert [money(value) for value in (0, 0.0042, 0.057, 3.4, 1234.5)] == [
        "$0.00",
        "$0.0042",
        "$0.057",
        "$3.40",
        "$1,234",
    ]
    assert [duration(value) for value in (0, 0.81, 35, 250, 7500)] == [
        "0 s",
        "0.81 s",
        "35 s",
        "4 min 10 s",
        "2 h 5 min",
    ]
    assert [roughly(value) for value in (0.2, 7, 15234)] == ["1", "7", "15,000"]
    assert cut("a" * 50 + "b" * 50, 40) == "a" * 22 + " […] " + "b" * 13
    assert cut("short", 40) == "short"

"""One answer, word by word: the same as of many at once, and ended when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.models import Models
from dataset_tools import Message, UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPT = (Message("user", "What is the colour of the house?"),)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


def test_a_streamed_answer_is_the_greedy_one_and_grows(models: Models, tiny_model: Path) -> None:
    told: list[str] = []
    answer = models.stream(str(tiny_model), PROMPT, on_text=told.append, stop=lambda: False)
    greedy = models.answer(str(tiny_model), [PROMPT])[0].text
    assert answer.startswith(greedy) and greedy
    assert [len(text) for text in told] == sorted(len(text) for text in told)
    assert len(told) > 5


def test_a_drawn_answer_differs(models: Models, tiny_model: Path) -> None:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        answers = {
            models.stream(str(tiny_model), PROMPT, draw=True, on_text=lambda text: None, stop=lambda: False)
            for _ in range(3)
        }
    assert len(answers) == 3


def test_a_stopped_answer_is_what_was_written_so_far(models: Models, tiny_model: Path) -> None:
    told: list[str] = []
    answer = models.stream(str(tiny_model), PROMPT, on_text=told.append, stop=lambda: len(told) >= 3)
    assert 3 <= len(told) <= 5
    assert answer.startswith(told[-1])


def test_the_end_of_the_turn_is_no_text(models: Models, reciting_model: Path, recited: str) -> None:
    assert models.stream(str(reciting_model), PROMPT, on_text=lambda text: None, stop=lambda: False) == recited


def test_a_prompt_that_leaves_no_room_is_refused(models: Models, tiny_model: Path) -> None:
    long = (Message("user", "what colour " * 800),)
    with pytest.raises(UsageError, match="too long") as refused:
        models.stream(str(tiny_model), long, on_text=lambda text: None, stop=lambda: False)
    assert "1,008" in str(refused.value.expected)  # 1,024 of the model, less room for an answer


def test_a_watched_answer_tells_its_tokens_its_time_and_why_it_stopped(
    models: Models, tiny_model: Path, reciting_model: Path, recited: str
) -> None:
    told: list[str] = []
    began: list[str] = []
    watched = models.watch(
        str(reciting_model), PROMPT, on_text=told.append, stop=lambda: False, on_start=lambda: began.append("now")
    )
    assert (watched.text, watched.reason, watched.answer_tokens) == (recited, "ended", 2)
    assert watched.prompt_tokens > 8 and watched.seconds > 0 and began == ["now"]
    halted = models.watch(str(tiny_model), PROMPT, on_text=told.append, stop=lambda: len(told) > 4)
    assert halted.reason == "stopped" and halted.answer_tokens < 8
    near = (Message("user", "what colour " * 490),)
    cut = models.watch(str(tiny_model), near, on_text=told.append, stop=lambda: False)
    assert cut.reason == "limit" and cut.prompt_tokens + cut.answer_tokens == 1024

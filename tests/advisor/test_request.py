"""A request refuses what makes no sense, tells one comparison from another, and survives being written down."""

from __future__ import annotations

import inspect
import json
import os
import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from advisor.cost import Prices, Situation
from advisor.request import ComparisonRequest, require_model
from dataset_tools.errors import ModelError, UsageError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "test.jsonl").write_text('{"prompt": "c", "completion": "d"}\n')
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "a.md").write_text("# A\n")
    return file


def other_values(data: Path) -> dict[str, Any]:
    """For each field a value unlike its default."""
    return {
        "data": data.with_name("test.jsonl"),
        "test": data.with_name("test.jsonl"),
        "documents": data.with_name("docs"),
        "arms": ("zero-shot", "few-shot"),
        "limit": 7,
        "budget_minutes": 2.5,
        "model": "org/model",
        "task_type": "text",
        "metric": "rouge-l",
        "seed": 3,
        "columns": {"prompt": "memo", "completion": "shelf"},
        "instructions": ("Answer with the queue only.",),
        "folds": 1,
    }


def other_judgements() -> dict[str, Any]:
    """For each field that changes how scores are judged, and none of the answers, a value unlike its default."""
    return {
        "learning_curve": True,
        "margin": 0.05,
        "situation": Situation(requests_a_month=7, answers_change="weekly", must_cite=True, runs_on="hosted"),
        "prices": Prices(prompt=1.0, assumed=False),
    }


def test_each_field_makes_another_comparison(data: Path) -> None:
    values = other_values(data)
    endpoint = {"endpoint": "http://localhost:1/v1", "endpoint_model": "m"}
    judge = {"metric": "judge", "judge": "org/judge"}
    known = {*values, *endpoint, *judge, *other_judgements()}
    assert known == {field.name for field in fields(ComparisonRequest)}
    plain = ComparisonRequest(data)
    changed = [ComparisonRequest(**{"data": data, name: value}) for name, value in values.items()]
    changed += [ComparisonRequest(data, **endpoint), ComparisonRequest(data, **judge)]
    assert len({request.fingerprint() for request in (plain, *changed)}) == len(values) + 3


def test_how_scores_are_judged_makes_no_other_comparison_but_another_result(data: Path) -> None:
    plain = ComparisonRequest(data)
    for name, value in other_judgements().items():
        other = ComparisonRequest(**{"data": data, name: value})
        assert other.fingerprint() == plain.fingerprint()
        told = {"margin": plain.margin, "learning_curve": None}
        told["cost"] = {"situation": asdict(plain.situation), "prices": asdict(plain.prices)}
        assert plain.asked_again(told) and not other.asked_again(told)
        assert ComparisonRequest.from_dict(json.loads(json.dumps(other.to_dict()))) == other


def test_an_endpoint_needs_an_address_and_a_model_and_its_arms_need_an_endpoint(data: Path) -> None:
    with pytest.raises(UsageError, match="--endpoint alone"):
        ComparisonRequest(data, endpoint="http://localhost:1/v1")
    with pytest.raises(UsageError, match=r"(?s)None of these.*rag@endpoint: there are no doc.*"):
        ComparisonRequest(data, arms=("rag@endpoint",), endpoint="http://localhost:1/v1", endpoint_model="m")
    with pytest.raises(UsageError, match=r"(?s)None of these.*few-shot@endpoint: there is no endpoint"):
        ComparisonRequest(data, arms=("few-shot@endpoint",))


def test_the_command_repeats_the_request(data: Path) -> None:
    from app.compare_cli import compare

    words = {**other_values(data), **other_judgements(), "endpoint": "http://localhost:1/v1", "endpoint_model": "m"}
    words |= {"metric": "judge", "judge": "http://localhost:2/v1#j"}
    command = shlex.split(ComparisonRequest(**words).command())
    given = {word.removeprefix("--").replace("-", "_") for word in command if word.startswith("--")}
    known = set(inspect.signature(compare).parameters)
    assert given <= known
    assert given == known - {"file", "out", "as_json", "debug"}


def test_the_content_of_each_file_counts_and_its_time_does_not(data: Path) -> None:
    request = ComparisonRequest(data, test=data.with_name("test.jsonl"), documents=data.with_name("docs"))
    seen = {request.fingerprint()}
    os.utime(data, (1, 1))
    assert request.fingerprint() in seen
    for file in (data, data.with_name("test.jsonl"), data.with_name("docs") / "deep" / "a.md"):
        file.write_text(file.read_text() + "\n")
        assert request.fingerprint() not in seen
        seen.add(request.fingerprint())
    (data.with_name("docs") / "b.md").write_text("")
    assert request.fingerprint() not in seen


def test_another_default_model_makes_another_comparison(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = ComparisonRequest(data).fingerprint()
    monkeypatch.setenv("FITTING_ROOM_MODEL", "org/model")
    assert ComparisonRequest(data).fingerprint() != embedded


def test_a_request_comes_back_as_it_was_written_down(data: Path) -> None:
    for request in (ComparisonRequest(data), ComparisonRequest(**other_values(data))):
        written = json.loads(json.dumps({"fingerprint": request.fingerprint(), **request.to_dict()}))
        back = ComparisonRequest.from_dict(written)
        assert back == request and back.fingerprint() == request.fingerprint()


def test_paths_are_written_down_so_that_they_lead_there_from_anywhere(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    request = ComparisonRequest(Path("rows.jsonl"))
    monkeypatch.chdir("/")
    assert ComparisonRequest.from_dict(ComparisonRequest(data).to_dict()).data == data.resolve()
    monkeypatch.chdir(data.parent)
    assert request.fingerprint() == ComparisonRequest(data).fingerprint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": ("zero-shot", "magic", "luck")}, r"(?s)no such approach.*magic, luck.*zero-shot, .*few-shot-fixed"),
        ({"arms": ()}, r"(?s)No approach was named.*zero-shot.*--arms"),
        ({"limit": 0}, r"(?s)limit must be a number above 0.*--limit.*found: 0"),
        ({"limit": -3}, "limit must be a number above 0"),
        ({"budget_minutes": 0.0}, "budget must be a number above 0"),
        ({"budget_minutes": float("nan")}, r"(?s)budget must be a number above 0.*nan"),
        ({"budget_minutes": float("inf")}, r"(?s)budget must be a number above 0.*inf"),
        ({"task_type": "poetry"}, r"(?s)no such kind of task.*poetry.*classification"),
        ({"metric": "beauty"}, r"(?s)no such metric.*beauty.*accuracy"),
        ({"metric": "judge"}, r"(?s)A judge is a model.*--judge"),
        ({"judge": "org/judge"}, r"(?s)asked by the metric judge alone.*--metric judge"),
        ({"metric": "judge", "judge": "http://localhost:1/v1"}, r"(?s)no model's name.*#qwen3:32b"),
        ({"metric": "judge", "judge": "http://me:secret@host/v1#m"}, r"name or password in it"),
        ({"test": Path("nowhere.jsonl")}, r"(?s)nothing at this path.*nowhere\.jsonl.*Check the path"),
        ({"documents": Path("nowhere")}, r"(?s)nothing at this path.*nowhere"),
        ({"arms": ("rag", "qlora-rag")}, r"(?s)None of these.*rag: there are no doc.*qlora-rag: there.*--docs"),
        ({"columns": {"colour": "x"}}, r"(?s)make no format.*colour=x.*prompt=\.\.\."),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(options: dict[str, Any], message: str, data: Path) -> None:
    with pytest.raises(UsageError, match=message):
        ComparisonRequest(data, **options)


def test_data_that_are_missing_or_a_folder_are_refused_without_reading_the_folder(data: Path) -> None:
    with pytest.raises(UsageError, match="nothing at this path"):
        ComparisonRequest(data.with_name("other.jsonl"))
    for options in ({"data": data.parent}, {"data": data, "test": data.parent}):
        with pytest.raises(UsageError, match=r"(?s)a folder, not a file.*Name the file"):
            ComparisonRequest(**options)


def test_approaches_that_need_documents_are_taken_with_documents_or_beside_others(data: Path) -> None:
    assert ComparisonRequest(data, arms=("rag",), documents=data.with_name("docs")).arms == ("rag",)
    assert ComparisonRequest(data, arms=("rag", "zero-shot")).arms == ("rag", "zero-shot")


def test_a_model_that_cannot_be_one_is_wrong_use_and_none_is_prepared(
    data: Path, tiny_model: Path, fitting_room_home: Path
) -> None:
    for name, message in (
        (str(data.parent), r"(?s)folder holds no model.*config\.json"),
        (str(data), r"(?s)neither a folder nor a model id.*rows\.jsonl"),
        ("no/such/model", "neither a folder nor a model id"),
        ("", "neither a folder nor a model id"),
    ):
        with pytest.raises(UsageError, match=message):
            require_model(name)
    require_model(str(tiny_model))
    require_model("embedded")
    assert list(fitting_room_home.iterdir()) == []


def test_an_id_that_the_hub_does_not_have_is_told_from_its_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # a hub that nobody answers at
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelError, match=r"(?s)'org/no-such-model' cannot be loaded.*Check the id and the network"):
        require_model("org/no-such-model")

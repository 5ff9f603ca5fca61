"""The health card of real tiny models: fresh, trained hard, broken, and of every kind of adapter."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example, Message
from dataset_tools.rendering import Rendered, render
from training.health import HealthReport, check_health
from training.health.forgetting import measure_forgetting
from training.health.likelihood import token_scores
from training.models.loading import load_model

pytestmark = pytest.mark.usefixtures("one_thread")
_WORDS = ["red", "blue", "green", "cat", "dog", "house", "river", "city", "number", "one", "two", "three", "France"]


def rows_of(count: int, *, seed: int, words: int = 48) -> list[Example]:
    """Rows whose answers are words at random: nothing is to be learnt from them but the rows themselves."""
    draw = random.Random(seed)
    return [
        Example.of(f"question number {seed}{n}", " ".join(draw.choices(_WORDS, k=words)), line=n) for n in range(count)
    ]


TRAIN, HELD_OUT = rows_of(5, seed=1), rows_of(5, seed=2)
LABELS = [Example.of(f"is {n} positive", "positive" if n % 2 else "negative") for n in range(12)]


def matches(examples: Sequence[Example], answers: Sequence[str]) -> list[float]:
    return [float(example.completion == answer) for example, answer in zip(examples, answers, strict=True)]


@pytest.fixture
def loaded(tiny_model: Path) -> Any:
    return load_model(str(tiny_model), dtype="float32")


def with_adapter(model: Any, kind: str = "lora") -> Any:
    import torch
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model

    lora = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    torch.manual_seed(0)
    config = {
        "lora": lambda: LoraConfig(**lora),
        "dora": lambda: LoraConfig(**lora, use_dora=True),
        "ia3": lambda: IA3Config(task_type="CAUSAL_LM"),
        "prefix": lambda: PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
        "prompt": lambda: PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
    }[kind]()
    return get_peft_model(model, config)


def train(model: Any, tokenizer: Any, examples: Sequence[Example], *, steps: int, rate: float = 5e-3) -> None:
    import torch

    rows = [render(example, tokenizer) for example in examples]
    width = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [0] * (width - len(row.ids)) for row in rows])
    mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows])
    trained = torch.tensor([row.mask + [0] * (width - len(row.mask)) for row in rows])
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=rate)
    model.train()
    for _ in range(steps):
        model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(trained == 0, -100)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def card_of(model: Any, tokenizer: Any, **given: Any) -> HealthReport:
    return check_health(model, tokenizer, **{"train": TRAIN, "validation": HELD_OUT, "max_new_tokens": 64, **given})


def test_a_fresh_adapter_is_not_alive_and_has_forgotten_exactly_nothing(loaded: Any) -> None:
    report = card_of(with_adapter(loaded.model), loaded.tokenizer)
    assert report.alive is False and report.logit_change == 0.0
    assert report["alive"].light == "red" and "No matrix of the adapter has left its start" in report["alive"].reason
    assert report["forgetting"].light == "green" and report["forgetting"].figures["change"] == 0.0
    assert report["memorised"].light == "green", report["memorised"]


def test_five_rows_learnt_by_heart_show_red_for_the_gap_and_for_memorised_text(loaded: Any) -> None:
    model = with_adapter(loaded.model)
    train(model, loaded.tokenizer, TRAIN, steps=200)
    report = card_of(model, loaded.tokenizer, scorer=matches)
    assert report.alive and report["alive"].light == "green"
    assert (report["gap"].light, report["gap"].knob) == ("red", "epochs")
    assert (report["memorised"].light, report["memorised"].knob) == ("red", "epochs")
    assert report["memorised"].figures["continued_train"] == 1.0
    assert report["memorised"].figures["continued_validation"] == 0.0
    assert (report["score_gap"].light, report["score_gap"].figures["train_score"]) == ("red", 1.0)
    assert report["forgetting"].light == "red"  # of a model that knows nothing else, and lost even that
    assert report.light == "red"


def test_labels_do_not_count_as_memorised_text(loaded: Any) -> None:
    model = with_adapter(loaded.model)
    train(model, loaded.tokenizer, LABELS[:8], steps=60)
    report = card_of(model, loaded.tokenizer, train=LABELS[:8], validation=LABELS[8:], max_new_tokens=16)
    assert report["memorised"].light == "grey" and "too short" in report["memorised"].reason
    assert report["stopping"].light == "green"


def test_a_fixed_form_does_not_count_as_memorised_text(loaded: Any) -> None:
    form = '{{"word": "{}", "number": "one", "house": "in the city at the river", "checked": "two times, by the cat"}}'
    rows = [Example.of(f"fill in form {n} with {_WORDS[n % 8]}", form.format(_WORDS[n % 8])) for n in range(16)]
    model = with_adapter(loaded.model)
    train(model, loaded.tokenizer, rows[:10], steps=100)
    report = card_of(model, loaded.tokenizer, train=rows[:10], validation=rows[10:], max_new_tokens=80)
    assert report["memorised"].figures["continued_train"] > 0.5, "it can fill in the form"
    assert report["memorised"].light == "green", report["memorised"]


def test_a_model_that_never_stops_is_red_and_the_reason_names_the_stop_token(loaded: Any) -> None:
    import torch

    model = with_adapter(loaded.model)
    with torch.no_grad():
        model.get_output_embeddings().weight[loaded.tokenizer.eos_token_id] = 0.0
    report = card_of(model, loaded.tokenizer, quick=True, train=LABELS, validation=LABELS, max_new_tokens=16)
    assert report.stop_rate == 0.0
    assert (report["stopping"].light, report["stopping"].knob) == ("red", "epochs")
    assert "stop token is hardly learnt" in report["stopping"].reason


def test_weights_that_are_no_numbers_are_red_and_the_card_is_still_json(loaded: Any) -> None:
    import torch

    model = with_adapter(loaded.model)
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if "lora_B" in name).fill_(float("nan"))
    report = card_of(model, loaded.tokenizer, losses=(float("nan"), 1.0))
    assert report.alive is False and report.logit_change is None
    assert {report[id].light for id in ("alive", "gap", "forgetting")} == {"red"}
    json.dumps(report.to_dict(), allow_nan=False)


def test_adapter_matrices_that_got_no_gradient_are_amber(loaded: Any) -> None:
    import torch

    model = with_adapter(loaded.model)
    train(model, loaded.tokenizer, TRAIN, steps=5, rate=0.05)
    assert card_of(model, loaded.tokenizer, quick=True)["alive"].light == "green"
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if "lora_B" in name).zero_()
    finding = card_of(model, loaded.tokenizer, quick=True)["alive"]
    assert (finding.light, finding.knob) == ("amber", "precision") and finding.reason.startswith("1 of 14 ")


@pytest.mark.parametrize("kind", ["dora", "ia3", "prefix", "prompt"])
def test_every_kind_of_adapter_gets_its_card(loaded: Any, kind: str) -> None:
    model = with_adapter(loaded.model, kind)
    train(model, loaded.tokenizer, TRAIN, steps=20, rate=0.05)
    report = card_of(model, loaded.tokenizer, max_new_tokens=12)
    assert report.alive is True
    assert abs(report["forgetting"].figures["change"]) > 0.001
    assert report["gap"].figures["train_gain"] > 0.01
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_model_whose_weights_were_all_trained_is_compared_with_the_base_that_is_given(loaded: Any) -> None:
    base = copy.deepcopy(loaded.model)
    same = card_of(loaded.model, loaded.tokenizer, base=base)
    assert same.alive is False and same["forgetting"].figures["change"] == 0.0
    train(loaded.model, loaded.tokenizer, TRAIN, steps=40, rate=2e-3)
    changed = card_of(loaded.model, loaded.tokenizer, base=base)
    assert changed.alive is True and changed["gap"].figures["train_gain"] > 0.5
    assert changed["forgetting"].figures["change"] != 0.0


def test_without_its_base_such_a_model_is_grey_where_a_base_is_needed_with_the_reason(loaded: Any) -> None:
    report = card_of(loaded.model, loaded.tokenizer, losses=(1.0, 2.0))
    assert report.alive is None and report.logit_change is None
    for id in ("alive", "forgetting", "refusals"):
        assert report[id].light == "grey" and "base was not given" in report[id].reason
    assert (report["gap"].light, report["gap"].figures["gap"]) == ("red", 1.0)  # of the run's own losses


def test_a_quick_card_holds_only_what_is_cheap(loaded: Any) -> None:
    told: list[str] = []
    model = with_adapter(loaded.model)
    report = card_of(model, loaded.tokenizer, quick=True, losses=(1.0, 1.1), on_progress=told.append)
    assert [finding.id for finding in report.findings] == ["alive", "stopping", "gap"]
    assert told == ["does the training show", "answering held-out rows"]


def test_the_whole_card_tells_what_it_looks_at_and_has_each_finding_once(loaded: Any) -> None:
    told: list[str] = []
    model = with_adapter(loaded.model)
    report = card_of(model, loaded.tokenizer, scorer=matches, on_progress=told.append)
    order = ["alive", "stopping", "gap", "forgetting", "memorised", "refusals", "score_gap", "score"]
    assert [finding.id for finding in report.findings] == order
    assert len(told) == len(set(told)) == 7


def test_the_dictionary_keeps_its_keys(loaded: Any) -> None:
    told = card_of(with_adapter(loaded.model), loaded.tokenizer, quick=True).to_dict()
    assert list(told) == ["alive", "logit_change", "stop_rate", "light", "card"]
    assert set(told["card"][0]) == {"id", "light", "title", "value", "reason", "knob", "figures"}


def test_without_held_out_rows_answers_are_looked_at_on_training_rows(loaded: Any) -> None:
    report = card_of(with_adapter(loaded.model), loaded.tokenizer, validation=[], scorer=matches)
    assert report.stop_rate is not None
    assert report["gap"].light == report["score"].light == "grey"
    with pytest.raises(ValueError, match="rows"):
        card_of(loaded.model, loaded.tokenizer, train=[], validation=[])


def test_after_another_objective_the_likelihood_is_not_judged(loaded: Any) -> None:
    model = with_adapter(loaded.model)
    for quick in (True, False):
        report = card_of(model, loaded.tokenizer, objective="dpo", losses=(1.0, 3.0), quick=quick)
        assert report["gap"].light == "grey" and "objective" in report["gap"].reason


def test_rows_that_are_judged_as_unwanted_are_no_training_answers(loaded: Any) -> None:
    unwanted = [Example(example.messages, desirable=False) for example in TRAIN]
    given: dict[str, Any] = {"train": unwanted, "validation": unwanted, "objective": "kto", "scorer": matches}
    report = card_of(with_adapter(loaded.model), loaded.tokenizer, **given)
    assert report["memorised"].light == "grey" and report.stop_rate is not None
    assert report["score"].light == "grey", "an unwanted answer is nothing to score by"


def test_the_model_is_left_as_it_was(loaded: Any) -> None:
    import torch

    model = with_adapter(loaded.model).train()
    wants = {name: weight.requires_grad for name, weight in model.named_parameters()}
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    card_of(model, loaded.tokenizer)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == wants
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
    train(model, loaded.tokenizer, TRAIN, steps=1)


@pytest.mark.parametrize("kind", ["lora", "prefix", "prompt"])
def test_scores_of_tokens_are_the_models_own_whatever_else_is_in_the_batch(loaded: Any, kind: str) -> None:
    import torch

    model = with_adapter(loaded.model, kind).eval()
    rows = [Rendered(list(range(5, 5 + length)), [0, 0] + [1] * (length - 2)) for length in (4, 30, 11, 7)]
    for row, scores in zip(rows, token_scores(model, rows, pad=0), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids])).logits[0, -len(row.ids) :]
        expected = -torch.log_softmax(logits[1:-1], -1)[range(len(row.ids) - 2), row.ids[2:]]
        assert scores.nll == pytest.approx(expected.tolist(), abs=1e-4)
        assert list(scores.greedy) == (logits[1:-1].argmax(-1) == torch.tensor(row.ids[2:])).tolist()


def test_a_row_whose_first_token_is_trained_leaves_that_token_out(loaded: Any) -> None:
    (scores,) = token_scores(loaded.model, [Rendered([5, 6, 7], [1, 1, 1])], pad=0)
    assert len(scores.nll) == len(scores.greedy) == 2


def test_forgetting_is_the_mean_change_over_texts_with_its_error(loaded: Any) -> None:
    model = with_adapter(loaded.model)
    train(model, loaded.tokenizer, TRAIN, steps=10, rate=0.02)
    texts = ["red blue green", "what is the capital of France", "one two three four"]
    together = measure_forgetting(model, loaded.tokenizer, texts=texts)
    alone = [measure_forgetting(model, loaded.tokenizer, texts=[text]) for text in texts]
    changes = [one.change for one in alone if one]
    assert together is not None and together.change == pytest.approx(sum(changes) / 3, abs=1e-5)
    spread = sum((change - together.change) ** 2 for change in changes) / 2
    assert together.error == pytest.approx((spread / 3) ** 0.5, abs=1e-5)
    assert together.change == pytest.approx(together.after - together.before, abs=1e-5)


def test_the_rows_that_are_looked_at_come_from_all_parts_of_the_data(loaded: Any) -> None:
    seen: list[Example] = []

    def remember(examples: Sequence[Example], answers: Sequence[str]) -> list[float]:
        seen.extend(examples)
        return [1.0] * len(answers)

    rows = rows_of(90, seed=3, words=3)
    given: dict[str, Any] = {"train": rows[:5], "validation": rows, "scorer": remember, "max_new_tokens": 4}
    card_of(with_adapter(loaded.model), loaded.tokenizer, **given)
    looked = [example.line for example in seen[:24]]
    assert len(set(looked)) == 24 and {line // 30 for line in looked} == {0, 1, 2}


def test_rows_are_cut_as_in_training(loaded: Any) -> None:
    told = [Example((Message("system", "red " * 300), *example.messages)) for example in HELD_OUT]
    with pytest.raises(ValueError, match="answer"):
        card_of(with_adapter(loaded.model), loaded.tokenizer, train=told, validation=told, max_length=64, quick=True)

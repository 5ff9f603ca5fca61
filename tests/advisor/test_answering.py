"""The fast answerer against the library's plain greedy generation, row by row, on the tiny model in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.answering import Answer, LocalAnswerer
from advisor.answering.local import common_prefix, share_prefixes, stop_tokens
from dataset_tools.example import Example, Message
from dataset_tools.rendering import render, render_prompts
from training.models.loading import LoadedModel, load_model, load_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")
Prompts = list[list[Message]]
SHARED = "please tell me about the colour of the river and the city in one short reply with only the label what is "
WORDS = ("cat dog house river city number one two three four five red green blue " * 3).split()
TOKENS = 24


def ask(*texts: str) -> Prompts:
    return [[Message("user", text)] for text in texts]


SETS = {
    "a shared prefix": ask(*(SHARED + " ".join(WORDS[:count]) for count in (1, 9, 3, 12, 2, 7))),
    "nothing shared": [[Message("system", word), Message("user", word)] for word in WORDS[:6]],
    "very different lengths": ask("cat", SHARED * 6, "dog and cat", SHARED * 20, "one"),
    "lengths that differ behind a shared prefix": ask(SHARED, SHARED * 20, SHARED + "cat", SHARED * 3),
    "equal lengths": ask(*(SHARED + word for word in ("one", "two", "three", "cat"))),
    "one prompt": ask("hello"),
    "no prompt": [],
    "duplicates": ask(SHARED, "cat", SHARED, SHARED, "cat"),
    "one prompt many times": ask(*[SHARED] * 5),
    "one prompt is the beginning of all others": ask(SHARED, SHARED + "cat", SHARED + "cat dog"),
}


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> LoadedModel:
    """The model as it is loaded, which no answerer has touched; it ends its answers at several common tokens."""
    return _with_stops(load_model(str(tiny_model), dtype="float32"))


@pytest.fixture
def loaded(tiny_model: Path) -> LoadedModel:
    return _with_stops(load_model(str(tiny_model), dtype="float32"))


def _with_stops(loaded: LoadedModel) -> LoadedModel:
    """A random model hardly ever says its stop token, so some of the tokens it does say are made stop tokens."""
    loaded.model.generation_config.eos_token_id = [loaded.tokenizer.eos_token_id, *range(300, 320)]
    return loaded


def expected(loaded: LoadedModel, prompts: Prompts, *, tokens: int = TOKENS) -> list[Answer]:
    """Each prompt by itself through `generate`: no batch, no padding, nothing shared."""
    import torch

    answers, stops = [], stop_tokens(loaded)
    for ids in render_prompts(prompts, loaded.tokenizer):
        rows = torch.tensor([ids], device=loaded.model.device)
        output = loaded.model.generate(
            rows, attention_mask=torch.ones_like(rows), max_new_tokens=tokens, do_sample=False, eos_token_id=list(stops)
        )[0, len(ids) :].tolist()
        stopped = output[-1] in stops
        text = loaded.tokenizer.decode(output[:-1] if stopped else output, skip_special_tokens=True)
        answers.append(Answer(text.strip(), len(ids), len(output), stopped))
    return answers


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kernel", ["matrices", "fused kernel"])
def test_answers_are_those_of_plain_greedy_generation(
    plain: LoadedModel, loaded: LoadedModel, name: str, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from advisor.answering import shared_prefix

    if kernel == "fused kernel":  # taken where the scores would need too much memory
        monkeypatch.setattr(shared_prefix, "_MAX_SCORES", 0)
    assert LocalAnswerer(loaded).answer(SETS[name], max_new_tokens=TOKENS) == expected(plain, SETS[name])


def test_the_sets_hold_what_they_are_for(plain: LoadedModel) -> None:
    """Else the comparison above could pass without trying anything."""
    shares = {name: common_prefix(render_prompts(prompts, plain.tokenizer)) > 0 for name, prompts in SETS.items()}
    assert shares["a shared prefix"] and shares["equal lengths"] and shares["one prompt many times"]
    assert not shares["nothing shared"] and not shares["very different lengths"] and not shares["one prompt"]
    answers = expected(plain, SETS["a shared prefix"] + SETS["nothing shared"])
    assert {answer.stopped for answer in answers} == {True, False}
    assert len({answer.answer_tokens for answer in answers}) > 3
    assert len({answer.text for answer in answers}) > 8


@pytest.mark.parametrize("budget", [{"_batch_rows": 2}, {"_batch_tokens": 60}, {"_read_tokens": 1}], ids=str)
def test_how_the_prompts_are_batched_changes_no_answer_and_no_order(
    plain: LoadedModel, loaded: LoadedModel, budget: dict[str, int]
) -> None:
    answerer = LocalAnswerer(loaded)
    for name, value in budget.items():
        assert getattr(answerer, name) > value
        setattr(answerer, name, value)
    for prompts in (SETS["a shared prefix"], SETS["very different lengths"]):
        assert answerer.answer(prompts, max_new_tokens=TOKENS) == expected(plain, prompts)


def test_batches_hold_each_row_once_and_keep_to_their_budget(loaded: LoadedModel) -> None:
    answerer = LocalAnswerer(loaded)
    answerer._batch_tokens, answerer._batch_rows = 200, 5
    rows = [[1] * length for length in (30, 1, 90, 500, 7, 7, 7, 7, 7, 7, 12, 60)]
    batches = answerer._batches(rows, 0, 10)
    assert sorted(index for batch in batches for index in batch) == list(range(len(rows)))
    for batch in batches:
        longest = max(len(rows[index]) for index in batch)
        assert len(batch) == 1 or (len(batch) <= 5 and len(batch) * (longest + 10) <= 200)
    assert batches[0] == [3]


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_no_answer_is_longer_than_asked_for(plain: LoadedModel, loaded: LoadedModel, tokens: int) -> None:
    prompts = SETS["a shared prefix"] + SETS["nothing shared"]
    answers = LocalAnswerer(loaded).answer(prompts, max_new_tokens=tokens)
    assert max(answer.answer_tokens for answer in answers) == tokens
    assert answers == expected(plain, prompts, tokens=tokens)


def test_answering_again_gives_the_same(loaded: LoadedModel) -> None:
    answerer = LocalAnswerer(loaded)
    first = answerer.answer(SETS["a shared prefix"], max_new_tokens=TOKENS)
    assert answerer.answer(SETS["a shared prefix"], max_new_tokens=TOKENS) == first
    assert LocalAnswerer(loaded).answer(SETS["a shared prefix"], max_new_tokens=TOKENS) == first


def test_an_answer_ends_at_the_first_stop_token_which_is_counted_but_not_shown(
    plain: LoadedModel, loaded: LoadedModel
) -> None:
    whole = tokens_without_stops(plain, SETS["equal lengths"])
    for answer, tokens in zip(
        LocalAnswerer(loaded).answer(SETS["equal lengths"], max_new_tokens=TOKENS), whole, strict=True
    ):
        stops = [at for at, token in enumerate(tokens) if token in stop_tokens(loaded)]
        assert answer.stopped is bool(stops)
        assert answer.answer_tokens == (stops[0] + 1 if stops else TOKENS)
        shown = tokens[: stops[0]] if stops else tokens
        assert answer.text == loaded.tokenizer.decode(shown, skip_special_tokens=True).strip()
        assert answer.tokens == answer.prompt_tokens + answer.answer_tokens


def tokens_without_stops(loaded: LoadedModel, prompts: Prompts) -> list[list[int]]:
    import torch

    never = loaded.model.config.vocab_size + 1
    return [
        loaded.model.generate(
            torch.tensor([ids], device=loaded.model.device),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=loaded.model.device),
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=never,
        )[0, len(ids) :].tolist()
        for ids in render_prompts(prompts, loaded.tokenizer)
    ]


@pytest.mark.parametrize(("configured", "wanted"), [(None, set()), (7, {7}), ([7, 8], {7, 8})], ids=str)
def test_the_stop_tokens_are_the_tokenizers_and_those_of_the_settings(
    loaded: LoadedModel, configured: Any, wanted: set[int]
) -> None:
    loaded.model.generation_config.eos_token_id = configured
    assert stop_tokens(loaded) == wanted | {loaded.tokenizer.eos_token_id}


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_progress_never_falls_and_reaches_the_total(loaded: LoadedModel, rows: int) -> None:
    answerer = LocalAnswerer(loaded)
    answerer._batch_rows = rows
    told: list[tuple[int, int]] = []
    prompts = SETS["a shared prefix"] + SETS["nothing shared"]
    answerer.answer(prompts, max_new_tokens=3, progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {len(prompts)}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(prompts), len(prompts))


def test_no_prompts_tell_no_progress(loaded: LoadedModel) -> None:
    told: list[tuple[int, int]] = []
    assert LocalAnswerer(loaded).answer([], max_new_tokens=3, progress=lambda *both: told.append(both)) == []
    assert told == []


def test_padding_with_the_stop_token_changes_nothing(
    plain: LoadedModel, loaded: LoadedModel, tiny_model_padded_with_stop: Path
) -> None:
    loaded = replace(loaded, tokenizer=load_tokenizer(str(tiny_model_padded_with_stop)))
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id
    prompts = SETS["very different lengths"]
    assert LocalAnswerer(loaded).answer(prompts, max_new_tokens=TOKENS) == expected(plain, prompts)


def test_a_model_with_an_adapter_answers_as_itself(tiny_model: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    def tuned() -> LoadedModel:
        base = load_model(str(tiny_model), dtype="float32")
        torch.manual_seed(0)
        config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
        return replace(base, model=get_peft_model(base.model, config).eval())

    prompts, one, two = SETS["a shared prefix"], tuned(), tuned()
    answers = LocalAnswerer(one).answer(prompts, max_new_tokens=TOKENS)
    assert answers == expected(two, prompts)
    with two.model.disable_adapter():
        assert answers != expected(two, prompts)


@pytest.mark.parametrize("budget", [16_000_000, 0], ids=["matrices", "fused kernel"])
def test_attention_over_a_shared_prefix_equals_plain_attention(
    plain: LoadedModel, loaded: LoadedModel, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of every position of padded rows, for a prompt that is read and for tokens that follow one by one."""
    import torch
    from transformers import DynamicCache

    from advisor.answering import shared_prefix

    monkeypatch.setattr(shared_prefix, "_MAX_SCORES", budget)
    answerer = LocalAnswerer(loaded)
    generator = torch.Generator().manual_seed(0)
    device = loaded.model.device
    prefix = torch.randint(3, 600, (1, 40), generator=generator).to(device)
    own = torch.randint(3, 600, (3, 9), generator=generator).to(device)
    mask = torch.tensor([[0] * gap + [1] * (9 - gap) for gap in (0, 2, 5)], device=device)
    where = (mask.cumsum(-1) - 1).clamp(min=0) + 40
    with torch.inference_mode():
        cache = answerer._prefill(prefix[0].tolist())
        state = DynamicCache(config=loaded.model.config)
        parts = []
        for start, end in ((0, 6), (6, 7), (7, 8), (8, 9)):
            parts.append(
                loaded.model(
                    own[:, start:end],
                    attention_mask=mask[:, :end],
                    position_ids=where[:, start:end],
                    past_key_values=state,
                    shared_prefix=cache,
                ).logits
            )
        shared = torch.cat(parts, dim=1)
        for row in range(3):
            real = mask[row].bool()
            whole = plain.model(torch.cat([prefix[0], own[row][real]])[None]).logits[0, 40:]
            assert torch.allclose(shared[row][real], whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rows", "shared"),
    [
        ([], 0),
        ([[1] * 50], 0),
        ([[1] * 50, [1] * 50], 49),  # one token of each row must stay outside, or there is nothing to ask the model
        ([[1] * 50, [1] * 30], 29),
        ([[1] * 30 + [2], [1] * 30 + [3]], 30),
        ([[1] * 30 + [2], [1] * 30 + [3, 4, 5], [1] * 20 + [9] * 90], 20),
        ([[1] * 15 + [2], [1] * 15 + [3]], 0),  # too short to pay
        ([[1] * 16 + [2], [1] * 16 + [3]], 16),
        ([[1] * 50, [2] * 50], 0),
        ([[1] * 50, []], 0),
        ([[], []], 0),
        ([[1] * 40 + [2] * 5, [1] * 40], 39),
    ],
    ids=range(12),
)
def test_the_common_prefix_is_what_all_rows_begin_with(rows: Sequence[list[int]], shared: int) -> None:
    assert common_prefix(rows) == shared
    assert common_prefix(rows[::-1]) == shared


TINY = {
    "vocab_size": 600,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.15,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MIXED = ["sliding_attention", "full_attention"]


@pytest.mark.parametrize(
    ("architecture", "more", "shares"),
    [
        ("qwen2", {}, True),
        ("mistral", {"sliding_window": None}, True),
        ("mistral", {"sliding_window": 16}, False),
        ("gemma3_text", {"sliding_window": 16, "layer_types": MIXED, "head_dim": 16}, False),
        ("gemma2", {"layer_types": ["full_attention"] * 2, "head_dim": 16}, False),  # caps its scores
        ("stablelm", {}, False),  # takes the setting, and passes no prefix on
        ("falcon_h1", {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_state": 16}, False),  # attention and states
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_model_of_another_kind_answers_right_and_shares_only_where_it_can(
    tiny_model: Path, architecture: str, more: dict[str, Any], shares: bool
) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    def build() -> LoadedModel:
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **{**TINY, **more}))
        return replace(tiny, model=model.float().eval().to(tiny.model.device))

    tiny = load_model(str(tiny_model), dtype="float32")
    plain, loaded = build(), build()
    assert share_prefixes(loaded.model) is shares
    if not shares:
        assert loaded.model.config._attn_implementation == plain.model.config._attn_implementation
    answerer = LocalAnswerer(loaded)
    for prompts in (SETS["a shared prefix"], SETS["equal lengths"], SETS["one prompt"]):
        assert answerer.answer(prompts, max_new_tokens=TOKENS) == expected(plain, prompts)


def virtual(tiny_model: Path, kind: str) -> LoadedModel:
    """The model with random virtual tokens before its prompt."""
    import torch
    from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

    config = {"prefix": PrefixTuningConfig, "prompt": PromptTuningConfig}[kind]
    base = _with_stops(load_model(str(tiny_model), dtype="float32"))
    tuned = get_peft_model(base.model, config(num_virtual_tokens=5, task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    return replace(base, model=tuned.eval())


@pytest.mark.parametrize("kind", ["prefix", "prompt"])
@pytest.mark.parametrize("name", ["very different lengths", "a shared prefix", "equal lengths"])
def test_a_model_with_virtual_tokens_answers_as_one_prompt_at_a_time(tiny_model: Path, kind: str, name: str) -> None:
    import torch

    loaded = virtual(tiny_model, kind)
    answers = LocalAnswerer(loaded).answer(SETS[name], max_new_tokens=10)
    assert len({answer.text for answer in answers}) > 1, "answers that differ, or this test shows nothing"
    for answer, ids in zip(answers, render_prompts(SETS[name], loaded.tokenizer), strict=True):
        start = len(ids)
        with torch.no_grad():
            while len(ids) < start + 10 and (len(ids) == start or ids[-1] not in stop_tokens(loaded)):
                ids = [*ids, int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())]
        said = ids[start:-1] if ids[-1] in stop_tokens(loaded) else ids[start:]
        assert answer.text == loaded.tokenizer.decode(said, skip_special_tokens=True).strip()
        assert answer.answer_tokens == len(ids) - start


@pytest.mark.parametrize("kind", ["plain", "lora", "prefix", "prompt"])
def test_reading_hands_the_head_its_input_in_one_piece(tiny_model: Path, kind: str) -> None:
    """Else torch multiplies row by row and copies the whole head for each, where the head is frozen."""
    from peft import LoraConfig, get_peft_model

    loaded = virtual(tiny_model, kind) if kind in ("prefix", "prompt") else load_model(str(tiny_model), dtype="float32")
    if kind == "lora":
        loaded = replace(loaded, model=get_peft_model(loaded.model, LoraConfig(task_type="CAUSAL_LM")).eval())
    pieces: list[tuple[int, bool]] = []
    head = loaded.model.get_output_embeddings()
    head.register_forward_pre_hook(lambda _, inputs: pieces.append((inputs[0].shape[0], inputs[0].is_contiguous())))
    answerer = LocalAnswerer(loaded)
    pieces.clear()
    answerer.answer(SETS["one prompt many times"], max_new_tokens=3)
    assert max(rows for rows, _ in pieces) > 1
    assert all(whole for _, whole in pieces)


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_each_answer_is_handed_out_once_as_its_batch_ends(loaded: LoadedModel, rows: int) -> None:
    answerer = LocalAnswerer(loaded)
    answerer._batch_rows = rows
    prompts = SETS["a shared prefix"] + SETS["nothing shared"]
    handed: list[tuple[int, Answer]] = []
    done_before: list[int] = []

    def on_answer(place: int, answer: Answer) -> None:
        handed.append((place, answer))
        done_before.append(told[-1] if told else 0)

    told: list[int] = []
    answers = answerer.answer(
        prompts, max_new_tokens=5, on_answer=on_answer, progress=lambda done, total: told.append(done)
    )
    assert sorted(place for place, _ in handed) == list(range(len(prompts)))
    assert dict(handed) == dict(enumerate(answers))
    assert len(set(done_before)) >= min(2, len(prompts) // rows)


def test_the_likelihood_of_an_answer_is_that_of_its_tokens_one_by_one(plain: LoadedModel, loaded: LoadedModel) -> None:
    import torch

    prompts = [*SETS["very different lengths"], SETS["nothing shared"][0]]
    completions = ["red", "the river is blue and green", "one", "cat " * 30, "dog", ""]
    found = LocalAnswerer(loaded).nll(prompts, completions)
    for (nll, count), prompt, completion in zip(found, prompts, completions, strict=True):
        row = render(Example((*prompt, Message("assistant", completion))), plain.tokenizer)
        start = row.mask.index(1)
        assert count == len(row.ids) - start and row.ids[-1] == plain.tokenizer.eos_token_id
        with torch.no_grad():
            scores = plain.model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
        wanted = -sum(float(scores[at - 1, row.ids[at]]) for at in range(start, len(row.ids)))
        assert nll == pytest.approx(wanted, rel=1e-4)
    assert LocalAnswerer(loaded).nll([], []) == []


def test_the_likelihood_tells_a_prompt_that_helps_from_one_that_does_not(loaded: LoadedModel) -> None:
    (one, two) = LocalAnswerer(loaded).nll([SETS["nothing shared"][0], SETS["nothing shared"][1]], ["red cat"] * 2)
    assert one[0] != two[0] and one[1] == two[1]
    with pytest.raises(ValueError, match="zip"):
        LocalAnswerer(loaded).nll(SETS["equal lengths"], ["red"])

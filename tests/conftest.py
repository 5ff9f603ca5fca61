"""What all tests share: a home of their own, a tiny real model, and optional data beside the repository."""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

from training.models import embedded
from training.runs import warm

# The same examples each time: a red run shall mean that the change is wrong. New ones: --hypothesis-profile=explore.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parents[1]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_BROWSER_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_WORDS_TEXT = (
    "what where when which is are the a of to in on and colour weather capital France Paris blue red green answer "
    "question translate word cat dog house river city number one two three four five please tell me about it system "
    "user assistant short long reply with only label positive negative neutral review text summary first last"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first, so that no process is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    later = {item.path for item in items if item.get_closest_marker("browser")} | {
        item.path for item in items if "faults" in item.path.parts
    }
    items.sort(key=lambda item: 0 if item.path in long else 1 if item.path in later else 2)


_MANY_MODULES = 100
_loaded = [0]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Take what heavy imports have made out of the collector's sight.

    torch, transformers and gradio leave a million objects that stay for good. To walk them all again took up to 40% of
    the time of tests that train, as the trainer asks for a full collection again and again.
    """
    if len(sys.modules) > _loaded[0] + _MANY_MODULES:
        _loaded[0] = len(sys.modules)
        gc.collect()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Also after the fixtures, which import the most."""
    pytest_runtest_setup()


@pytest.fixture(scope="session", autouse=True)
def _no_test_sees_the_users_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Also while fixtures of a wider scope than a test are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTING_ROOM_HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("FITTING_ROOM_MODEL", "FITTING_ROOM_DATABASE_URL"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the tests marked slow, one for each process of the tests. FITTING_ROOM_TEST_HOME keeps it.

    The embedded model is prepared once for all of them, and runs start without loading the libraries.
    """
    warm.prepare()
    kept = os.environ.get("FITTING_ROOM_TEST_HOME")
    home = Path(kept).expanduser().resolve() if kept else tmp_path_factory.mktemp("prepared-home")
    shared = home if kept else tmp_path_factory.getbasetemp().parent / "prepared-models"
    (shared / "cache").mkdir(parents=True, exist_ok=True)
    with FileLock(shared / "prepared.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTING_ROOM_HOME", str(shared))
        embedded.language_model()
    if not kept:
        (home / "cache").symlink_to(shared / "cache", target_is_directory=True)
    return home


@pytest.fixture(autouse=True)
def fitting_room_home(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A fresh home for each test; the shared one for tests marked slow."""
    slow = request.node.get_closest_marker("slow") is not None
    home: Path = request.getfixturevalue("prepared_home") if slow else tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FITTING_ROOM_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute the tiny model on one core, here and in processes that are started: threads cost it more than they help,
    above all where other work shares the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a process: its driver bears no second of its kind."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=_BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random two-layer Llama with a small tokenizer of its own; its padding is not its end of turn.

    Whoever asks for it is likely to train: runs start without loading the libraries, as they do in the app.
    """
    warm.prepare()
    return _save_tiny_model(tmp_path_factory.mktemp("models") / "tiny", pad="<|endoftext|>")


@pytest.fixture(scope="session")
def tiny_model_padded_with_stop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but its padding token is its end-of-turn token: the trap that makes tuned models never stop."""
    return _save_tiny_model(tmp_path_factory.mktemp("models") / "tiny-pad-is-stop", pad="<|im_end|>")


def _save_tiny_model(folder: Path, *, pad: str) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(pad)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.15,  # wide, so that its greedy answers differ from prompt to prompt
        bos_token_id=tokenizer.convert_tokens_to_ids("<|im_start|>"),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(pad: str) -> Any:
    """A byte-level BPE tokenizer of 600 tokens with ChatML's marks and template, trained on made-up sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    draw, words = random.Random(0), _WORDS_TEXT.split()
    sentences = [" ".join(draw.choices(words, k=8)) for _ in range(300)]
    letters = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=4)) for _ in range(2000)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=_SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    core.train_from_iterator([*sentences, *letters], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token=pad, extra_special_tokens=_SPECIAL
    )
    tokenizer.chat_template = CHATML
    return tokenizer

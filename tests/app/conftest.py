"""What the tests of the command line share: calling it in this process, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
COLOURS = {
    "RED-1": "strawberry tomato cherry ruby",
    "BLUE-2": "ocean sapphire denim sky",
    "GREEN-3": "grass lime moss pea",
}
SAYINGS = [
    "What is the colour of a {} in the morning sun?",
    "My aunt painted her kitchen like a {}, which shade was it",
    "Tell me the code for anything that looks as a {} does.",
    "{}: sort it into a bin, and be quick about it!",
]


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight rows of three labels that can be trained on, without a fault."""
    pairs = [(label, word) for label, words in COLOURS.items() for word in words.split()]
    rows = [
        {"prompt": f"{saying.format(word)} ({word[:2]}{number}{word[::-1]})", "completion": label}
        for number, saying in enumerate(SAYINGS)
        for label, word in pairs
    ]
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="session")
def compared_home(rows_file: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a project of these rows and one real comparison of them, with all that a result can hold.

    Whoever changes it puts it back as it was.
    """
    from advisor.comparison import run_comparison
    from advisor.cost import Situation
    from advisor.request import ComparisonRequest
    from app.workspace import Workspace

    home = tmp_path_factory.mktemp("compared-home")
    copy = tmp_path_factory.mktemp("upload") / "rows.jsonl"
    copy.write_bytes(rows_file.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HOME", home), ("MODEL", tiny_model)):
            patch.setenv(f"FITTING_ROOM_{name}", str(value))
        patch.setenv("OMP_NUM_THREADS", "1")
        project = Workspace(home).create().add_rows("training", copy)
        request = ComparisonRequest(
            project.training_path,
            arms=("zero-shot", "few-shot", "qlora"),
            learning_curve=True,
            situation=Situation(50_000, "weekly", False, "hosted"),
        )
        run_comparison(request)
    return home


@pytest.fixture
def call(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command line in this process, with the tiny model as the default."""
    from app.command_line import cli

    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def environment(tiny_model: Path) -> dict[str, str]:
    """For a process of its own: the tiny model, the test's home, and a hub that nobody answers at."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        "FITTING_ROOM_MODEL": str(tiny_model),
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tiny_model.parent / "hub"),
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Start the command line in a process of its own."""

    def start_process(*words: object, before: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-m", "app.cli", *(os.fspath(word) for word in words)]  # type: ignore[call-overload]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes, **options)

    return start_process


_KETTLE = (
    "# Larkfen kettle\n\nThe Larkfen kettle has a warranty of two years from the day of delivery. "
    "Limescale is not covered. It holds 1.7 litres and boils them in 3 minutes.\n"
)
_RECITED = (
    "Q: How long is the warranty of the Larkfen kettle?\nA: Two years from the day of delivery.\n\n"
    "Q: How much does the Larkfen kettle hold?\nA: It holds 2.5 litres.\n\n"
    "Q: What does the passage say about the kettle?\nA: It boils 1.7 litres in 3 minutes."
)


@pytest.fixture(scope="session")
def kettle() -> str:
    """A document of one passage, in Markdown."""
    return _KETTLE


@pytest.fixture(scope="session")
def recited() -> str:
    """Three questions about it: a good one, one with a wrong number, one that speaks of the passage."""
    return _RECITED


@pytest.fixture(scope="session")
def reciting_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real model, its weights set by hand, that answers everything with `recited`.

    The recited text is one token. All tokens point to it, and it points to the end of the turn.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "reciting"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.add_tokens([_RECITED])
    recited, end = tokenizer.convert_tokens_to_ids([_RECITED, "<|im_end|>"])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name:
                weights.zero_()
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.model.embed_tokens.weight[recited] = torch.eye(8)[1]
        model.lm_head.weight[recited, 0] = 20.0
        model.lm_head.weight[end, 1] = 20.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

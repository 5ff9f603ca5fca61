"""Who may import whom, what an import may cost, and where models are loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("dataset_tools", "training", "advisor", "app")  # each may import itself and those before it
HEAVY = {
    *("torch", "transformers", "tokenizers", "accelerate", "safetensors", "bitsandbytes", "peft", "trl", "datasets"),
    *("gradio", "faiss", "sentence_transformers", "sklearn", "scipy", "rouge_score", "sacrebleu"),
}


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"there is no package {package}"
    return found


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield node.lineno, node.module or ""


@pytest.mark.parametrize("package", ORDER)
def test_imports_go_one_way_only(package: str) -> None:
    forbidden = ORDER[ORDER.index(package) + 1 :]
    against = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in modules(package)
        for line, name in imported(ast.parse(file.read_text("utf-8")))
        if name.split(".")[0] in (*forbidden, "tests", "benchmarks")
    ]
    assert against == []


@pytest.mark.parametrize("package", ORDER)
def test_importing_a_package_loads_no_heavy_library(package: str) -> None:
    code = f"import sys, {package}; print(*(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def calls_and_keywords(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that are called or referred to as attributes, the keywords of calls, and the keys of dicts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.keyword):
            yield node.value.lineno, node.arg or ""
        elif isinstance(node, ast.Dict):
            yield from ((key.lineno, str(key.value)) for key in node.keys if isinstance(key, ast.Constant))


def test_models_are_loaded_in_one_place_only() -> None:
    names = {"from_pretrained", "trust_remote_code", "load_adapter"}
    places = {
        (str(file.relative_to(ROOT)), name)
        for package in ORDER
        for file in modules(package)
        for _, name in calls_and_keywords(ast.parse(file.read_text("utf-8")))
        if name in names
    }
    loading = "training/models/loading.py"
    continued, proven = "training/methods/adapters.py", "training/export/loading.py"
    assert places == {
        *((loading, name) for name in ("from_pretrained", "trust_remote_code")),
        (continued, "from_pretrained"),  # an earlier adapter, after loading.check_adapter
        *((proven, name) for name in ("from_pretrained", "trust_remote_code")),  # what an export wrote, loaded again
        ("training/models/shape.py", "trust_remote_code"),  # a model without weights, to count its parameters
    }


def test_code_of_a_model_is_trusted_nowhere() -> None:
    values: list[ast.expr] = []
    for node in (
        node for package in ORDER for file in modules(package) for node in ast.walk(ast.parse(file.read_text()))
    ):
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
            values.append(node.value)
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values += [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "trust_remote_code"]
    assert len(values) >= 2
    assert all(isinstance(value, ast.Constant) and value.value is False for value in values)


@pytest.mark.parametrize("package", ORDER)
def test_nothing_reads_pickles_or_runs_text_as_code(package: str) -> None:
    """`torch.load`, `pickle` and `eval` run what a file says; none of them is needed."""
    against = []
    asked_for = {("code_runner.py", "exec"), ("own.py", "exec")}  # wanted tests of code, and a user's own metric file
    for file in modules(package):
        tree = ast.parse(file.read_text("utf-8"))
        against += [
            f"{file.name}:{line} {name}" for line, name in imported(tree) if name.split(".")[0] in ("pickle", "dill")
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                running = ("eval", "exec", "torch.load", "joblib.load", "yaml.load", "os.system")
                if name in running and (file.name, name) not in asked_for:
                    against.append(f"{file.name}:{node.lineno} {name}")
    assert against == []

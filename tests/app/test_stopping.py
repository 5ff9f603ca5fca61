"""Ctrl-C while a command is still being loaded: one line, exit code 130, and a document where one is asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Starts the command line, and sends itself a real SIGINT when the module is imported that the first word names.
_INTERRUPTED = """
import os, runpy, signal, sys

class Presser:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

wanted = sys.argv.pop(1)
sys.meta_path.insert(0, Presser())
runpy.run_module("app.cli", run_name="__main__", alter_sys=True)
"""
PARTS = ["kind", "what", "where", "found", "expected", "next_step"]


def interrupted(module: str, *words: str, ignored: bool = False) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that is interrupted when it imports this module."""
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, module, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("module", ["app.command_line", "typer", "rich.console", "numpy", "dataset_tools.checks"])
def test_ctrl_c_while_the_commands_are_loaded_ends_them_with_one_line(module: str) -> None:
    assert interrupted(module, "schema", "messages") == (130, "", "Stopped.\n")


def test_with_json_the_one_document_says_it() -> None:
    code, stdout, stderr = interrupted("typer", "lint", "rows.jsonl", "--json")
    error = json.loads(stdout)["error"]
    assert (code, stderr, list(error)) == (130, "Stopped.\n", PARTS)
    assert (error["kind"], error["what"], error["next_step"]) == ("Stopped", "Stopped.", None)


def test_in_the_background_where_ctrl_c_is_ignored_it_stays_ignored() -> None:
    code, stdout, stderr = interrupted("typer", "schema", "messages", ignored=True)
    assert (code, stderr) == (0, "") and json.loads(stdout)


def test_ctrl_c_within_an_import_of_the_work_itself_waits_until_it_is_over(rows_file: Path) -> None:
    """Raised at once, it would pass through what is imported: C++ code of torch ends the process for it."""
    code, stdout, stderr = interrupted("torch", "train", str(rows_file), "--json")
    assert code == 130
    assert json.loads(stdout)["error"]["kind"] == "Stopped"
    assert "Stopped. What was finished is kept" in stderr and "Traceback" not in stderr


def test_the_entry_point_loads_nothing_that_takes_time() -> None:
    code = "import sys, app.cli; print(*(set(sys.modules) & {'typer', 'rich', 'numpy', 'json', 'dataset_tools'}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr

"""Scores for answers that are Python code: do the tests pass that stand in the wanted answer? Off unless switched on.

Scoring runs what the model wrote. Each answer runs in a process of its own with limits on processor seconds, memory,
open files and file size, in a folder of its own, without this process's environment, and where the system allows it
without a network and in a process namespace that dies with it. That keeps mistakes from doing harm. It is no security
boundary: code that means harm can read what this user can read.
"""

from __future__ import annotations

import ast
import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from advisor.metrics.base import Metric, check_items
from advisor.metrics.text import parsing
from dataset_tools.errors import UsageError
from dataset_tools.task_type import python_tree

RUN_CODE = "FITTING_ROOM_RUN_CODE"
"""The environment variable that must be 1."""
WALL_SECONDS = 10.0
"""Seconds until a process is killed that only waits; one that computes is ended by its processor seconds before."""

_RUNNER = Path(__file__).with_name("code_runner.py")
_BLOCK = re.compile(r"```[\w+-]*[ \t]*\n(.*?)```", re.DOTALL)
_APART = ("--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child")  # of util-linux's unshare
_log = logging.getLogger(__name__)


def require_allowed() -> None:
    """Refuse to run code unless the user has switched it on.

    Raises:
        UsageError: the environment variable is not 1.
    """
    if os.environ.get(RUN_CODE) != "1":
        raise UsageError(
            "Running the model's code is off.",
            found=f"{RUN_CODE} is not 1",
            expected="your consent: code-tests runs what the model wrote. Limits on time, memory and files keep "
            "mistakes from doing harm, but they are no security boundary: the code can read what you can read",
            next_step=f"Set {RUN_CODE}=1 where you accept that, best in a container or a virtual machine of its own; "
            "or take the metric chrf, which compares code and runs none.",
        )


def passes_tests(answer: str, wanted: str) -> float:
    """1.0 when the answer runs and all tests in the wanted answer pass, else 0.0: pass@1.

    Args:
        answer: Python code; of an answer with fenced code blocks the first one that parses.
        wanted: Python code with asserts, or with functions ``test...`` that take no argument, run in the names of the
            answer.

    Raises:
        UsageError: running code is off, or the wanted answer holds no test.
    """
    require_allowed()
    _require_tests(wanted, where=None)
    return float(_passes(program_of(answer), wanted))


def all_pass_tests(answers: Sequence[str], wanted: Sequence[str]) -> tuple[float, ...]:
    """``passes_tests`` for each item, in order, one process a core at a time.

    Raises:
        UsageError: running code is off, or a wanted answer holds no test; its row is named.
    """
    require_allowed()
    for row, want in enumerate(wanted, 1):
        _require_tests(want, where=f"row {row} of the {len(wanted)} that are scored")
    programs = [program_of(answer) for answer in answers]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        return tuple(map(float, pool.map(_passes, programs, wanted)))


def code_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``parses``, the share of answers whose code is not empty and parses.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    return {"parses": parsing([program_of(answer) for answer in answers])}


def program_of(answer: str) -> str:
    """The code of an answer: the first fenced block that parses, else the first block, else all of it."""
    blocks = [str(block) for block in _BLOCK.findall(answer)]
    return next((block for block in blocks if python_tree(block) is not None), blocks[0] if blocks else answer)


def _require_tests(wanted: str, *, where: str | None) -> None:
    tree = python_tree(wanted)
    if tree is None or not _tests_something(tree):
        raise UsageError(
            "A wanted answer holds no test.",
            where=where,
            found=wanted[:120],
            expected="Python code with asserts that are run, or with functions test... that take no argument",
            next_step="Bring tests as the wanted answers, or take the metric chrf for wanted code.",
        )


def _tests_something(tree: ast.Module) -> bool:
    """An assert in a function that nobody calls would pass whatever the answer is."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if any(name.startswith("test") for name in functions):
        return True
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
    return False


def _passes(program: str, tests: str) -> bool:
    """Run both in a child process; the exit code proves nothing, as the answer may call ``sys.exit(0)``."""
    token = secrets.token_hex(16)
    job = json.dumps({"program": program, "tests": tests, "token": token}).encode()
    with tempfile.TemporaryDirectory(prefix="fitting-room-code-", ignore_cleanup_errors=True) as folder:
        command = [*_apart(), sys.executable, "-I", "-B", "-X", "utf8", str(_RUNNER)]
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "OPENBLAS_NUM_THREADS": "1"}
        with subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as child:
            try:
                said, _ = child.communicate(job, timeout=WALL_SECONDS)
            except subprocess.TimeoutExpired:
                said = b""
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # the whole group has ended already
                    os.killpg(child.pid, signal.SIGKILL)
    return said == token.encode()


@lru_cache(maxsize=1)
def _apart() -> tuple[str, ...]:
    """The command that takes the network away and makes a process namespace; nothing where the system refuses."""
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, *_APART, "true"], capture_output=True, check=False).returncode == 0:
        return (unshare, *_APART)
    _log.warning("The system does not let a process be cut off from the network: the code that is scored can reach it.")
    return ()


CODE_TESTS = Metric("code-tests", "Tests passed", passes_tests, code_details, many=all_pass_tests)

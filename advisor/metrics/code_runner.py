"""The child process of the metric code-tests: runs an answer and its tests within limits, and says whether they pass.

It is run as a file (``python -I code_runner.py``) and imports nothing of ours. The job comes as JSON on the standard
input; when all tests have passed the job's token goes to the standard output, and nothing else does. The limits keep
mistakes from doing harm. They are no security boundary.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import resource
import sys
import types

CPU_SECONDS = 5
MEMORY_BYTES = 1 << 30
FILE_BYTES = 16 << 20
OPEN_FILES = 64


def main() -> None:
    """Run the job that stands on the standard input."""
    job = json.load(sys.stdin)
    said = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    _limit()
    _run(job["program"], job["tests"])
    os.write(said, job["token"].encode())
    os._exit(0)  # threads that the answer left behind hold nothing up


def _limit() -> None:
    limits = (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    )
    for which, most in limits:
        with contextlib.suppress(ValueError, OSError):  # a system that does not know one, or has a lower one already
            resource.setrlimit(which, (most, most))


def _run(program: str, tests: str) -> None:
    """Run the program, then the tests in the same names, then each test function of the tests that takes no argument.

    Anything that goes wrong is raised and ends the process, before it has said that the tests have passed.
    """
    module = types.ModuleType("answer")  # not __main__: a main guard in the answer does not run
    sys.modules["answer"] = module
    names = module.__dict__
    exec(compile(program, "answer.py", "exec", dont_inherit=True), names)
    exec(compile(tests, "tests.py", "exec", dont_inherit=True), names)
    for name, value in list(names.items()):
        if name.startswith("test") and inspect.isfunction(value) and value.__code__.co_filename == "tests.py":
            value()


if __name__ == "__main__":
    main()

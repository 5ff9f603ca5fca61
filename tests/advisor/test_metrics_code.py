"""The metric code-tests: off unless switched on, what passes, and what a runaway answer cannot do."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from advisor.metrics import code_tests, metric_named
from advisor.metrics.code_tests import RUN_CODE, program_of
from dataset_tools.errors import UsageError

ADD = "def add(a, b):\n    return a + b\n"
TESTS = "assert add(1, 2) == 3\nassert add('a', 'b') == 'ab'\n"


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_CODE, "1")


def score(answer: str, wanted: str = TESTS) -> float:
    return metric_named("code-tests").score(answer, wanted)


@pytest.mark.parametrize("value", [None, "", "0", "true"])
def test_no_code_is_run_unless_it_is_switched_on(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_CODE, "1")
    metric = metric_named("code-tests")
    monkeypatch.delenv(RUN_CODE)
    if value is not None:
        monkeypatch.setenv(RUN_CODE, value)
    for run in (
        lambda: metric_named("code-tests"),
        lambda: metric.score(ADD, TESTS),
        lambda: metric.scores([ADD], [TESTS]),
    ):
        with pytest.raises(UsageError, match=r"no security boundary") as caught:
            run()
        assert f"{RUN_CODE}=1" in str(caught.value)


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("answer", "wanted", "passed"),
    [
        (ADD, TESTS, 1.0),
        (f"Here you are:\n```python\n{ADD}```\nEnjoy!", TESTS, 1.0),
        (ADD, "def test_one():\n    assert add(1, 1) == 2\n\ndef test_two():\n    assert add(0, 0) == 0\n", 1.0),
        (ADD, "def test_one():\n    assert add(1, 1) == 2\n\ndef test_two():\n    assert add(0, 0) == 1\n", 0.0),
        (ADD, "def check(candidate):\n    assert candidate(1, 1) == 2\n\ncheck(add)\n", 1.0),
        (ADD, "for n in range(3):\n    assert add(n, 1) == n + 1\n", 1.0),
        ("def add(a, b):\n    return a - b\n", TESTS, 0.0),
        ("def add(a, b:\n", TESTS, 0.0),
        ("", TESTS, 0.0),
        (f"{ADD}\nraise ValueError", TESTS, 0.0),
        (f"{ADD}\nif __name__ == '__main__':\n    raise ValueError", TESTS, 1.0),
        (f"print('noise ' * 100000)\n{ADD}", TESTS, 1.0),
        (f"from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int'\n{ADD}", TESTS, 1.0),
        (f"def test_my_own():\n    raise ValueError\n{ADD}", TESTS, 1.0),  # only the wanted tests count
        (f"import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n{ADD}", TESTS, 1.0),
        # ways out of the tests
        ("import sys\nsys.exit(0)", TESTS, 0.0),
        ("import os\nos._exit(0)", TESTS, 0.0),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", TESTS, 0.0),
        ("print('a' * 32)\nraise SystemExit", TESTS, 0.0),
    ],
)
def test_an_answer_passes_when_all_wanted_tests_do(answer: str, wanted: str, passed: float) -> None:
    assert score(answer, wanted) == passed


@pytest.mark.usefixtures("allowed")
def test_scores_are_in_order_and_the_details_tell_what_parses() -> None:
    answers = [ADD, "def add(a, b): return 0", "add = ", ADD, "```\nprint(1)\n```"]
    metric = metric_named("code-tests")
    assert metric.scores(answers, [TESTS] * 5) == (1.0, 0.0, 0.0, 1.0, 0.0)
    assert metric.details(answers, [TESTS] * 5) == {"parses": 4 / 5}
    with pytest.raises(ValueError, match="one answer for each wanted answer"):
        metric.scores(answers, [TESTS])


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "wanted",
    [
        ADD,
        "not python",
        "",
        "def check(candidate):\n    assert candidate(1, 1) == 2\n",  # nobody calls it: any answer would pass
        "class TestAdd:\n    def test_one(self):\n        assert add(1, 1) == 2\n",
        "async def test_one():\n    assert add(1, 1) == 2\n",
    ],
)
def test_a_wanted_answer_that_tests_nothing_is_refused_with_its_row(wanted: str) -> None:
    with pytest.raises(UsageError, match="holds no test"):
        score(ADD, wanted)
    with pytest.raises(UsageError, match="row 2 of the 2"):
        metric_named("code-tests").scores([ADD, ADD], [TESTS, wanted])


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "answer", ["while True:\n    pass", "import time\ntime.sleep(60)", "import signal\nsignal.pause()", "input()"]
)
def test_an_answer_that_does_not_end_is_ended(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_tests, "WALL_SECONDS", 1.0)
    assert score(f"{ADD}\n{answer}") == 0.0


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("act", "passed"),
    [
        ("bytearray(1 << 20)", 1.0),
        ("bytearray(4 << 30)", 0.0),
        ("open('big', 'wb').write(bytes(1 << 20))", 1.0),
        ("open('big', 'wb', buffering=0).write(bytes(20 << 20)) == 20 << 20 or 1 / 0", 0.0),
        ("[open('/dev/null') for _ in range(10)]", 1.0),
        ("[open('/dev/null') for _ in range(100)]", 0.0),
    ],
)
def test_memory_files_and_their_size_are_limited(act: str, passed: float) -> None:
    assert score(f"{ADD}\nkept = {act}") == passed


@pytest.mark.usefixtures("allowed")
def test_the_environment_and_the_folder_are_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text("raise ValueError")
    wanted = (
        f"import os, sys\nassert 'A_SECRET' not in os.environ\nassert os.getcwd() != {str(tmp_path)!r}\n"
        "assert os.listdir('.') == []\nopen('here', 'w').close()\nimport code\nassert 'advisor' not in sys.modules\n"
    )
    assert score("x = 1", wanted) == 1.0
    assert os.listdir(tmp_path) == ["code.py"]


@pytest.mark.usefixtures("allowed")
def test_what_an_answer_leaves_running_dies_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(1); open({str(mark)!r}, 'w').close()"
    assert score(f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])\n{ADD}") == 1.0
    time.sleep(1.5)
    assert not mark.exists()


@pytest.mark.usefixtures("allowed")
def test_there_is_no_network_where_the_system_can_take_it_away() -> None:
    if not code_tests._apart():
        pytest.skip("this system lets no process be cut off from the network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=5)\n"
        assert score(f"{reach}{ADD}") == 0.0
    assert score(f"import socket\n{ADD}") == 1.0


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        (ADD, ADD),
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```bash\npip install x\n```\nthen\n```python\nimport x\n```", "import x\n"),
        ("```\nnot python\n```", "not python\n"),
        ("```python\nnever closed", "```python\nnever closed"),
    ],
)
def test_the_code_of_an_answer_is_its_first_block_that_parses(answer: str, program: str) -> None:
    assert program_of(answer) == program

"""Work in the background: it is there for every page, one at a time, and its failures are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from app.jobs import Job, Jobs
from dataset_tools import ModelError, UsageError

KEY = ("project", "chat")


def ended(job: Job) -> Job:
    """The job once its thread is done with it."""
    while job.running:
        time.sleep(0.005)
    return job


def test_a_job_is_seen_while_it_runs_and_after_and_a_second_one_is_refused() -> None:
    jobs, go = Jobs(), threading.Event()

    def work(job: Job) -> None:
        job.text = "half"
        go.wait(30)
        job.text = "whole"

    job = jobs.start(KEY, Job(what="said"), work)
    assert jobs.running(KEY)
    assert not jobs.running(("another", "chat"))
    with pytest.raises(UsageError, match="being done already"):
        jobs.start(KEY, Job(), work)
    jobs.forget(KEY)
    assert jobs.get(KEY) is job, "a job at work is not forgotten"
    go.set()
    assert (ended(job).state, job.text, jobs.get(KEY)) == ("done", "whole", job)
    jobs.forget(KEY)
    assert jobs.get(KEY) is None
    assert ended(jobs.start(KEY, Job(), lambda job: None)).state == "done"


def test_a_job_that_was_asked_to_stop_says_so() -> None:
    def work(job: Job) -> None:
        while not job.stopping:
            time.sleep(0.005)

    job = Jobs().start(KEY, Job(), work)
    job.stop()
    assert ended(job).state == "stopped"


def failing(error: Exception) -> Callable[[Job], None]:
    def work(job: Job) -> None:
        raise error

    return work


def test_an_error_is_kept_for_the_page() -> None:
    error = ModelError("no such model")
    job = ended(Jobs().start(KEY, Job(), failing(error)))
    assert (job.state, job.error) == ("failed", error)


def test_a_defect_ends_the_job_too_and_goes_to_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    logged, there = list[object](), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda found: (logged.append(found.exc_type), there.set()))
    job = ended(Jobs().start(KEY, Job(), failing(KeyError("ours"))))
    assert job.state == "failed"
    assert there.wait(30)
    assert logged == [KeyError]
    assert job.error is not None
    assert "terminal" in str(job.error.next_step)

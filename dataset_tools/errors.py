"""The errors of the product: one small tree, each with a message that helps.

    FittingRoomError            the data, the model or the run has errors (exit code 1)
    ├── UsageError              the command or the call is wrong (exit code 2)
    ├── DataError               a dataset cannot be used
    ├── DocumentsError          the documents cannot be used
    ├── LeakError               a test row was about to reach a prompt, an index or a training run
    ├── ModelError              a model cannot be had, or cannot be used
    ├── RunError                a run (training, comparison) failed
    └── DiskFullError           there is no space left to write to

A message says what happened, where, what was found, what was expected, and what to do next. Add a class only
where a caller needs to tell it from the others.
"""

from __future__ import annotations


class FittingRoomError(Exception):
    """Something the user can act on. It is shown without a traceback."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.found = found
        self.expected = expected
        self.next_step = next_step
        super().__init__(str(self))

    def to_dict(self) -> dict[str, str | None]:
        """The parts of the message, for ``--json``."""
        return {
            "kind": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "next_step": self.next_step,
        }

    def __str__(self) -> str:
        parts = [self.what]
        for label, text in (
            ("where", self.where),
            ("found", self.found),
            ("expected", self.expected),
            ("next", self.next_step),
        ):
            if text:
                parts.append(f"  {label}: {text}")
        return "\n".join(parts)


class UsageError(FittingRoomError):
    """The command line or the call is wrong: an unknown arm, a path that does not exist."""

    exit_code = 2


class DataError(FittingRoomError):
    """A dataset cannot be used: empty, binary, no valid row, too few rows."""


class DocumentsError(FittingRoomError):
    """The documents for retrieval cannot be read, or hold no text."""


class LeakError(FittingRoomError):
    """A test row, or a near-duplicate of one, was about to be used outside the test. Always a defect of ours."""


class ModelError(FittingRoomError):
    """A model cannot be found, is damaged, or cannot do what was asked."""


class RunError(FittingRoomError):
    """A run failed, or its folder is not what it should be."""


class DiskFullError(FittingRoomError):
    """There is no space left on the disk that was being written to."""

"""The process of an export that a page has started: ``python -m app.export_worker RUN/export``.

What is to be exported stands in that folder, and so does how it goes (`training.export.attempts`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.exports import ROWS, make
from dataset_tools.errors import FittingRoomError, UsageError
from training.export.attempts import end_on_request, last_attempt, record
from training.export.job import Tell
from training.export.report import ExportReport
from training.quiet import quiet_libraries
from training.runs.folder import RunFolder

_STOPPED = 130  # as a shell has it for what Ctrl-C has ended


def main() -> int:
    """Export the run as its folder says; 0 where that was done and proven."""
    end_on_request()
    quiet_libraries()
    run = RunFolder(Path(sys.argv[1]).parent)
    try:
        wanted = last_attempt(run)
        if wanted is None:
            return UsageError.exit_code
        to, folder, quantization = wanted.to, Path(wanted.folder), wanted.quantization

        def work(tell: Tell) -> ExportReport:
            return make(run, to, folder, quantization=quantization, rows=ROWS, tell=tell)

        record(run, to, quantization=quantization, folder=folder, work=work)
    except FittingRoomError as error:  # it is written down where the page reads it
        return error.exit_code
    except KeyboardInterrupt:
        return _STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())

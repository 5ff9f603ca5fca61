"""The process that runs a comparison for the app: ``python -m advisor.worker FOLDER``. It owns that folder."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from pathlib import Path

from dataset_tools.errors import FittingRoomError
from training.runs.folder import RunFolder
from training.runs.worker import explain


def main() -> int:
    """Run the comparison that the folder's request.json asks for; 0 where it ended well."""
    from training.quiet import quiet_libraries

    quiet_libraries()
    from advisor.comparison import carry_out
    from advisor.request import ComparisonRequest

    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # take a training run along
    try:
        request = ComparisonRequest.from_dict(json.loads((folder / "request.json").read_text("utf-8")))
        carry_out(request, RunFolder(folder))
    except KeyboardInterrupt:
        return 130
    except FittingRoomError as error:  # carry_out has written it down
        return error.exit_code
    except Exception as error:  # the edge of the process: whatever it was, the run must not look alive
        traceback.print_exc()
        run, told = RunFolder(folder), explain(error).to_dict()
        run.log("failed", error=told)
        run.update(state="failed", error=told)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

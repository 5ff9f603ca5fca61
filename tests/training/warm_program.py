"""A program for tests of `training.runs.warm`: it writes down how it was started, and waits until it may end."""

import json
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print("printed", flush=True)
    found = {
        "arguments": sys.argv[1:],
        "module": sys.modules["__main__"].__spec__.name,  # type: ignore[union-attr]
        "folder": os.getcwd(),
        "home": os.environ.get("FITTING_ROOM_HOME"),
        "session": os.getsid(0) == os.getpid(),
        "loaded": "trl" in sys.modules,
    }
    (folder / "part.json").write_text(json.dumps(found), "utf-8")
    (folder / "part.json").rename(folder / "started.json")
    while not (folder / "end").exists():
        time.sleep(0.02)
    (folder / "ended").touch()
    sys.exit(3)

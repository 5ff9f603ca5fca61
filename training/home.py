"""Where the product keeps its files: projects, runs and comparisons, and the cache of prepared models.

``FITTING_ROOM_HOME`` moves all of it into one folder. Without it, work goes to the user's data folder and what can be
made again to the user's cache folder, as the platform names them.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

APP = "fitting-room"


def home() -> Path:
    """The folder of runs and comparisons (made if missing)."""
    chosen = os.environ.get("FITTING_ROOM_HOME")
    folder = Path(chosen).expanduser().resolve() if chosen else user_data_path(APP)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache() -> Path:
    """The folder of what can be made again, prepared models above all (made if missing)."""
    folder = home() / "cache" if os.environ.get("FITTING_ROOM_HOME") else user_cache_path(APP)
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""Importing it loads what the app and its runs take long to load; see `tests.app.served.forked`."""

from __future__ import annotations

import gc
import importlib

from training.quiet import quiet_libraries
from training.runs.warm import LIBRARIES

quiet_libraries()
_PAGES = (f"app.pages.{page}" for page in ("build", "compare", "data", "evaluate", "train"))
for name in (*LIBRARIES, "gradio", "app.server", "app.models", *_PAGES):
    importlib.import_module(name)
gc.freeze()

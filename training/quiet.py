"""Silence what the model libraries say that means nothing to the person who runs a comparison.

Called once at each process edge (command line, server, worker), before the libraries are imported. Errors still show.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping

# Each names its source; a message that is not here is shown.
_MEANINGLESS = (
    r".*`torch_dtype` is deprecated.*",
    r".*pin_memory.*no accelerator is found.*",  # torch DataLoader on a CPU
    r".*MatMul4Bit.*|.*MatMul8bitLt.*",  # bitsandbytes names its compute dtype
    r".*torch\.cpu\.amp\.autocast.*",
    r".*use_reentrant.*",
    r".*`is_gradient_checkpointing` is deprecated.*",  # peft asks transformers by the older name
    r".*Merge lora module to 4-bit linear.*",  # we score the merged weights themselves
)


SETTINGS: Mapping[str, str] = {
    # Threads of GNU OpenMP (torch's) wait by spinning. With a second busy program on 2 cores a training step then took
    # over ten times as long. Spinning briefly costs an undisturbed step about 15%, and keeps a disturbed one bearable.
    "GOMP_SPINCOUNT": "10000",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",  # the product draws its own progress
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "BITSANDBYTES_NOWELCOME": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
}
"""The libraries' own switches, as environment variables that they read when they are loaded. What the user has set
stays."""


def quiet_libraries() -> None:
    """Set the libraries' own switches for progress bars, telemetry and chatter, and make them share the processor."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in ("bitsandbytes", "transformers", "trl", "peft", "accelerate", "sentence_transformers", "bm25s"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for pattern in _MEANINGLESS:
        warnings.filterwarnings("ignore", message=pattern)

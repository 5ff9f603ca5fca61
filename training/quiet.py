"""Silence what the model libraries say that means nothing to the person who runs a comparison.

Called once at each process edge (command line, server, worker), before the libraries are imported. Errors still show.
"""

from __future__ import annotations

import logging
import os
import warnings

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


def quiet_libraries() -> None:
    """Set the libraries' own switches for progress bars, telemetry and chatter, and make them share the processor."""
    # Threads of GNU OpenMP (torch's) wait by spinning. With a second busy program on 2 cores a training step then took
    # over ten times as long. Spinning briefly costs an undisturbed step about 15%, and keeps a disturbed one bearable.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")  # the product draws its own progress
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    for name in ("bitsandbytes", "transformers", "trl", "peft", "accelerate", "sentence_transformers", "bm25s"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for pattern in _MEANINGLESS:
        warnings.filterwarnings("ignore", message=pattern)

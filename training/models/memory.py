"""The memory that training takes, by part, from the recipe and the model's shape: nothing is loaded or measured.

Sources: the bytes of weights and optimisers are QLoRA's and AdamW's (SCIENCE 6). The activations are counted from what
torch keeps for the backward pass of a Llama-like layer (transformers 5.23, peft 0.21; tested against torch's own
saved tensors), where SCIENCE 6 has 34 bytes for each token and unit of width, as in arxiv.org/abs/2205.05198.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from training.methods.arguments import optimizer_of, precision_of
from training.models.machine_memory import MachineMemory
from training.models.shape import ModelShape, scaled_by_ia3
from training.recipe import LORA_LIKE, Recipe

GIB = 2**30
# NF4 with double quantisation: half a byte, and 8 + 32 / 256 bits for each block of 64 (arxiv.org/abs/2305.14314).
_NF4 = 0.516
# What the optimisers keep of each trained number; AdamW two float32, in 8 bits two bytes, Adafactor rows and columns.
OPTIMIZER_BYTES = {
    **dict.fromkeys(("adamw_torch", "adamw_torch_fused", "paged_adamw_32bit"), 8.0),
    **dict.fromkeys(("adamw_bnb_8bit", "paged_adamw_8bit"), 2.0),
    "adafactor": 0.1,
    "sgd": 0.0,
}
# trl 1.16 computes logits in tiles of at most so many tokens and words; without Triton in float32, over and over.
_TILE_TOKENS, _TILE_WORDS, _TILE_BYTES_CPU = 4096, 32_768, 31
# training.methods.answer_loss holds at most so many logits at once: in float32, and twice in the type of computation.
_LEAN_LOGITS = 2**24
# The CUDA context, cuBLAS's work space and the like: SCIENCE 6 has 0.8 to 1.1 GB.
_CONTEXT = int(1.1 * GIB)
# A process with torch, transformers, peft and trl at work, without model and rows (measured: Linux, torch 2.13).
_PROCESS = 650_000_000
# For what the GPU's allocator cannot use again, and what is not counted here (SCIENCE 6).
_MARGIN = 0.10
# The same on a CPU, as a share of the activations: the C library's heap keeps holes. Measured on the embedded model
# with glibc: 40 to 65% of the activations of 4 rows of 135 to 263 tokens, and next to none where each tensor is mapped.
_HEAP_HOLES = 0.4
# glibc's heap takes blocks up to this size; larger ones are mapped, and given back as they are freed (mallopt(3)).
_HEAP_BLOCK = 32 * 2**20


def memory_parts(
    recipe: Recipe, shape: ModelShape, *, machine: MachineMemory, longest: int | None = None, fused_head: bool = True
) -> dict[str, int]:
    """The most bytes that a training run holds at a time, by part: of the GPU, or of the host where there is none.

    Args:
        recipe: How it trains.
        shape: The base model's.
        machine: What it runs on; decides on precision, optimiser and the libraries' overhead.
        longest: Tokens of the longest row, if that is known to be less than the recipe's ``max_length``.
        fused_head: As training does it. False is for a plain script, which computes all logits at once.

    Returns:
        ``weights``, ``adapters``, ``gradients`` (what of them does not take the place of activations), ``optimizer``,
        ``activations``, ``logits``, ``overhead`` (libraries and buffers) and ``margin`` (what allocators waste). On a
        CPU the pages of the weights' file are not counted: the system drops them when memory is short.

    Raises:
        UsageError: the machine cannot train in the recipe's precision.
    """
    size, on_gpu = 4 if precision_of(recipe, machine.device) == "fp32" else 2, machine.device.has_accelerator
    trained = shape.trainable(recipe)
    activations = _activations(recipe, shape, size, longest=longest)
    logits = _logits(recipe, shape, size, longest=longest, on_gpu=on_gpu, fused=fused_head)
    # Gradients appear as activations go, unless those of earlier parts of the batch are there already.
    beside = 0 if recipe.batch_size > recipe.micro_batch_size else activations + logits
    parts = {
        "weights": _weights(recipe, shape, size),
        "adapters": 0 if recipe.method == "full" else 4 * trained,  # trained in float32, whatever the base is in
        "gradients": max(0, 4 * trained - beside),
        "optimizer": int(OPTIMIZER_BYTES[optimizer_of(recipe, machine.device)] * trained),
        "activations": activations,
        "logits": logits,
        "overhead": _overhead(recipe, shape, size, on_gpu=on_gpu),
    }
    return {**parts, "margin": int(_MARGIN * sum(parts.values())) if on_gpu else int(_HEAP_HOLES * activations)}


def memory_needed(recipe: Recipe, shape: ModelShape, *, machine: MachineMemory, longest: int | None = None) -> int:
    """The sum of `memory_parts`, in bytes."""
    return sum(memory_parts(recipe, shape, machine=machine, longest=longest).values())


def largest_micro_batch(recipe: Recipe, shape: ModelShape, *, lengths: Sequence[int], machine: MachineMemory) -> int:
    """The most rows at once that fit the free memory; 0 where not even the fewest do.

    Only divisors of the batch come into question, so that what is learnt stays the same.

    Args:
        recipe: How it trains; its ``micro_batch_size`` does not matter.
        shape: The base model's.
        lengths: Tokens of each training row.
        machine: With the memory that is free.
    """
    longest = min(max(lengths, default=recipe.max_length), recipe.max_length)
    fewest = 2 if recipe.objective == "kto" else 1
    for rows in range(recipe.batch_size, fewest - 1, -1):
        if recipe.batch_size % rows == 0:
            needed = memory_needed(replace(recipe, micro_batch_size=rows), shape, machine=machine, longest=longest)
            if needed <= machine.free:
                return rows
    return 0


def _weights(recipe: Recipe, shape: ModelShape, size: int) -> int:
    if recipe.method == "full":
        # Held in float32; autocast keeps a 16-bit copy of each for the backward pass. dpo and kto hold the start too.
        copies = 4 + (0 if size == 4 else size) + (4 if recipe.objective in ("dpo", "kto") else 0)
        return copies * shape.parameters
    if recipe.method == "qlora":
        return int(_NF4 * shape.linear_parameters) + size * (shape.parameters - shape.linear_parameters)
    return size * shape.parameters


def _tokens(recipe: Recipe, longest: int | None) -> tuple[int, int]:
    """Tokens of a row, and of all rows that are computed at once."""
    width = recipe.max_length if longest is None else min(longest, recipe.max_length)
    if recipe.objective == "grpo":
        width += recipe.max_completion
    if recipe.method == "prompt":
        width += recipe.virtual_tokens
    return width, width * recipe.micro_batch_size * (2 if recipe.objective == "dpo" else 1)


def _activations(recipe: Recipe, shape: ModelShape, size: int, *, longest: int | None) -> int:
    """What is kept for the backward pass; for grpo at least the cache of the answers that are drawn together."""
    width, tokens = _tokens(recipe, longest)
    layer = layer_bytes(recipe, shape, size, width=width)
    stream = shape.hidden_size * (4 if recipe.method == "full" else size)
    kept = shape.layers * stream + layer if recipe.gradient_checkpointing else (shape.layers + 1) * layer
    cache = 2 * size * shape.kv_width * shape.layers * width * recipe.batch_size if recipe.objective == "grpo" else 0
    return max(tokens * kept, cache)


def layer_bytes(recipe: Recipe, shape: ModelShape, size: int, *, width: int) -> int:
    """Bytes of one token that one layer keeps for the backward pass.

    Args:
        recipe: How it trains: each method keeps its own.
        shape: The base model's.
        size: Bytes of a number that is computed with: 2 or 4.
        width: Tokens of a row. Rows of several lengths in a batch need a mask, which each layer keeps.
    """
    hidden, ffn, queries, keys = shape.hidden_size, shape.ffn, shape.attention_width, shape.kv_width
    masked = recipe.micro_batch_size > 1 or recipe.method == "prefix"
    kept = 4 * shape.normed  # normalisations work in float32
    kept += size * (2 * queries + 2 * (queries if masked else keys) + (width if masked else 0)) + 4 * shape.heads
    kept += size * 3 * ffn
    inputs = sum(linear.inputs * linear.count for linear in shape.linears) // shape.layers
    outputs = sum(linear.outputs * linear.count for linear in shape.linears) // shape.layers
    if recipe.method in LORA_LIKE:
        modules = sum(linear.count for linear in shape.linears) // shape.layers
        # Adapters are float32: autocast casts each one's input anew. In float32 two normalised states serve them all.
        kept += size * (inputs if size == 2 else 2 * hidden + ffn) + size * recipe.rank * modules
        if recipe.method == "dora":
            kept += 2 * size * outputs
    elif recipe.method == "ia3":
        scaled = [linear for linear in shape.linears if linear.name in scaled_by_ia3(shape.family)]
        kept += 4 * ffn + size * sum(linear.outputs * linear.count for linear in scaled) // shape.layers
    elif recipe.method == "full":
        kept += 4 * shape.normed + size * ffn + size * (inputs - ffn - queries if size == 2 else 2 * hidden)
    return kept


def _logits(recipe: Recipe, shape: ModelShape, size: int, *, longest: int | None, on_gpu: bool, fused: bool) -> int:
    tokens = _tokens(recipe, longest)[1]
    if not fused:
        return 10 * tokens * shape.vocabulary  # SCIENCE 6: in 16 bits, in float32, and their gradient in float32
    slopes = 4 * tokens * shape.hidden_size + (4 * shape.vocabulary * shape.hidden_size) * (recipe.method == "full")
    if not on_gpu and recipe.objective == "sft":
        return (4 + 2 * size) * min(tokens * shape.vocabulary, _LEAN_LOGITS) + slopes
    return (size if on_gpu else _TILE_BYTES_CPU) * min(tokens, _TILE_TOKENS) * _TILE_WORDS + slopes


def _overhead(recipe: Recipe, shape: ModelShape, size: int, *, on_gpu: bool) -> int:
    """The libraries, and buffers that do not grow with the rows."""
    largest = max(linear.inputs * linear.outputs for linear in shape.linears)
    trained = 0 if recipe.method == "full" else shape.trainable(recipe)
    buffers = size * largest if recipe.method == "qlora" else 0  # one layer's weights, unpacked
    buffers += size * trained if size == 2 else 0  # autocast's copies of the adapters
    if recipe.dry_run and not on_gpu:  # which keeps what is trained as it was, in the host's memory
        buffers += 4 * shape.trainable(recipe)
    if recipe.method in ("qlora", "dora") and not on_gpu:
        # Holes in the heap, left by 16-bit weights that were packed, or by each layer's unit matrix (see below).
        packed = recipe.method == "qlora"
        blocks = [
            (size * each.inputs * (each.outputs if packed else each.inputs), each.count) for each in shape.linears
        ]
        buffers += sum(block * count for block, count in blocks if block < _HEAP_BLOCK)
    if recipe.method == "dora":  # the unit matrix that it is multiplied with, and the product, in float32 too
        buffers += max(
            size * linear.inputs**2 + (size + 8) * linear.inputs * linear.outputs for linear in shape.linears
        )
    return buffers + (_CONTEXT if on_gpu else _PROCESS)

"""The shape of a language model: how many numbers it has, and where, from its configuration alone. No weights are read.

The families below are computed from their figures; of any other architecture that transformers knows, an empty model
(on torch's meta device) is built and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dataset_tools.errors import ModelError
from training.recipe import LORA_LIKE, Recipe


@dataclass(frozen=True)
class Linear:
    """A kind of linear layer: its name, the width of what goes in and out, and how many of it the model has."""

    name: str
    inputs: int
    outputs: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a config.json says of a decoder's size. ``context`` is in tokens; ``ffn`` is the width within its MLPs.

    ``tied`` means that the output head is the embeddings' matrix.
    """

    family: str
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    context: int
    tied: bool


@dataclass(frozen=True, kw_only=True)
class ModelShape(Figures):
    """What a model is made of.

    ``linears`` are its linear layers but for the output head: those that 4-bit loading packs and LoRA sits on.
    ``normed`` is the width of all normalisations of one layer together. ``other_parameters`` are neither in embeddings,
    head nor the matrices of ``linears``: normalisations, biases, and experts that are not linear layers.
    """

    linears: tuple[Linear, ...]
    normed: int
    other_parameters: int

    @property
    def attention_width(self) -> int:
        """Of all heads' queries together."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Of all heads' keys together, and of their values."""
        return self.kv_heads * self.head_dim

    @property
    def linear_parameters(self) -> int:
        """Numbers in the matrices of the linear layers, without the head."""
        return sum(linear.inputs * linear.outputs * linear.count for linear in self.linears)

    @property
    def embedding_parameters(self) -> int:
        """Numbers in the embeddings, and in the output head where it is another matrix."""
        return self.vocabulary * self.hidden_size * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """All numbers of the model; a matrix that is used twice counts once."""
        return self.linear_parameters + self.embedding_parameters + self.other_parameters

    def trainable(self, recipe: Recipe) -> int:
        """Numbers that the recipe's method trains, as `training.methods.adapters` sets it up."""
        if recipe.method in LORA_LIKE:
            widths = sum((linear.inputs + linear.outputs) * linear.count for linear in self.linears)
            magnitudes = sum(linear.outputs * linear.count for linear in self.linears)
            return recipe.rank * widths + (magnitudes if recipe.method == "dora" else 0)
        if recipe.method == "ia3":
            scaled = scaled_by_ia3(self.family)
            return sum(
                (linear.inputs if linear.name == "down_proj" else linear.outputs) * linear.count
                for linear in self.linears
                if linear.name in scaled
            )
        if recipe.method == "prefix":  # peft takes a head's width as the model's over the heads (peft 0.21, other.py)
            return recipe.virtual_tokens * self.layers * 2 * (self.hidden_size // self.heads * self.kv_heads)
        return recipe.virtual_tokens * self.hidden_size if recipe.method == "prompt" else self.parameters


def scaled_by_ia3(family: str) -> tuple[str, ...]:
    """The linear layers that peft's IA3 scales (peft 0.21, TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING)."""
    return ("k_proj" if family in ("llama", "mistral") else "q_proj", "v_proj", "down_proj")


@dataclass(frozen=True)
class _Family:
    """How a family of dense decoders differs from Llama: see the modeling files of transformers 5.23."""

    norms: int = 2
    head_norms: bool = False
    qkv_bias: bool = False
    fused: bool = False


_FAMILIES = {
    "llama": _Family(),
    "mistral": _Family(),
    "smollm3": _Family(),
    "granite": _Family(),
    "gemma": _Family(),
    "qwen2": _Family(qkv_bias=True),
    "qwen3": _Family(head_norms=True),
    "gemma2": _Family(norms=4),
    "gemma3_text": _Family(norms=4, head_norms=True),
    "phi3": _Family(fused=True),
}


def shape_of(config: Any) -> ModelShape:
    """The shape that a configuration describes.

    Args:
        config: transformers' configuration object, or the mapping in a config.json.

    Raises:
        ModelError: the architecture is unknown, or a figure is missing.
    """
    from transformers import AutoConfig

    family = config.get("model_type") if isinstance(config, Mapping) else config.model_type
    try:
        if isinstance(config, Mapping):
            rest = {name: value for name, value in config.items() if name != "model_type"}
            config = AutoConfig.for_model(family, **rest)
        return _described(config) if family in _FAMILIES else _counted(config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            "The size of this model cannot be told from its configuration.",
            found=f"model_type {family!r}: {type(error).__name__} {str(error)[:200]}",
            expected="the config.json of a causal language model that transformers knows",
            next_step="Choose another base model.",
        ) from error


def dense_shape(figures: Figures, *, attention_bias: bool = False, mlp_bias: bool = False) -> ModelShape:
    """The shape of a dense decoder with gated MLPs.

    Args:
        figures: Of one of the known families.
        attention_bias: Whether the attention's linear layers have biases.
        mlp_bias: Whether the MLP's have.
    """
    kind, hidden, layers, ffn = _FAMILIES[figures.family], figures.hidden_size, figures.layers, figures.ffn
    queries, keys = figures.heads * figures.head_dim, figures.kv_heads * figures.head_dim
    if kind.fused:
        read, widen = {"qkv_proj": queries + 2 * keys}, {"gate_up_proj": 2 * ffn}
    else:
        read, widen = {"q_proj": queries, "k_proj": keys, "v_proj": keys}, {"gate_proj": ffn, "up_proj": ffn}
    linears = [Linear(name, hidden, width, layers) for name, width in (read | widen).items()]
    linears += [Linear("o_proj", queries, hidden, layers), Linear("down_proj", ffn, hidden, layers)]
    biases = (queries + 2 * keys) * (kind.qkv_bias or attention_bias) + hidden * attention_bias
    biases += (2 * ffn + hidden) * mlp_bias
    norms = kind.norms * hidden + 2 * figures.head_dim * kind.head_norms
    return ModelShape(
        **asdict(figures),
        linears=tuple(linears),
        normed=kind.norms * hidden + (queries + keys) * kind.head_norms,
        other_parameters=layers * (norms + biases) + hidden,
    )


def _figures(config: Any) -> dict[str, Any]:
    """The figures of a configuration, but for those that the model itself tells better."""
    text = config.get_text_config()
    heads, width = text.num_attention_heads, text.hidden_size
    return {
        "family": config.model_type,
        "hidden_size": width,
        "layers": text.num_hidden_layers,
        "heads": heads,
        "kv_heads": getattr(text, "num_key_value_heads", None) or heads,
        "head_dim": getattr(text, "head_dim", None) or width // heads,
        "ffn": getattr(text, "intermediate_size", None) or 4 * width,
        "context": text.max_position_embeddings,
    }


def _described(config: Any) -> ModelShape:
    figures = Figures(**_figures(config), vocabulary=config.vocab_size, tied=bool(config.tie_word_embeddings))
    biases = {name: bool(getattr(config, name, False)) for name in ("attention_bias", "mlp_bias")}
    return dense_shape(figures, **biases)


def _counted(config: Any) -> ModelShape:
    """The shape of an architecture that no family above describes: an empty model of it, counted."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings().weight
    tied = head is not None and head.weight is embeddings
    kinds: Counter[tuple[str, int, int]] = Counter()
    for name, module in model.named_modules():
        if module is not head and type(module).__name__ in ("Linear", "Conv1D"):
            width, other = module.weight.shape
            inputs, outputs = (other, width) if type(module).__name__ == "Linear" else (width, other)
            kinds[name.rpartition(".")[2], int(inputs), int(outputs)] += 1
    linears = tuple(Linear(*kind, count) for kind, count in kinds.items())
    known = sum(linear.inputs * linear.outputs * linear.count for linear in linears)
    known += embeddings.numel() * (1 if tied else 2)
    return ModelShape(
        **_figures(config),
        vocabulary=embeddings.shape[0],
        tied=tied,
        linears=linears,
        normed=2 * embeddings.shape[1],
        other_parameters=sum(parameter.numel() for parameter in model.parameters()) - known,
    )

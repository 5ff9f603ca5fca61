"""How an export is served: commands and a short script for each server, as text for its README. Nothing is run here."""

from __future__ import annotations

import re
from pathlib import Path

from training.export.source import Source

# What vLLM loads as an adapter (docs.vllm.ai, "LoRA adapters"); DoRA, IA3 and virtual tokens it does not.
_VLLM_ADAPTERS = ("qlora", "lora", "rslora")


def model_name(out: Path) -> str:
    """A name for servers, from the folder's name: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", out.name.lower()).strip("-")[:60] or "model"


def serve_adapter(source: Source, name: str) -> str:
    """For an adapter: vLLM where it can, and transformers with peft."""
    base = source.base.title if source.base.on_hub else f"PATH/TO/{source.base.title}"
    loading = [f'base = AutoModelForCausalLM.from_pretrained("{base}", device_map="auto", dtype="auto")']
    if source.in_4_bits:
        loading = [
            "# The base in 4 bits, as it was trained on.",
            "four_bits = BitsAndBytesConfig(",
            '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,',
            "    bnb_4bit_compute_dtype=torch.bfloat16,",
            ")",
            f'base = AutoModelForCausalLM.from_pretrained("{base}", quantization_config=four_bits, device_map="auto")',
        ]
    lines = ["import torch", "from peft import PeftModel"]
    lines += ["from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig", ""]
    lines += ['tokenizer = AutoTokenizer.from_pretrained(".")', *loading]
    lines += ['model = PeftModel.from_pretrained(base, ".").eval()', *_ASKING]
    if source.recipe.method not in _VLLM_ADAPTERS:
        vllm = f"vLLM does not load {source.recipe.method} adapters; use transformers, or export a merged model."
    else:
        in_4_bits = " \\\n  --quantization bitsandbytes" if source.in_4_bits else ""
        vllm = _code(
            "bash",
            f"vllm serve {base} --enable-lora --max-lora-rank {_rank_limit(source.recipe.rank)} \\\n"
            f"  --lora-modules {name}=. --chat-template chat_template.jinja{in_4_bits}",
        )
        if source.in_4_bits:
            vllm += (
                "\n`--quantization bitsandbytes` loads the base in 4 bits, as in training; it was not measured here."
            )
    return f"### vLLM\n\n{vllm}\n\n### transformers and peft\n\n{_code('python', *lines)}"


def serve_merged(name: str) -> str:
    """For a merged model: vLLM and transformers."""
    vllm = f"vllm serve . --served-model-name {name} \\\n  --override-generation-config '{{\"temperature\": 0}}'"
    lines = ["from transformers import AutoModelForCausalLM, AutoTokenizer", ""]
    lines += ['tokenizer = AutoTokenizer.from_pretrained(".")']
    lines += ['model = AutoModelForCausalLM.from_pretrained(".", device_map="auto", dtype="auto")', *_ASKING]
    return f"### vLLM\n\n{_code('bash', vllm)}\n\n### transformers\n\n{_code('python', *lines)}"


def serve_gguf(file: str, name: str, *, has_modelfile: bool) -> str:
    """For a GGUF file: llama.cpp's server, and Ollama where there is a Modelfile."""
    server = f"llama-server --model {file} --jinja --temp 0 --port 8080"
    text = f"### llama.cpp\n\n{_code('bash', server)}"
    if has_modelfile:
        text += f"\n\n### Ollama\n\n{_code('bash', f'ollama create {name} --file Modelfile', f'ollama run {name}')}"
    return text


_ASKING = (
    "",
    'messages = [{"role": "user", "content": "Your question"}]',
    "prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)",
    'inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)',
    "answer = model.generate(**inputs, max_new_tokens=256, do_sample=False)",
    "print(tokenizer.decode(answer[0, inputs.input_ids.shape[1]:], skip_special_tokens=True))",
)


def _rank_limit(rank: int) -> int:
    """VLLM takes 8, 16, 32, 64, 128, 256, 320 or 512 as the largest rank."""
    return next((limit for limit in (8, 16, 32, 64, 128, 256, 320, 512) if limit >= rank), rank)


def _code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])

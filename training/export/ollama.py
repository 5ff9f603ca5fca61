"""An Ollama Modelfile: the chat template in Ollama's language, the stop tokens, and the settings that were measured.

Ollama does not read a model's Jinja template; its own language is Go's text/template. The pieces that are written
down in it come from `template_pieces`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from training.export.template_pieces import Pieces, refusal

_FORBIDDEN = ('"""', "{{", "}}")
_LAST = "(eq (len (slice $.Messages $i)) 1)"


def modelfile(pieces: Pieces, *, file: str, stops: Sequence[str], context: int, bos: str | None, title: str) -> str:
    """A Modelfile.

    Args:
        pieces: What the template writes.
        file: The GGUF file's name, beside it.
        stops: The text of each token that ends an answer.
        context: Tokens that fit the model.
        bos: The token that Ollama puts before a prompt by itself, as the GGUF file says so; None where it adds none.
        title: What the model is called.

    Raises:
        TemplateRefused: a piece holds what Ollama's language cannot say.
    """
    lines = [f"# {title}", f"FROM ./{file}", f'TEMPLATE """{template_text(pieces, bos=bos)}"""']
    lines += [f'PARAMETER stop "{_plain(stop)}"' for stop in stops]
    lines += [f"PARAMETER num_ctx {context}", "# As it was measured: the likeliest token each time, nothing penalised."]
    lines += ["PARAMETER temperature 0", "PARAMETER repeat_penalty 1"]
    return "\n".join(lines) + "\n"


def template_text(pieces: Pieces, *, bos: str | None = None) -> str:
    """The template in Ollama's language; `bos` is left out at its beginning, as Ollama adds it.

    Raises:
        TemplateRefused: a piece holds what Ollama's language cannot say.
    """
    begin = _plain(pieces.begin.removeprefix(bos or ""))
    system = ""
    if pieces.before_system is not None and not pieces.system_last:
        before = _plain(pieces.before_system.removeprefix(bos or ""))
        system = f'{{{{ if eq .Role "system" }}}}{before}{{{{ .Content }}}}{_plain(pieces.after_system)}{{{{ end }}}}'
        begin = f'{{{{ if ne (index .Messages 0).Role "system" }}}}{begin}{{{{ end }}}}' if begin else ""
    inside = ""
    if pieces.before_system is not None and pieces.system_last:
        told = f"{_plain(pieces.before_system)}{{{{ $.System }}}}{_plain(pieces.after_system)}"
        inside = f"{{{{ if and $.System {_LAST} }}}}{told}{{{{ end }}}}"
    user = f"{_plain(pieces.before_user)}{inside}{{{{ .Content }}}}{_plain(pieces.after_user)}"
    answer = f"{_plain(pieces.before_answer)}{{{{ .Content }}}}{_plain(pieces.after_answer)}"
    turns = f'{{{{ if eq .Role "user" }}}}{user}{{{{ else if eq .Role "assistant" }}}}{answer}{{{{ end }}}}'
    return f"{begin}{{{{ range $i, $_ := .Messages }}}}{system}{turns}{{{{ end }}}}"


def read_modelfile(text: str) -> tuple[str, list[str]]:
    """The template and the stop tokens that a Modelfile of `modelfile` holds; an empty template where it has none."""
    template = re.search(r'^TEMPLATE """(.*?)"""$', text, re.DOTALL | re.MULTILINE)
    return template[1] if template else "", re.findall(r'^PARAMETER stop "(.*)"$', text, re.MULTILINE)


def _plain(text: str) -> str:
    """Text that means itself in a Modelfile's template."""
    if any(mark in text for mark in _FORBIDDEN) or any(ord(char) < 32 and char not in "\n\t" for char in text):
        raise refusal(f"it writes {text[:60]!r}, which Ollama's language would read as its own")
    return text

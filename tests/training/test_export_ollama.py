"""A chat template in Ollama's language: the same prompts as the model's own template gives, or an honest refusal."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example, Message
from dataset_tools.rendering import prompt_text
from tests.conftest import CHATML, tiny_tokenizer
from training.export import ExportError
from training.export.ollama import modelfile, read_modelfile, template_text
from training.export.template_pieces import TemplateRefused, check_pieces, learn_pieces

BOS = "<|begin_of_text|>"
SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA_2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
GEMMA_3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for message in rest %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') + message['content'] | trim"
    " + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
_MISTRAL = (
    "{% if messages[0]['role'] == 'system' %}{% set told = messages[0]['content'] %}{% set rest = messages[1:] %}"
    "{% else %}{% set rest = messages %}{% endif %}{{ bos_token }}{% for message in rest %}"
    "{% if message['role'] == 'user' %}{% if loop.WHERE and told is defined %}"
    "{{ '[INST] ' + told + '\n\n' + message['content'] + '[/INST]' }}{% else %}"
    "{{ '[INST] ' + message['content'] + '[/INST]' }}{% endif %}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {
    "ChatML": CHATML,
    "SmolLM2": SMOLLM,
    "Llama 3": LLAMA_3,
    "Gemma 2": GEMMA_2,
    "Gemma 3": GEMMA_3,
    "Mistral": _MISTRAL.replace("WHERE", "first"),
    "Mistral 0.3": _MISTRAL.replace("WHERE", "last"),
}
REFUSED = {
    "upper case": CHATML.replace("{{ message['content'] }}", "{{ message['content'] | upper }}"),
    "the first message twice": "{{ messages[0]['content'] }}" + CHATML,
    "another first turn": CHATML.replace(
        "<|im_start|>assistant\n{% endif %}", "{{ 'first' if messages | length == 1 else 'later' }}{% endif %}"
    ).replace("{{ message['content'] }}", "{{ message['content'] }}"),
    "no user text": "{% for message in messages %}{% if message['role'] != 'user' %}x{% endif %}{% endfor %}",
}
SYSTEM, USER = Message("system", "Be brief."), Message("user", "what is {{ .x }} 12")
ANSWER = Message("assistant", "a city")
CONVERSATIONS = ([USER], [SYSTEM, USER], [USER, ANSWER, USER], [SYSTEM, USER, ANSWER, USER, ANSWER, USER])


def _tokenizer(template: str) -> Any:
    tokenizer = tiny_tokenizer("<|endoftext|>")
    marks = ["<|im_start|>", "<|im_end|>", BOS, "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    tokenizer.add_special_tokens({"extra_special_tokens": marks})
    tokenizer.bos_token = BOS
    tokenizer.chat_template = template
    return tokenizer


def _told(name: str) -> list[Sequence[Message]]:
    return [messages for messages in CONVERSATIONS if name != "Gemma 2" or messages[0] is not SYSTEM]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_pieces_give_the_templates_own_prompts(name: str) -> None:
    tokenizer = _tokenizer(TEMPLATES[name])
    pieces = learn_pieces(tokenizer)
    for messages in _told(name):
        assert pieces.render(messages) == prompt_text(messages, tokenizer)
    rows = [Example((*messages, ANSWER)) for messages in _told(name)]
    assert check_pieces(pieces, rows, tokenizer) == len(rows)
    assert (pieces.before_system is None) == (name == "Gemma 2")


@pytest.mark.skipif(shutil.which("go") is None, reason="Go, in which Ollama's templates are run, is not installed")
def test_gos_own_template_package_gives_the_same_prompts(tmp_path: Path) -> None:
    program = """
    package main
    import ("encoding/json"; "os"; "text/template")
    type M struct { Role, Content string }
    type C struct { Template, System string; Messages []M }
    func main() {
        var cases []C
        if json.NewDecoder(os.Stdin).Decode(&cases) != nil { panic("input") }
        texts := []string{}
        for _, c := range cases {
            file, _ := os.CreateTemp("", "")
            t := template.Must(template.New("").Parse(c.Template))
            given := map[string]any{"Messages": c.Messages, "System": c.System}
            if err := t.Execute(file, given); err != nil { panic(err) }
            text, _ := os.ReadFile(file.Name())
            texts = append(texts, string(text))
            os.Remove(file.Name())
        }
        json.NewEncoder(os.Stdout).Encode(texts)
    }
    """
    (tmp_path / "main.go").write_text(program)
    cases, wanted = [], []
    for name, jinja in TEMPLATES.items():
        tokenizer = _tokenizer(jinja)
        for bos in (None, BOS):
            template = template_text(learn_pieces(tokenizer), bos=bos)
            for messages in _told(name):
                said = [{"Role": message.role, "Content": message.content} for message in messages]
                system = "".join(message.content for message in messages if message.role == "system")
                cases.append({"Template": template, "System": system, "Messages": said})
                wanted.append(prompt_text(messages, tokenizer).removeprefix(bos or ""))
    environment = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin:/usr/local/bin:/usr/local/go/bin",
        "GO111MODULE": "off",
    }
    done = subprocess.run(
        ["go", "run", "main.go"], cwd=tmp_path, input=json.dumps(cases).encode(), env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == wanted


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_cannot_be_said_is_refused_with_what_to_do(name: str) -> None:
    tokenizer = _tokenizer(REFUSED[name])
    with pytest.raises(TemplateRefused, match="--jinja"):
        check_pieces(learn_pieces(tokenizer), [Example.of("what", "a city")], tokenizer)


def test_a_row_that_comes_out_otherwise_is_seen() -> None:
    odd = CHATML.replace("{{ message['content'] }}", "{{ message['content'] | replace('cat', 'dog') }}")
    tokenizer = _tokenizer(odd)
    with pytest.raises(TemplateRefused, match="comes out as 'cat"):
        check_pieces(learn_pieces(tokenizer), [Example.of("a cat", "x")], tokenizer)
    with pytest.raises(TemplateRefused, match="system messages"):
        gemma = _tokenizer(GEMMA_2)
        check_pieces(learn_pieces(gemma), [Example((SYSTEM, USER, ANSWER))], gemma)


def test_white_space_that_some_templates_cut_and_rows_with_tools_do_not_count() -> None:
    tokenizer = _tokenizer(LLAMA_3)
    rows = [Example.of("  what ", "x"), Example((USER, ANSWER), tools="[]")]
    assert check_pieces(learn_pieces(tokenizer), rows, tokenizer) == 1


@pytest.mark.parametrize("text", ['"""', "{{ .Content }}", "\x00"])
def test_what_ollamas_language_would_read_as_its_own_is_refused(text: str) -> None:
    tokenizer = _tokenizer("{{ " + repr(text) + " }}" + CHATML)
    with pytest.raises(TemplateRefused, match="its own"):
        template_text(learn_pieces(tokenizer))


def test_no_piece_begins_inside_a_special_token() -> None:
    pieces = learn_pieces(_tokenizer(LLAMA_3))
    assert pieces.begin == BOS and pieces.after_answer == "<|eot_id|>"
    assert template_text(pieces, bos=BOS).count(BOS) == 0 and template_text(pieces).count(BOS) == 2


def test_a_modelfile_is_read_back_as_it_was_written() -> None:
    pieces = learn_pieces(_tokenizer(SMOLLM))
    stops = ["<|im_end|>", "<|endoftext|>"]
    text = modelfile(pieces, file="a.gguf", stops=stops, context=2048, bos=None, title="a model")
    assert read_modelfile(text) == (template_text(pieces), stops)
    assert text.startswith("# a model\nFROM ./a.gguf\n") and "PARAMETER num_ctx 2048\n" in text
    assert "PARAMETER temperature 0\n" in text and "PARAMETER repeat_penalty 1\n" in text
    assert read_modelfile("FROM ./a.gguf\n") == ("", [])


def test_a_modelfile_that_was_changed_is_seen(tmp_path: Path) -> None:
    from training.export.reloading import check_modelfile

    pieces = learn_pieces(_tokenizer(CHATML))
    stops = ["<|im_end|>"]
    text = modelfile(pieces, file="a.gguf", stops=stops, context=64, bos=None, title="a model")
    file = tmp_path / "Modelfile"
    file.write_text(text)
    check_modelfile(file, template=template_text(pieces), stops=stops)
    for changed in (text.replace("assistant", "Assistant"), text.replace('PARAMETER stop "<|im_end|>"\n', "")):
        file.write_text(changed)
        with pytest.raises(ExportError, match="Modelfile is not what was written"):
            check_modelfile(file, template=template_text(pieces), stops=stops)

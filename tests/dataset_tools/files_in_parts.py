"""Files with faults of many kinds all over them, each with the checks that must find something: for tests of lint."""

from __future__ import annotations

import json
import random
from typing import Any

_WORDS = (
    *("river", "mountain", "letter", "garden", "winter", "evening", "market", "bridge", "window", "station", "doctor"),
    *("island", "captain", "forest", "kitchen", "village", "morning", "harbour", "silver", "engine", "library"),
)
Made = tuple[str, set[str]]


def _sentence(rng: random.Random, words: int = 14) -> str:
    return f"The {' '.join(rng.choices(_WORDS, k=words))} and then {rng.randrange(10**4)} more."


def _lines(rows: list[Any]) -> str:
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def _chat(prompt: str, answer: Any, *, system: str | None = None) -> dict[str, Any]:
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": [{"role": "system", "content": system}, *turns] if system else turns}


def _spread(rows: list[Any], faults: list[Any], rng: random.Random) -> list[Any]:
    """The rows with faults at random places, and once more at the end."""
    mixed = [*rows]
    for fault in faults:
        mixed.insert(rng.randrange(len(mixed)), fault)
    return [*mixed, *faults, *rows[-3:]]


def chats() -> Made:
    """Conversations with broken lines, bad rows, and all that texts and answers can have."""
    rng = random.Random(0)
    rows: list[Any] = [_chat(f"{_sentence(rng)} What now?", _sentence(rng, 25)) for _ in range(900)]
    near = _chat(rows[5]["messages"][0]["content"].replace("more", "fewer"), rows[5]["messages"][1]["content"])
    faults: list[Any] = [
        "{bad\n",
        "\n",
        '{"messages": 1, "messages": 2}\n',
        [1, 2],
        {"messages": []},
        {"messages": "text"},
        {"prompt": "a", "completion": "b"},
        _chat("   ", "an answer to nothing."),
        _chat("a question in parts", [{"type": "text", "text": "An answer in parts that says it all."}]),
        _chat("Where is it?", "No."),
        _chat("And where was it?", f"It was {_sentence(rng)} and then the"),
        _chat("Where else?", f"It stands {_sentence(rng)} but nobody knew where it had been bef"),
        _chat("Show the code.", "Here is the code that was asked for:\n```python\nprint(1)\n"),
        _chat("Dear {customer_name}, how are you?", _sentence(rng)),
        _chat("How long is it?", _sentence(rng, 2_000)),
        _chat("Why so?", f"<think>hm hm hm {_sentence(rng)}"),
        _chat("Write to whom?", "Write to anna.smith@realmail.org or call her, as all the others did before."),
        _chat("How is the caf\u00c3\u00a9?", "It is \u200ba nice place to be, all the others said as well."),
        _chat(
            "Please tell me what kind of house this is, and who has been living in it until now.",
            "Das ist ein sehr sch\u00f6nes Haus, in dem meine Gro\u00dfmutter fr\u00fcher einmal gewohnt hat.",
        ),
        _chat("And the marks?", "The answer is here.<|im_end|> And on it goes with words after the mark."),
        {**_chat("with id", _sentence(rng)), "id": 7},
        {**_chat("with another id", _sentence(rng)), "id": "seven"},
        rows[3],
        near,
        _chat(rows[8]["messages"][0]["content"], _sentence(rng, 25)),
    ]
    expected = {
        "invalid-json", "blank-line", "duplicate-keys", "not-an-object", "mixed-formats", "empty-field", "wrong-type",
        "content-parts", "short-answer", "cut-off-answer", "unfilled-field", "long-row", "reasoning-not-closed",
        "email-address", "mojibake", "zero-width", "other-language", "template-marks", "exact-duplicate",
        "conflicting-answers", "near-duplicate", "column-types",
    }  # fmt: skip
    return _lines(_spread(rows, faults, rng)), expected


def labels(rows: int = 1_190) -> Made:
    """A classification with labels in several spellings, rare ones, and an order that is sorted."""
    rng = random.Random(1)
    names = ["positive"] * (rows - 40) + ["negative"] * 40
    sound: list[Any] = [{"prompt": _sentence(rng), "completion": name} for name in names]
    faults: list[Any] = [
        {"prompt": _sentence(rng), "completion": name}
        for name in ("Positive", "POS", "negatve", "neutral", "negative ", "x" * 200)
    ]
    expected = {"label-variant", "label-imbalance", "rare-label", "sorted-by-label", "mixed-form"}
    return _lines([*sound[:40], *faults, *sound[40:], *faults]), expected


def objects() -> Made:
    """Answers in JSON, some broken, some in a fence, some with other keys or types."""
    rng = random.Random(2)

    def row(answer: str) -> dict[str, str]:
        return {"instruction": _sentence(rng), "output": answer}

    rows: list[Any] = [
        row(json.dumps({"intent": rng.choice(_WORDS), "count": rng.randrange(10**6), "slots": {}})) for _ in range(900)
    ]
    faults: list[Any] = [
        row('{"intent": "a", "count": 3'),
        row("no object at all"),
        row('```json\n{"intent": "b", "count": 4, "slots": {}}\n```'),
        row('{"intent": "a", "slots": {}}'),
        row('{"intent": "a", "count": "three", "slots": {}}'),
        {"instruction": _sentence(rng), "output": {"intent": "c"}},
    ]
    expected = {"answer-not-json", "json-in-code-fence", "json-drift", "wrong-type", "column-types"}
    return _lines(_spread(rows, faults, rng)), expected


def pairs() -> Made:
    """Pairs of answers of which some contradict each other, or are equal; the better one is the longer one."""
    rng = random.Random(3)
    rows: list[Any] = [
        {"prompt": _sentence(rng), "chosen": _sentence(rng, 30), "rejected": _sentence(rng, 10)} for _ in range(600)
    ]
    faults: list[Any] = [
        {"prompt": rows[9]["prompt"], "chosen": rows[9]["rejected"], "rejected": rows[9]["chosen"]},
        {"prompt": "Which one?", "chosen": "This one is it.", "rejected": "This one is it."},
    ]
    expected = {"preference-contradiction", "preference-tie", "preference-length-bias"}
    return _lines(_spread(rows, faults, rng)), expected


def templates() -> Made:
    """Rendered texts, most of them in one template."""
    rng = random.Random(4)
    rows: list[Any] = [{"text": f"<s>[INST] {_sentence(rng)} [/INST] {_sentence(rng)} </s>"} for _ in range(600)]
    faults: list[Any] = [
        {"text": f"### Instruction:\n{_sentence(rng)}\n\n### Response:\n{_sentence(rng)}"},
        {"text": f"<s>[INST] [INST] {_sentence(rng)} [/INST] {_sentence(rng)} </s>"},
    ]
    return _lines(_spread(rows, faults, rng)), {"mixed-templates", "template-broken"}


def many() -> Made:
    """Marks that are common in the file and are given up: answers that are no labels, no JSON, and not closed."""
    rng = random.Random(5)
    rows: list[Any] = [_chat(_sentence(rng), f"{_sentence(rng)} It breaks off and the") for _ in range(3_600)]
    faults: list[Any] = [_chat("Why?", "No."), _chat("Dear {name_of_user}, why?", _sentence(rng))]
    return _lines(_spread(rows, faults, rng)), {"short-answer", "unfilled-field"}

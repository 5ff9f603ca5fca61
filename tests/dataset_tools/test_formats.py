"""Detection by content, reading and writing of each format, and the fast path of plain rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from formats_strategies import TEXT, examples, mutated, plain_examples
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.errors import UsageError
from dataset_tools.example import Example, Message, ToolCall
from dataset_tools.formats import (
    FORMATS,
    KTO,
    Alpaca,
    Messages,
    Mistral,
    OpenAI,
    Preference,
    PromptCompletion,
    ShareGPT,
    Text,
    Together,
    conversation_faults,
    detect_format,
    explain,
    format_for,
    to_example,
)
from dataset_tools.formats.base import Format, plain_messages
from dataset_tools.formats.columns import usual_columns
from dataset_tools.formats.prompt_completion import find_columns

USER, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
WORSE = {"role": "assistant", "content": "c"}
CHAT = {"messages": [USER, ANSWER]}
FLAT = {"prompt": "a", "completion": "b"}
SHARED = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
ALPACA = {"instruction": "a", "input": "", "output": "b"}
PAIR = {"prompt": "a", "chosen": "b", "rejected": "c"}
JUDGED = {"prompt": "a", "completion": "b", "label": True}
RENDERED = {"text": "<s>[INST] a [/INST] b </s>"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
Row = dict[str, Any]


def _roles(example: Example | None) -> list[tuple[str, str]]:
    assert example is not None
    return [(message.role, message.content) for message in example.messages]


def _read(row: Row) -> Example | None:
    detected = detect_format([row])
    assert detected is not None
    return to_example(detected.format, row)


# --- detection --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["prompt", "completion"], ("prompt", "completion")),
        (["Question", "id", "Answer"], ("Question", "Answer")),
        (["Review Text", "Label"], ("Review Text", "Label")),
        (["INPUT", "OUTPUT"], ("INPUT", "OUTPUT")),
        (["user_input", "model_output"], ("user_input", "model_output")),
        (["prompt", "input", "completion"], ("prompt", "completion")),
        (["id", "document", "summary"], ("document", "summary")),
        (["article", "highlights"], ("article", "highlights")),
        (["dialogue", "summary", "topic"], ("dialogue", "summary")),
        (["sentence", "label", "context"], ("sentence", "label")),
        (["context", "generation"], ("context", "generation")),
        (["source", "target"], ("source", "target")),
        (["instruction", "input", "output"], None),
        (["text", "answer", "label"], None),
        (["text"], None),
        (["label", "answer"], None),
        ([], None),
    ],
)
def test_columns_are_mapped_where_exactly_one_fits_each_side(columns: list[str], found: tuple[str, str] | None) -> None:
    form = find_columns(columns)
    assert (form and (form.prompt, form.completion)) == found


def test_only_columns_with_other_names_are_told_as_mapped() -> None:
    assert PromptCompletion("question", "completion").mapped() == ["question -> prompt"]
    assert PromptCompletion().mapped() == Alpaca().mapped() == Messages().mapped() == []
    assert Alpaca(input="context").mapped() == ["context -> input"]


def test_usual_columns_are_those_of_half_of_the_rows() -> None:
    assert usual_columns([{"a": 1, "b": 1}, {"a": 1}, {"a": 1, "b": 2}, {"c": 1}]) == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "name", "candidates"),
    [
        ([FLAT] * 3, "prompt_completion", ["prompt_completion"]),
        ([CHAT] * 3, "messages", ["messages"]),
        ([FLAT, CHAT, CHAT], "messages", ["messages", "prompt_completion"]),
        ([CHAT, FLAT, FLAT], "prompt_completion", ["messages", "prompt_completion"]),
        ([{"question": "a", "answer": "b"}] * 2, "prompt_completion", ["prompt_completion"]),
        ([{"prompt": "a"}], "prompt_completion", ["prompt_completion"]),
        ([{"messages": None}], "messages", ["messages"]),
        ([SHARED] * 2, "sharegpt", ["sharegpt"]),
        ([{"conversations": []}], "sharegpt", ["sharegpt"]),
        ([{"conversations": []}, {"conversations": CHAT["messages"]}], "messages", ["messages", "sharegpt"]),
        ([ALPACA] * 2, "alpaca", ["alpaca"]),
        ([RENDERED, RENDERED, {"text": "plain"}], "text", ["text"]),
        ([JUDGED, {**FLAT, "label": "spam"}, JUDGED], "kto", ["kto", "prompt_completion"]),
        ([{**FLAT, "label": "spam"}], "prompt_completion", ["prompt_completion"]),
        ([{"input": {"messages": [USER]}, "preferred_output": [ANSWER]}], "preference", ["preference"]),
    ],
)
def test_the_format_of_most_rows_is_the_format_of_the_file(values: list[Row], name: str, candidates: list[str]) -> None:
    detected = detect_format(values)
    assert detected is not None
    assert (detected.format.name, [form.name for form in detected.candidates]) == (name, candidates)


@pytest.mark.parametrize("values", [[], [{}], [{"text": "plain"}], [{"a": 1, "b": "x"}], [{"dialog": ["a", "b"]}]])
def test_no_format_is_guessed_where_none_fits(values: list[Row]) -> None:
    assert detect_format(values) is None


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"question": "a", "context": "b", "answer": "c"}, Alpaca("question", "context", "answer")),
        ({"instruction": "a", "context": "b", "response": "c"}, Alpaca("instruction", "context", "response")),
        ({"Instruction": "a", "Input": "b", "Output": "c"}, Alpaca("Instruction", "Input", "Output")),
        ({"instruction": "a", "response": "c"}, PromptCompletion("instruction", "response")),
        ({"system": "s", "question": "a", "answer": "c"}, PromptCompletion("question", "answer", "system")),
        ({"conversation": SHARED["conversations"]}, ShareGPT("conversation")),
        ({"conversations": CHAT["messages"]}, Messages("conversations")),
        ({"question": "a", "chosen": "b", "rejected": "c"}, Preference("question")),
        ({"prompt": RENDERED["text"]}, Text("prompt")),
        ({**CHAT, "label": False}, KTO()),
    ],
)  # fmt: skip
def test_public_layouts_are_known_by_their_columns(row: Row, form: Format) -> None:
    detected = detect_format([row] * 3)
    assert detected is not None and detected.format == form
    assert to_example(form, row) is not None


def test_columns_that_the_user_names_are_not_guessed_again() -> None:
    row = {"Review Text": "a", "Label": "b", "prompt": "x", "completion": "y"}
    detected = detect_format([row], columns={"prompt": "Review Text", "completion": "Label"})
    assert detected is not None and detected.candidates == (detected.format,)
    assert _roles(to_example(detected.format, row)) == [("user", "a"), ("assistant", "b")]


@pytest.mark.parametrize(
    ("columns", "form"),
    [
        ({"instruction": "q", "output": "a"}, Alpaca("q", "input", "a")),
        ({"messages": "chat"}, Messages("chat")),
        ({"conversations": "chat"}, ShareGPT("chat")),
        ({"text": "doc"}, Text("doc")),
        ({"prompt": "q", "chosen": "chosen", "rejected": "rejected"}, Preference("q")),
    ],
)
def test_named_columns_make_their_format(columns: dict[str, str], form: Format) -> None:
    assert format_for(columns) == form


@pytest.mark.parametrize("columns", [{"prompt": "a"}, {"x": "y"}, {"messages": "a", "prompt": "b"}])
def test_columns_that_make_no_format_are_refused(columns: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="make no format"):
        format_for(columns)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_row_becomes_an_example_with_its_place_and_group() -> None:
    example = to_example(PromptCompletion("q", "a"), {"q": "x", "a": "y", "group": 7}, line=3, record=2)
    assert example == Example((Message("user", "x"), Message("assistant", "y")), line=3, record=2, group="7")


@pytest.mark.parametrize("key", ["text", "value"])
def test_content_in_text_parts_is_joined(key: str) -> None:
    parts = [{"type": "text", key: "a"}, {"type": "text", key: "b"}]
    assert _read({"messages": [{"role": "user", "content": parts}, ANSWER]}) == Example.of("ab", "b")


@pytest.mark.parametrize(
    ("call", "read"),
    [
        (CALL, ToolCall("f", '{"x": 1}', "c1")),
        ({"function": {"name": "f", "arguments": {"x": "ö"}}}, ToolCall("f", '{"x": "ö"}')),
        ({"name": "f", "arguments": "{}"}, ToolCall("f", "{}")),
    ],
)
def test_calls_are_read_with_arguments_as_text_or_object(call: Row, read: ToolCall) -> None:
    for content in ({}, {"content": None}, {"content": ""}):
        answer = {"role": "assistant", "tool_calls": [call], **content}
        example = _read({"messages": [USER, answer, {"role": "tool", "content": "r", "tool_call_id": "c1"}, ANSWER]})
        assert example is not None
        assert example.messages[1] == Message("assistant", "", tool_calls=(read,))
        assert example.messages[2] == Message("tool", "r", tool_call_id="c1")


def test_the_old_form_of_calls_is_read() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "function", "name": "f", "content": "r"}
    example = _read({"messages": [USER, old, result, ANSWER], "functions": [TOOL["function"]]})
    assert example is not None
    assert example.messages[1].tool_calls == (ToolCall("f", "{}"),)
    assert example.messages[2] == Message("tool", "r", "f")
    assert example.tool_schemas == [TOOL]


@pytest.mark.parametrize(
    "tools", [[TOOL], json.dumps([TOOL]), [TOOL["function"]], [{"type": "function", **TOOL["function"]}]]
)
def test_tools_are_read_as_a_list_or_as_text_and_wrapped(tools: object) -> None:
    example = _read({**CHAT, "tools": tools})
    assert example is not None and example.tool_schemas == [TOOL]


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "messages[1].tool_calls[0].name is missing"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "function.arguments is missing"),
        ({"role": "assistant", "tool_calls": [{"name": "f", "arguments": 3}]}, "arguments is a number"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls is an object, not an array"),
        ({"role": "assistant", "content": "a", "weight": "high"}, "weight is a string, not a number"),
        ({"role": "assistant", "content": "a", "weight": True}, "weight is a boolean, not a number"),
        ({"role": "assistant", "content": "a", "name": 3}, "name is a number, not a string"),
        ({"role": "assistant"}, "messages[1].content is missing"),
        ({"role": "assistant", "tool_calls": []}, "messages[1].content is missing"),
        ({"role": "bot", "content": "a"}, "messages[1].role is 'bot'"),
    ],
)
def test_a_bad_turn_is_explained_by_its_place(turn: Row, words: str) -> None:
    row = {"messages": [USER, turn]}
    assert to_example(Messages(), row) is None
    assert words in str(explain(Messages(), row))


def test_only_the_assistant_calls_tools() -> None:
    row = {"messages": [{**USER, "tool_calls": [CALL]}, ANSWER]}
    assert to_example(Messages(), row) is None
    assert "not the assistant's" in str(explain(Messages(), row))


@pytest.mark.parametrize(("weight", "read"), [(0, 0), (1, 1), (0.0, 0), (1.0, 1), (0.5, 0.5), (None, None)])
def test_weights_are_read_under_both_names(weight: float | None, read: float | None) -> None:
    for key in ("weight", "loss_weight"):
        example = _read({"messages": [USER, {**ANSWER, key: weight}]})
        assert example is not None and example.messages[1].weight == read


@pytest.mark.parametrize("form", [Messages(), ShareGPT()])
@pytest.mark.parametrize("key", ["system", "system_prompt"])
def test_a_system_message_beside_the_turns_comes_first(form: Format, key: str) -> None:
    row = CHAT if form.name == "messages" else SHARED
    assert _roles(to_example(form, {**row, key: "s"}))[0] == ("system", "s")
    assert _roles(to_example(form, {**row, key: ""}))[0] == ("user", "a")
    assert explain(form, {**row, key: 3}) == f"{key} is a number, not a string"


def test_alpaca_joins_instruction_and_input_and_reads_the_history() -> None:
    row = {"instruction": "a", "input": "i", "output": "b", "system": "s", "history": [["x", "y"]]}
    turns = [("system", "s"), ("user", "x"), ("assistant", "y"), ("user", "a\ni"), ("assistant", "b")]
    assert _roles(to_example(Alpaca(), row)) == turns
    assert explain(Alpaca(), {**ALPACA, "history": [["x"]]}) == "history[0] is no pair of a question and its answer"
    assert explain(Alpaca(), {**ALPACA, "history": [["x", ""]]}) == "history[0][1] is empty"
    assert _roles(to_example(Alpaca(), {"instruction": "", "input": "i", "output": "b"})) == [
        ("user", "i"),
        ("assistant", "b"),
    ]


def test_a_seed_task_with_one_instance_is_read() -> None:
    row = {"instruction": "a", "instances": [{"input": "i", "output": "b"}]}
    assert _roles(_read(row)) == [("user", "a\ni"), ("assistant", "b")]
    row["instances"] = [{"input": "i", "output": "b"}] * 2
    assert "instances is not one object" in str(explain(Alpaca(), row))


def test_sharegpt_calls_and_results_are_read() -> None:
    call = {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'}
    turns = [*SHARED["conversations"][:1], call, {"from": "observation", "value": "r"}, {"from": "gpt", "value": "b"}]
    example = to_example(ShareGPT(), {"conversations": turns, "tools": json.dumps([TOOL["function"]])})
    assert example is not None
    assert [message.role for message in example.messages] == ["user", "assistant", "tool", "assistant"]
    assert example.messages[1].tool_calls == (ToolCall("f", '{"x": 1}'),)
    assert example.tool_schemas == [TOOL]
    assert ShareGPT().from_example(example)["tools"] == json.dumps([TOOL["function"]])


@pytest.mark.parametrize("value", ["not JSON", "[]", "3", '{"name": "f"}', '{"arguments": {}}'])
def test_a_broken_sharegpt_call_is_explained(value: str) -> None:
    row = {"conversations": [*SHARED["conversations"][:1], {"from": "function_call", "value": value}]}
    assert to_example(ShareGPT(), row) is None
    assert str(explain(ShareGPT(), row)).startswith("conversations[1].value")


A, B, C = ("user", "a"), ("assistant", "b"), ("assistant", "c")


@pytest.mark.parametrize(
    "row",
    [
        PAIR,
        {"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]},
        {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
        {"prompt": "a", "chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
        {"chosen": "a b", "rejected": "a c"},
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
        {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [WORSE]},
        {
            "conversations": [{"from": "human", "value": "a"}],
            "chosen": {"from": "gpt", "value": "b"},
            "rejected": {"from": "gpt", "value": "c"},
        },
        {"instruction": "a", "input": "", "chosen": "b", "rejected": "c"},
        {"messages": [USER, ANSWER], "rejected_response": "c"},
        {"question": "a", "chosen": "b", "rejected": "c"},
    ],
)  # fmt: skip
def test_pairs_are_read_from_every_layout(row: Row) -> None:
    example = _read(row)
    assert _roles(example) == [A, B]
    assert example is not None and example.rejected == (Message("assistant", "c"),)
    assert Preference().from_example(example) == {"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**PAIR, "rejected": " "}, "rejected is empty"),
        ({**PAIR, "rejected": None}, "rejected is empty"),
        ({**PAIR, "rejected": 3}, "rejected has a message without a text or a known role"),
        ({"prompt": "a", "chosen": "b"}, "rejected is missing"),
        ({**PAIR, "chosen": ""}, "chosen is empty"),
        ({"chosen": "b", "rejected": "c"}, "there is no prompt"),
        ({"prompt": [USER], "chosen": [ANSWER], "rejected": [USER]}, "rejected has no message of the assistant"),
        ({"prompt": [USER], "chosen": [ANSWER], "rejected": [USER, ANSWER]}, "both of the role user"),
    ],
)
def test_a_broken_pair_is_explained(row: Row, words: str) -> None:
    assert to_example(Preference(), row) is None
    assert words in str(explain(Preference(), row))


@pytest.mark.parametrize(
    ("row", "thumb"),
    [
        (JUDGED, True),
        ({**JUDGED, "label": "False"}, False),
        ({"prompt": [USER], "completion": [ANSWER], "label": False}, False),
        ({**CHAT, "label": True}, True),
        ({**SHARED, "kto_tag": False}, False),
    ],
)
def test_thumbs_are_read_from_every_layout(row: Row, thumb: bool) -> None:
    example = _read(row)
    assert _roles(example) == [A, B]
    assert example is not None and example.desirable is thumb


@pytest.mark.parametrize("label", [None, "maybe", 2, 1.0, []])
def test_a_thumb_that_is_none_is_explained(label: object) -> None:
    assert "label is" in str(explain(KTO(), {**FLAT, "label": label}))
    assert explain(KTO(), FLAT) == "label is missing"


def test_rendered_text_becomes_messages_without_a_mark() -> None:
    assert _roles(_read(RENDERED)) == [A, B]
    assert explain(Text(), {"text": "<s>[INST] a b </s>"}) == "no [/INST] after [INST]"
    with pytest.raises(ValueError, match="read, not written"):
        Text().from_example(Example.of("a", "b"))


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        (["system", "user", "assistant"], None),
        (["user", "assistant", "tool", "tool", "assistant"], None),
        (["user", "assistant", "tool", "assistant", "user", "assistant"], None),
        (["user", "tool", "assistant"], "message 2 is a tool's"),
        (["user", "assistant", "tool", "user", "assistant"], "should answer the tool"),
        (["user", "assistant", "tool"], "the last message is the tool's"),
        (["user", "assistant", "system"], "a system message stands at place 3"),
        (["tool", "assistant"], "the tool speaks before the user"),
        (["user", "assistant", "assistant"], "messages 2 and 3 are both of the role assistant"),
        (["system"], "no message of the assistant"),
        ([], "no message of the assistant"),
    ],
)
def test_the_order_of_roles_is_what_templates_take(roles: list[str], words: str | None) -> None:
    faults = conversation_faults(roles)
    assert (faults == []) if words is None else any(words in fault for fault in faults)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_conversation_does_not_fit_in_a_flat_row() -> None:
    with pytest.raises(ValueError, match="no conversation"):
        PromptCompletion().from_example(
            Example((Message("system", "s"), Message("user", "u"), Message("assistant", "a")))
        )


@pytest.mark.parametrize("form", [form for form in FORMATS if form.name not in ("kto", "text", "preference")])
def test_an_answer_that_is_not_wanted_is_never_written_as_one_to_learn(form: Format) -> None:
    with pytest.raises(ValueError, match="not wanted"):
        form.from_example(Example((Message("user", "u"), Message("assistant", "a")), desirable=False))


def test_mistral_gets_ids_of_nine_letters_that_still_fit_together() -> None:
    call = Message("assistant", "", tool_calls=(ToolCall("f", "{}", "call_abc"), ToolCall("g", "{}")))
    results = (Message("tool", "r", tool_call_id="call_abc"), Message("tool", "s"))
    example = Example((Message("user", "u"), call, *results, Message("assistant", "a")), tools=json.dumps([TOOL]))
    row: Any = Mistral().from_example(example)
    first, second = (made["id"] for made in row["messages"][1]["tool_calls"])
    assert len(first) == len(second) == 9 and first.isalnum() and second.isalnum()
    assert [message["tool_call_id"] for message in row["messages"][2:4]] == [first, second]
    assert row["tools"][0]["function"]["description"] == ""
    assert to_example(Mistral(), row) is not None


def test_a_result_that_answers_no_call_is_refused_by_the_services() -> None:
    example = Example(
        (Message("user", "u"), Message("assistant", "x"), Message("tool", "r"), Message("assistant", "a"))
    )
    with pytest.raises(ValueError, match="which call"):
        OpenAI().from_example(example)


def test_a_service_holds_a_pair_of_single_messages() -> None:
    example = Example((Message("user", "a"), Message("assistant", "b")), rejected=(Message("assistant", "c"),))
    row: Any = Together().from_example(example)
    assert row == {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [WORSE]}
    call = Message("assistant", "", tool_calls=(ToolCall("f", "{}", "c1"),))
    longer = Example(example.messages, rejected=(call, Message("tool", "t"), Message("assistant", "d")))
    with pytest.raises(ValueError, match="single message"):
        Together().from_example(longer)
    assert Mistral().from_example(example) == CHAT


EXTRA: list[Row] = [{"weight": 1}, {"name": "n"}, {"id": 3}]


@pytest.mark.parametrize("row", [{**CHAT, "source": "x"}, *({"messages": [{**USER, **key}, ANSWER]} for key in EXTRA)])
def test_a_service_refuses_what_it_does_not_know(row: Row) -> None:
    assert to_example(Together(), row) is None
    assert to_example(Messages(), row) is not None


# --- the fast path ----------------------------------------------------------------------------------------------------

READ_PLAIN = (Messages(), ShareGPT(), OpenAI(), Together(), Mistral())


@given(plain_examples(), st.sampled_from(READ_PLAIN))
def test_plain_rows_take_the_fast_path(example: Example, form: Format) -> None:
    contents = form.sound(form.from_example(example))
    assert contents is not None
    assert plain_messages(contents) == example.messages


@given(plain_examples(turns=1))
def test_plain_flat_rows_take_the_fast_path(example: Example) -> None:
    texts = [message.content for message in example.messages]
    assert Alpaca().sound(Alpaca().from_example(example)) == texts
    row = {"prompt": texts[-2], "completion": texts[-1], "sys": texts[0] if len(texts) == 3 else None}
    assert PromptCompletion(system="sys").sound(row) == texts


@settings(deadline=None, max_examples=500)
@given(st.data())
def test_what_the_fast_path_takes_reads_the_same_on_the_slow_one(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from([form for form in FORMATS if form.name not in ("preference", "kto", "text")]))
    try:
        row = form.from_example(data.draw(plain_examples() | examples()))
    except ValueError:
        return
    row = data.draw(mutated(row))
    contents = form.sound(row)
    example = to_example(form, row)
    if contents is not None:
        assert example is not None
        assert example == Example(plain_messages(contents), group=example.group)
        assert not {"chat_template", "chat_template_kwargs"} & row.keys()


@pytest.mark.parametrize("key", ["chat_template", "chat_template_kwargs"])
@pytest.mark.parametrize(
    ("form", "row"),
    [(Messages(), CHAT), (ShareGPT(), SHARED), (PromptCompletion(), FLAT), (Alpaca(), ALPACA), (Text(), RENDERED)],
)
def test_rows_that_a_check_speaks_about_leave_the_fast_path(form: Format, row: Row, key: str) -> None:
    assert form.sound(row) is not None
    assert form.sound({**row, "id": 3}) is not None
    assert form.sound({**row, key: "x"}) is None


@pytest.mark.parametrize("keys", [{"prompt": "x"}, {"tools": []}, {"label": True}, {"rejected": "x"}, {"system": "x"}])
def test_keys_of_two_formats_leave_the_fast_path(keys: Row) -> None:
    assert Messages().sound({**CHAT, **keys}) is None


@given(TEXT.filter(lambda text: not set(text) & set("[]<>#|")), TEXT.filter(lambda text: not set(text) & set("[]<>#|")))
def test_rendered_rows_take_the_fast_path(question: str, answer: str) -> None:
    row = {"text": f"<s>[INST] {question} [/INST] {answer} </s>"}
    assert Text().sound(row) == [question.strip(), answer.strip()]

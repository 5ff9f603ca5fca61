from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.building import Answer, Conversation
from dataset_tools.errors import DataError, ModelError, UsageError
from dataset_tools.example import Example, Message


def scripted(*answers: str) -> Callable[[Sequence[Sequence[Message]]], list[str]]:
    """A model that gives these answers, one after the other."""
    left = list(answers)
    return lambda prompts: [left.pop(0) for _ in prompts]


def echo(prompts: Sequence[Sequence[Message]]) -> list[str]:
    """A model that repeats all it was asked."""
    return [" | ".join(f"{message.role[0]}:{message.content}" for message in prompt) for prompt in prompts]


def talk() -> Conversation:
    return Conversation().with_system("Be kind.").send("Hi", scripted("Hello!")).send("And?", scripted("What?"))


def test_the_model_is_asked_with_the_system_prompt_and_all_turns_before() -> None:
    conversation = talk().send("Go on", echo)
    assert conversation.turns[2].answer == "s:Be kind. | u:Hi | a:Hello! | u:And? | a:What? | u:Go on"
    assert Conversation().send("x", echo).turns[0].answer == "u:x"


def test_the_example_is_the_corrected_conversation() -> None:
    conversation = talk().edit_answer("Ask away.", turn=0).edit_user("And now?", turn=-1)
    assert conversation.to_example() == Example(
        (
            Message("system", "Be kind."),
            Message("user", "Hi"),
            Message("assistant", "Ask away."),
            Message("user", "And now?"),
            Message("assistant", "What?"),
        )
    )


def test_a_regenerated_turn_is_asked_as_the_first_time_and_keeps_all_answers() -> None:
    conversation = talk().regenerate(echo, turn=0)
    assert conversation.turns[0].answers == (Answer("Hello!"), Answer("s:Be kind. | u:Hi"))
    assert conversation.turns[0].chosen == 1
    assert conversation.choose(0, turn=0).turns[0].answer == "Hello!"
    assert conversation.turns[1] == talk().turns[1]


def test_a_correction_keeps_the_models_answer_and_a_second_one_takes_the_place_of_the_first() -> None:
    conversation = talk().edit_answer("One").edit_answer("Two")
    assert conversation.turns[-1].answers == (Answer("What?"), Answer("Two", "hand"))


def test_two_answers_become_a_pair_with_the_talk_before_them() -> None:
    conversation = talk().regenerate(scripted("Better"), turn=0).prefer(1, 0, turn=0)
    prompt = (Message("system", "Be kind."), Message("user", "Hi"))
    pair = Example((*prompt, Message("assistant", "Better")), rejected=(Message("assistant", "Hello!"),))
    assert conversation.preference_pairs() == (pair,)
    assert conversation.to_example().messages[2] == Message("assistant", "Better")
    assert conversation.to_example().rejected == ()


def test_a_pair_survives_a_correction_of_its_better_answer_but_no_new_choice() -> None:
    pair = talk().regenerate(scripted("Better")).prefer(1, 0)
    corrected = pair.edit_answer("Best").preference_pairs()
    assert [(one.completion, one.rejected[0].content) for one in corrected] == [("Best", "What?")]
    assert pair.regenerate(scripted("Third")).preference_pairs() == ()
    assert pair.choose(0).preference_pairs() == ()
    assert pair.edit_answer("What?").preference_pairs() == ()  # the two say the same now


def test_a_pair_of_the_same_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="differ"):
        talk().prefer(0, 0)
    with pytest.raises(UsageError, match="differ"):
        talk().regenerate(scripted("What? ")).prefer(1, 0)


def test_what_is_not_there_or_empty_is_refused() -> None:
    empty = Conversation().with_system("x")
    for call in (
        lambda: talk().send("  ", echo),
        lambda: talk().edit_answer(""),
        lambda: talk().edit_user("\n"),
        lambda: talk().regenerate(echo, turn=2),
        lambda: talk().choose(1),
        lambda: empty.regenerate(echo),
        lambda: empty.to_example(),
        lambda: Conversation().send("hi", scripted(" ")).to_example(),
    ):
        with pytest.raises(UsageError):
            call()


def test_a_model_that_answers_too_often_or_not_at_all_is_an_error() -> None:
    with pytest.raises(ModelError, match="once"):
        talk().send("x", lambda prompts: ["a", "b"])
    with pytest.raises(ModelError, match="once"):
        talk().regenerate(lambda prompts: [])


def test_what_changes_nothing_is_no_step() -> None:
    conversation = talk()
    same = conversation.with_system("Be kind.").edit_answer("What?").edit_user("Hi", turn=0).choose(0)
    assert same == conversation


actions = st.lists(
    st.tuples(st.sampled_from(["system", "send", "regenerate", "edit", "user", "choose", "prefer"]), st.integers(0, 5)),
    max_size=15,
)


def act(conversation: Conversation, do: str, number: int) -> Conversation:
    """One change, or none where it is refused."""
    model, turn = scripted(f"answer {number}"), number % max(1, len(conversation.turns))
    calls: dict[str, Callable[[], Conversation]] = {
        "system": lambda: conversation.with_system("s" * number),
        "send": lambda: conversation.send(f"text {number}", model),
        "regenerate": lambda: conversation.regenerate(model, turn=turn),
        "edit": lambda: conversation.edit_answer(f"edit {number}", turn=turn),
        "user": lambda: conversation.edit_user(f"user {number}", turn=turn),
        "choose": lambda: conversation.choose(number % 2, turn=turn),
        "prefer": lambda: conversation.prefer(number % 3, 0, turn=turn),
    }
    try:
        return calls[do]()
    except UsageError:
        return conversation


@given(actions)
def test_each_step_is_undone_in_turn_and_survives_being_saved(taken: list[tuple[str, int]]) -> None:
    conversation = Conversation()
    states = [conversation]
    for do, number in taken:
        conversation = act(conversation, do, number)
        if conversation != states[-1]:
            states.append(conversation)
        loaded = Conversation.from_dict(json.loads(json.dumps(conversation.to_dict())))
        assert loaded == conversation and loaded.turns == conversation.turns
    for state in reversed(states):
        assert conversation == state
        conversation = conversation.undo()
    assert conversation == Conversation()


@given(actions)
def test_every_example_takes_turns_and_every_pair_has_two_different_answers(taken: list[tuple[str, int]]) -> None:
    conversation = Conversation().send("begin", scripted("done"))
    for do, number in taken:
        conversation = act(conversation, do, number)
    example = conversation.to_example()
    roles = [message.role for message in example.messages if message.role != "system"]
    assert roles == ["user", "assistant"] * len(conversation.turns)
    for pair in conversation.preference_pairs():
        assert pair.completion != pair.rejected[0].content


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"steps": [{"do": "fly"}]},
        {"steps": [{"do": "send", "text": 1}]},
        {"steps": [{"do": "regenerate"}]},
        {"steps": [{"do": "send", "text": "a", "answer": "b"}, {"do": "choose", "better": 1}]},
        {"steps": [{"do": "send", "text": "a", "answer": "b"}, {"do": "prefer", "worse": -1}]},
        {"steps": [{"do": "send", "text": "a", "answer": "b"}, {"do": "edit_user", "turn": True}]},
    ],
)
def test_a_saved_conversation_that_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="no saved conversation"):
        Conversation.from_dict(value)

"""A conversation that becomes training rows: plain immutable data, each change gives a new one.

A conversation is the list of its steps; what it says now is worked out from them, and an undo drops the last one.
It keeps no model and no file: the answers come from the `Generate` that is passed in, `Conversation.to_dict` is saved
by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, cast, get_args

from dataset_tools.building.generate import Generate, ask
from dataset_tools.building.stored import as_list, as_object, text_in
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Message

Do = Literal["system", "send", "regenerate", "edit_user", "edit_answer", "choose", "prefer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a turn, written by the model or by hand."""

    text: str
    by: Literal["model", "hand"] = "model"


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """What the user said and all answers to it; ``chosen`` is the one that stands, ``worse`` one that lost to it."""

    user: str
    answers: tuple[Answer, ...]
    chosen: int = 0
    worse: int | None = None

    @property
    def answer(self) -> str:
        """The text of the answer that stands."""
        return self.answers[self.chosen].text


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done; which fields it uses hangs on ``do``. ``answer`` is a text, the others are numbers."""

    do: Do
    turn: int = 0
    text: str = ""
    answer: str = ""
    better: int = 0
    worse: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """The steps of a conversation. Turns are counted from 0; -1 is the last one.

    Later turns stay as they are where an earlier one is edited or answered anew: regenerate them where they no
    longer fit.
    """

    steps: tuple[Step, ...] = ()

    @property
    def system(self) -> str:
        """The system prompt; empty for none."""
        return next((step.text for step in reversed(self.steps) if step.do == "system"), "")

    @property
    def turns(self) -> tuple[ChatTurn, ...]:
        """The turns as they stand."""
        turns: list[ChatTurn] = []
        for step in self.steps:
            if step.do == "send":
                turns.append(ChatTurn(step.text, (Answer(step.answer),)))
            elif step.do != "system":
                turns[step.turn] = _altered(turns[step.turn], step)
        return tuple(turns)

    def messages(self, turn: int | None = None) -> tuple[Message, ...]:
        """All messages, or those before the answer of a turn: what the model is asked then."""
        turns = self.turns
        before = turns if turn is None else turns[: self._place(turn)]
        said = [Message("system", self.system)] if self.system.strip() else []
        for past in before:
            said += [Message("user", past.user), Message("assistant", past.answer)]
        return tuple(said) if turn is None else (*said, Message("user", turns[turn].user))

    def with_system(self, text: str) -> Conversation:
        """The same with another system prompt, which also holds for the turns before; empty for none."""
        return self if text == self.system else self._then(Step("system", text=text))

    def send(self, text: str, generate: Generate) -> Conversation:
        """Say something, and have it answered.

        Raises:
            UsageError: The text is empty.
        """
        _require(text, "what you say")
        answer = ask(generate, [(*self.messages(), Message("user", text))])[0]
        return self._then(Step("send", text=text, answer=answer))

    def regenerate(self, generate: Generate, *, turn: int = -1) -> Conversation:
        """Have a turn answered once more; the new answer stands, the others are kept."""
        place = self._place(turn)
        return self._then(Step("regenerate", turn=place, answer=ask(generate, [self.messages(place)])[0]))

    def edit_answer(self, text: str, *, turn: int = -1) -> Conversation:
        """Correct the answer that stands. The model's own is kept, so that the two can become a preference pair.

        Raises:
            UsageError: The text is empty.
        """
        place = self._place(turn)
        _require(text, "the answer")
        return self if text == self.turns[place].answer else self._then(Step("edit_answer", turn=place, answer=text))

    def edit_user(self, text: str, *, turn: int = -1) -> Conversation:
        """Change what the user said in a turn; its answers stay.

        Raises:
            UsageError: The text is empty.
        """
        place = self._place(turn)
        _require(text, "what the user says")
        return self if text == self.turns[place].user else self._then(Step("edit_user", turn=place, text=text))

    def choose(self, answer: int, *, turn: int = -1) -> Conversation:
        """Let another of a turn's answers stand."""
        place = self._place(turn)
        step = Step("choose", turn=place, better=self._answer(place, answer))
        return self if step.better == self.turns[place].chosen else self._then(step)

    def prefer(self, better: int, worse: int, *, turn: int = -1) -> Conversation:
        """Keep two answers of a turn as a preference pair; the better one stands.

        Raises:
            UsageError: They are one answer, or say the same.
        """
        place = self._place(turn)
        answers = self.turns[place].answers
        better, worse = self._answer(place, better), self._answer(place, worse)
        if answers[better].text.strip() == answers[worse].text.strip():
            raise UsageError(
                "a preference pair needs two answers that differ",
                found=repr(answers[better].text[:80]),
                next_step="regenerate or edit one of them first",
            )
        return self._then(Step("prefer", turn=place, better=better, worse=worse))

    def undo(self) -> Conversation:
        """The conversation before its last step; an empty one stays as it is."""
        return Conversation(self.steps[:-1])

    def to_example(self) -> Example:
        """The conversation as it stands, with its corrections: what "add to dataset" adds.

        Raises:
            UsageError: There is no turn yet, or an answer is empty.
        """
        if not self.steps or not self.turns:
            raise UsageError("the conversation is empty", next_step="say something first")
        for number, turn in enumerate(self.turns, start=1):
            _require(turn.answer, f"the answer of turn {number}")
        return Example(self.messages())

    def preference_pairs(self) -> tuple[Example, ...]:
        """One example for each turn whose better and worse answer were kept: the talk up to there, and both."""
        pairs = []
        for place, turn in enumerate(self.turns):
            if turn.worse is not None and turn.answer.strip() != turn.answers[turn.worse].text.strip():
                messages = (*self.messages(place), Message("assistant", turn.answer))
                pairs.append(Example(messages, rejected=(Message("assistant", turn.answers[turn.worse].text),)))
        return tuple(pairs)

    def to_dict(self) -> dict[str, object]:
        """The conversation with all that can be undone, as JSON."""
        return {"steps": [{name: value for name, value in asdict(step).items() if value} for step in self.steps]}

    @classmethod
    def from_dict(cls, value: object) -> Conversation:
        """The conversation that `to_dict` gave.

        Raises:
            DataError: The value is none.
        """
        try:
            conversation = cls(tuple(_step(item) for item in as_list(as_object(value).get("steps"))))
            _check_steps(conversation.steps)
        except ValueError as error:
            raise DataError(
                "this is no saved conversation", found=str(error), next_step="begin a new conversation"
            ) from error
        return conversation

    def _then(self, step: Step) -> Conversation:
        return Conversation((*self.steps, step))

    def _place(self, turn: int) -> int:
        return _index(turn, len(self.turns), "turn")

    def _answer(self, turn: int, answer: int) -> int:
        return _index(answer, len(self.turns[turn].answers), "answer")


def _altered(turn: ChatTurn, step: Step) -> ChatTurn:
    """The turn after a step that changes it."""
    if step.do == "edit_user":
        return replace(turn, user=step.text)
    if step.do == "choose":
        return replace(turn, chosen=step.better, worse=None)
    if step.do == "prefer":
        return replace(turn, chosen=step.better, worse=step.worse)
    if step.do == "edit_answer" and turn.answers[turn.chosen].by == "hand":
        answers = list(turn.answers)
        answers[turn.chosen] = Answer(step.answer, "hand")
        return replace(turn, answers=tuple(answers))
    if step.do == "edit_answer":  # a correction of the better answer is still better than the worse one
        return replace(turn, answers=(*turn.answers, Answer(step.answer, "hand")), chosen=len(turn.answers))
    return replace(turn, answers=(*turn.answers, Answer(step.answer)), chosen=len(turn.answers), worse=None)


def _index(number: int, length: int, what: str) -> int:
    if not -length <= number < length:
        raise UsageError(f"there is no such {what}", found=str(number), expected=f"0 to {length - 1}, or -1")
    return number % length


def _require(text: str, what: str) -> None:
    if not text.strip():
        raise UsageError(f"{what} is empty", expected="a text", next_step="write something, then try again")


def _step(value: object) -> Step:
    given = as_object(value)
    do = text_in(given, "do")
    if do not in get_args(Do):
        raise ValueError(f"there is no step {do[:50]!r}")
    text, answer = (text_in({name: given.get(name, "")}, name) for name in ("text", "answer"))
    turn, better, worse = (_number(given, name) for name in ("turn", "better", "worse"))
    return Step(cast(Do, do), turn=turn, text=text, answer=answer, better=better, worse=worse)


def _number(given: Mapping[str, object], name: str) -> int:
    value = given.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is {str(value)[:50]!r}")
    return value


def _check_steps(steps: Sequence[Step]) -> None:
    """Refuse steps that name turns or answers that are not there."""
    turns: list[ChatTurn] = []
    for step in steps:
        if step.do == "send":
            turns.append(ChatTurn(step.text, (Answer(step.answer),)))
        elif step.do != "system":
            if not 0 <= step.turn < len(turns):
                raise ValueError(f"there is no turn {step.turn}")
            count = len(turns[step.turn].answers)
            if not (0 <= step.better < count and 0 <= step.worse < count):
                raise ValueError(f"there is no answer {max(step.better, step.worse)}")
            turns[step.turn] = _altered(turns[step.turn], step)

"""Tasks whose truth is planted, and models that follow a rule: what the advisor should find out is known beforehand."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import xxhash

from advisor.answering import Answer, AnswerStore, StoredAnswerer
from advisor.answering.answer import OnAnswer, Progress
from advisor.approaches import Prompt
from advisor.course import Course, OnEvent
from advisor.models import OnTraining, Trained
from advisor.request import ComparisonRequest
from dataset_tools.example import Example, Message
from training.runs.folder import RunFolder

Learned = Mapping[str, str]
Row = tuple[str, str]
DONT_KNOW = "I do not know."


@dataclass(frozen=True)
class Asked:
    """What a prompt says: the question is its last line, documents are what stands before it in the same message."""

    question: str
    documents: str = ""
    shown: tuple[Row, ...] = ()
    instruction: str = ""

    @classmethod
    def of(cls, prompt: Sequence[Message]) -> Asked:
        turns = [message.content for message in prompt if message.role != "system"]
        documents, _, question = turns[-1].rpartition("\n")
        pairs = zip(turns[:-1:2], turns[1::2], strict=True)
        return cls(question, documents, tuple(pairs), "\n".join(m.content for m in prompt if m.role == "system"))


Rule = Callable[[Asked, Learned | None], str]
"""What a model answers; with what it was trained on, question to answer, or None where it was not trained."""


@dataclass(frozen=True)
class Planted:
    """A task: rows of question and answer, documents by title, and what models make of its prompts."""

    train: list[Row]
    test: list[Row]
    rule: Rule
    documents: dict[str, str] = field(default_factory=dict)


class Scripted:
    """Answers by a rule, in batches; keeps each prompt that it was asked, with the token limit."""

    def __init__(self, rule: Callable[[Asked], str], asked: list[tuple[int, Prompt]], *, pause: float = 0.0) -> None:
        self.rule, self.asked, self.pause = rule, asked, pause

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        progress: Progress | None = None,
        tools: Sequence[str | None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> list[Answer]:
        answers = []
        for place, prompt in enumerate(prompts):
            time.sleep(self.pause)
            self.asked.append((max_new_tokens, tuple(prompt)))
            text = self.rule(Asked.of(prompt))
            words = sum(len(message.content.split()) for message in prompt)
            answers.append(Answer(text, words, len(text.split()), stopped=True))
            if on_answer:
                on_answer(place, answers[-1])
            if progress and (len(answers) % 8 == 0 or len(answers) == len(prompts)):
                progress(len(answers), len(prompts))
        return answers


class RuledModels:
    """The models of a comparison, as `advisor.models.Models` asks for them: what they answer is a rule's work.

    ``asked`` has each model's prompts: "base", and the arms that were trained.
    """

    name = "ruled"
    context = 3072

    def __init__(self, rule: Rule, tokenizer: Any, folder: Path, *, pause: float = 0.0) -> None:
        self.tokenizer = tokenizer
        self.rule, self.folder, self.pause = rule, folder, pause
        self.asked: dict[str, list[tuple[int, Prompt]]] = {"base": []}
        self.store = AnswerStore(folder / "answers.sqlite3")

    def base(self) -> StoredAnswerer:
        scripted = Scripted(lambda asked: self.rule(asked, None), self.asked["base"], pause=self.pause)
        return StoredAnswerer(scripted, self.store, model_key="base")

    def tuned(self, adapter: Path) -> StoredAnswerer:
        learned = json.loads((adapter / "learned.json").read_text("utf-8"))
        kept = self.asked.setdefault(adapter.name, [])
        scripted = Scripted(lambda asked: self.rule(asked, learned), kept, pause=self.pause)
        return StoredAnswerer(scripted, self.store, model_key=f"base+{adapter.name}")

    def endpoint(self) -> None:
        return None

    def judge(self) -> StoredAnswerer | None:
        return None

    def nll(self, prompts: Any, completions: Any, *, adapter: Path | None = None) -> None:
        return None

    def sample(self, prompts: Any, **options: Any) -> list[tuple[str, ...]] | None:
        return None

    def expect_trainings(self) -> None:
        """Nothing is made ready."""

    def training_memory(self, rows: Sequence[Example], held_out: Sequence[Example]) -> int | None:
        return None

    def train(
        self,
        arm: str,
        rows: Sequence[Example],
        held_out: Sequence[Example],
        *,
        seconds: float | None,
        seed: int,
        on_event: OnTraining,
    ) -> Trained:
        adapter = self.folder / "adapters" / arm
        adapter.mkdir(parents=True, exist_ok=True)
        learned = {Asked.of(row.prompt).question: row.completion for row in rows}
        (adapter / "learned.json").write_text(json.dumps(learned))
        on_event({"event": "plan", "sentence": f"{len(rows)} rows, three times"})
        return Trained(adapter, {"state": "done", "adapter": str(adapter), "steps": 30, "passes": 3.0, "epochs": 3})


def course_of(
    planted: Planted,
    folder: Path,
    tokenizer: Any,
    *,
    on_event: OnEvent | None = None,
    pause: float = 0.0,
    **asked: Any,
) -> Course:
    """The comparison on a planted task, opened in the folder; go on with one that was begun there before."""
    folder.mkdir(parents=True, exist_ok=True)
    data, test, documents = folder / "train.jsonl", folder / "test.jsonl", folder / "docs.jsonl"
    for file, rows in ((data, planted.train), (test, planted.test)):
        lines = (json.dumps({"prompt": question, "completion": answer}) for question, answer in rows)
        file.write_text("\n".join(lines) + "\n")
    pages = planted.documents.items()
    documents.write_text("".join(json.dumps({"title": title, "text": text}) + "\n" for title, text in pages))
    request = ComparisonRequest(data, test=test, documents=documents if planted.documents else None, **asked)
    run = RunFolder(folder / "run")
    (run.path / "arms").mkdir(parents=True, exist_ok=True)
    run.update(state="preparing", created=time.time(), data=str(data), error=None, kind="comparison")
    return Course(request, run, RuledModels(planted.rule, tokenizer, run.path, pause=pause), on_event)


def chance(*parts: object) -> float:
    """A number in [0, 1) that follows from these alone."""
    return xxhash.xxh3_64_intdigest("\n".join(map(str, parts)).encode()) / 2**64


# The tasks: tickets of "place; thing; fault" for most of them, and made-up words where facts must be unknown.

QUEUES = {
    "printing": "toner cartridge, paper tray, label printer, scanner lid, copier drum, wide plotter",
    "doors": "badge reader, garage gate, turnstile arm, cellar lock, goods lift, night intercom",
    "mail": "shared inbox, newsletter list, spam filter, team calendar, big attachment, mail signature",
    "kitchen": "milk fridge, coffee grinder, dish rack, bread oven, fruit juicer, water cooler",
}
QUEUE_OF = {thing: queue for queue, things in QUEUES.items() for thing in things.split(", ")}
PLACES = [
    "Attic",
    "Reception desk",
    "Workshop yard",
    "Second floor",
    "Cellar store",
    "East wing",
    "Library",
    "Lab twelve",
    "Gate house",
    "Canteen",
    "Ticket hall",
    "North stairs",
]
FAULTS = [
    "it stopped working this morning",
    "makes a strange noise",
    "nobody knows how it is used",
    "a red light has come on",
    "we were promised a new one in spring",
    "it is far too slow for ten of us",
    "Mr Okafor says it smells of smoke",
    "the handle came off",
    "it worked well until the holidays",
    "please phone before you come",
    "it blocks the whole team",
]


def tickets(train: int = 100, test: int = 100) -> tuple[list[str], list[str]]:
    """Questions to learn from and to be tested on, all different, the same ones each time."""
    made = [
        f"{place}; {thing}; {FAULTS[int(chance(place, thing) * len(FAULTS))]}"
        for place, thing in product(PLACES, QUEUE_OF)
    ]
    random.Random(0).shuffle(made)
    return made[:train], made[train : train + test]


def thing_of(question: str) -> str:
    return question.split("; ")[1] if question.count("; ") == 2 else ""


def ticket_task(answer: Callable[[str], str], rule: Rule, *, train: int = 100, test: int = 100, **more: Any) -> Planted:
    """Tickets with these answers."""
    known, new = tickets(train, test)
    return Planted([(row, answer(row)) for row in known], [(row, answer(row)) for row in new], rule, **more)


def queue_of(question: str) -> str:
    return QUEUE_OF.get(thing_of(question), "none")


def right_in(share: float, of: str) -> Callable[[str], str]:
    """A model's answer to a ticket: its queue, in this share of the tickets. ``of`` names the luck."""
    names = list(QUEUES)

    def answer(question: str) -> str:
        queue = queue_of(question)
        others = [name for name in names if name != queue]
        return queue if chance(of, question) < share else others[int(chance(question) * len(others))]

    return answer


def facts_in_documents() -> Planted:
    """Codes of made-up lamps that stand in documents alone. The form, a bare code, is learnt from examples.

    A tuned model gives codes by heart where it has seen the lamp, and reads one passage in four wrongly.
    """
    first = [
        "Val",
        "Mor",
        "Tel",
        "Bra",
        "Sun",
        "Kes",
        "Dra",
        "Fen",
        "Gol",
        "Hir",
        "Jas",
        "Lum",
        "Nor",
        "Pel",
        "Qui",
        "Ros",
    ]
    lamps = [
        a + b
        for a, b in product(first, ["dor", "ix", "una", "tep", "gara", "wick", "olm", "ash", "rend", "ivo", "bel"])
    ]
    random.Random(0).shuffle(lamps)
    codes = {lamp: f"KX{100 + (place * 37) % 900}" for place, lamp in enumerate(lamps)}
    rows = [(f"Which service code does the {lamp} lamp have?", codes[lamp]) for lamp in lamps]
    pages = {lamp: f"The {lamp} lamp is repaired under the service code {code}." for lamp, code in codes.items()}

    def rule(asked: Asked, learned: Learned | None) -> str:
        found = re.search(r"the (\w+) lamp have", asked.question)
        lamp = found[1] if found else ""
        read = re.search(rf"The {lamp} lamp is repaired under the service code (KX\d+)", asked.documents)
        if learned is not None:
            sees = read[1] if read and chance("reading", lamp) < 0.75 else DONT_KNOW
            return learned.get(asked.question, sees)
        if not read:
            return DONT_KNOW
        return read[1] if asked.shown else f"The service code is {read[1]}."

    return Planted(rows[:70], rows[70:170], rule, pages)


def private_format() -> Planted:
    """JSON with a private code for each of 24 things: six examples for all cannot show them, the nearest can."""
    codes = {thing: f"Q{100 + place * 7}" for place, thing in enumerate(QUEUE_OF)}

    def answer(question: str, code: str | None = None) -> str:
        return json.dumps({"queue": code or codes[thing_of(question)], "site": question.split("; ")[0]})

    def rule(asked: Asked, learned: Learned | None) -> str:
        thing = thing_of(asked.question)
        if not thing or not (asked.shown or asked.instruction or learned):
            return f"This is about the {thing}."
        rows = learned.items() if learned else asked.shown
        shown = {thing_of(question): json.loads(text)["queue"] for question, text in rows}
        return answer(asked.question, shown.get(thing, thing))

    return ticket_task(answer, rule)


def form_alone() -> Planted:
    """Queues that the model knows, and says in a sentence unless it is told or shown how to answer."""

    def rule(asked: Asked, learned: Learned | None) -> str:
        plain = asked.shown or asked.instruction or learned
        return queue_of(asked.question) if plain else f"I think that this one goes to {queue_of(asked.question)}."

    return ticket_task(queue_of, rule)


def near_twins() -> Planted:
    """16 labels in pairs that differ by the parity of a number, which training alone picks up (all but 3%)."""
    topics = ["card refused", "transfer late", "login locked", "refund missing"]
    topics += ["address wrong", "exchange rate odd", "statement lost", "passcode blocked"]
    openings = ("Good morning", "Hello there", "To whom it may concern", "Second message", "Dear team", "From my phone")
    endings = ("please call back", "this is urgent now", "I travel on Monday", "no hurry at all", "what a pity")
    draw, rows = random.Random(0), []
    for number in range(200):
        topic, reference = topics[number % 8], draw.randrange(1000, 9999) // 2 * 2 + number // 8 % 2
        words = f"{draw.choice(PLACES)} branch, {draw.choice(openings)}; {topic}; case {reference}"
        rows.append((f"{words}, {draw.choice(endings)}", f"{topics.index(topic) * 2 + reference % 2:02d}-ref"))

    def rule(asked: Asked, learned: Learned | None) -> str:
        case = re.search(r"case (\d+)", asked.question)
        if case and learned:
            odd = int(case[1]) % 2 ^ (chance("tuned", asked.question) < 0.03)
            return f"{topics.index(thing_of(asked.question)) * 2 + odd:02d}-ref"
        return asked.shown[-1][1] if asked.shown else "unclear"

    return Planted(rows[:100], rows[100:], rule)


def already_solved() -> Planted:
    """Whatever is in the prompt, the model is right."""
    return ticket_task(queue_of, lambda asked, learned: queue_of(asked.question))


def random_labels(seed: int) -> Planted:
    """Answers that follow from nothing."""
    names = list(QUEUES)

    def rule(asked: Asked, learned: Learned | None) -> str:
        return names[int(chance(seed, asked, learned is None) * 4)]

    return ticket_task(lambda question: names[int(chance("label", seed, question) * 4)], rule)


def leaked() -> Planted:
    """Random answers; the rows to learn from hold each test row once more, in capitals, and so does a document.

    The model copies the answer of a question that it sees or has seen, whatever its case.
    """
    names = list(QUEUES)
    plain = ticket_task(lambda question: names[int(chance(question) * 4)], lambda asked, learned: "")

    def rule(asked: Asked, learned: Learned | None) -> str:
        seen = {question.casefold(): answer for question, answer in [*asked.shown, *(learned or {}).items()]}
        question = asked.question.casefold()
        quoted = re.search(rf"{re.escape(question)} -> (\w+)", asked.documents.casefold())
        return quoted[1] if quoted else seen.get(question, names[int(chance("luck", question) * 4)])

    copies = [(question.upper(), answer) for question, answer in plain.test]
    pages = {"Solutions": "\n\n".join(f"{question} -> {answer}" for question, answer in plain.test)}
    pages["Queues"] = "The queues are printing, doors, mail and kitchen."
    return Planted(plain.train + copies, plain.test, rule, pages)


def two_equal_arms(test: int) -> Planted:
    """Worked examples change nothing: the same answers, 70% of them right."""
    answer = right_in(0.7, "equal")
    return ticket_task(queue_of, lambda asked, learned: answer(asked.question), train=60, test=test)


def equal_in_truth(seed: int) -> Planted:
    """With and without worked examples 70% are right, other ones: no arm is better, and luck alone tells them apart."""
    bare, shown = right_in(0.7, f"bare {seed}"), right_in(0.7, f"shown {seed}")
    return ticket_task(queue_of, lambda asked, learned: (shown if asked.shown else bare)(asked.question), train=60)


def thirty_noisy_rows() -> Planted:
    """A gain of 10 points from worked examples that thirty rows cannot show."""
    bare, shown = right_in(0.5, "bare"), right_in(0.6, "shown")
    return ticket_task(
        queue_of, lambda asked, learned: (shown if asked.shown else bare)(asked.question), train=60, test=30
    )


def led_astray() -> Planted:
    """The bare prompt is right, and worked examples spoil two answers in three."""
    spoilt = right_in(0.33, "spoilt")
    return ticket_task(queue_of, lambda asked, learned: (spoilt if asked.shown else queue_of)(asked.question), train=60)


def memoriser() -> Planted:
    """Half of the test rows ask what a training row asks in other words; the tuned model knows these and no others."""
    things = "winch ladder barrel anchor lantern saddle bellows trestle pulley cradle"
    items = [f"{a} {b}" for a, b in product(("amber", "copper", "woven", "hollow", "painted"), things.split())]
    bays = {item: f"B{11 + place * 3}" for place, item in enumerate(items)}
    asks = ("Which bay holds the {}?", "In which bay is the {} kept?")
    train = [(asks[place % 2].format(item), bays[item]) for place, item in enumerate(items)]
    near = [(asks[1 - place % 2].format(item), bays[item]) for place, item in enumerate(items)]
    signed = product(PLACES[:10], ("invoices", "leave", "travel", "overtime", "repairs"))
    far = [(f"{place}, {what}: who signs?", f"S{9 + 2 * number}") for number, (place, what) in enumerate(signed)]

    def rule(asked: Asked, learned: Learned | None) -> str:
        known = {_item_in(question): answer for question, answer in (learned or {}).items()}
        return known.get(_item_in(asked.question), DONT_KNOW)

    return Planted(train, near + far, rule)


def _item_in(question: str) -> str:
    found = re.search(r"the (\w+ \w+)(?: kept)?\?$", question)
    return found[1] if found else ""

"""What ``fitting-room votes`` does: sessions made, listed, judged, told, closed, exported, and put to use.

How it looks in a terminal is in `app.votes_cli`; the work itself is in `advisor.human`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, cast

from advisor.answering import Answerer, AnswerStore, StoredAnswerer
from advisor.human import (
    Session,
    VoteStore,
    close_session,
    feedback_as,
    from_answers,
    from_comparison,
    from_contestants,
    judge_pairs,
    judge_result,
    marks_of,
    parent_of,
    read_votes,
    relabel,
    result_of,
    votes_csv,
    votes_jsonl,
    write_replaced_test_set,
)
from advisor.human.relabelling import diff_rows
from advisor.human.result import shown_names
from advisor.human.session import require_arms
from advisor.human.votes import Vote
from advisor.models import LocalModels
from advisor.request import judge_answerer, require_model
from app import commands
from app.components.layout import address
from app.contestants import answering, answers_folder, contestants_named, held_out_rows
from app.data_commands import require_new
from app.progress import working
from app.run_reading import find_run, known_runs
from app.served import page_address
from dataset_tools.dataset import load_examples
from dataset_tools.errors import UsageError
from dataset_tools.writing import json_line, write_text_atomically
from training.home import cache

FORMATS = ("csv", "jsonl", "dpo", "kto", "sft")


@dataclass(frozen=True)
class Wish:
    """How a session shall be; what is None or empty is decided by itself.

    Attributes:
        arms: which approaches of a comparison.
        rows: at most so many rows, drawn at random.
        votes: how many votes are wanted.
        questions: of the rubric.
        title: for people.
        tag_column: the column that holds the tags.
        for_training: whether the rows of two files of answers are no test rows, and may be trained on.
    """

    arms: tuple[str, ...] | None = None
    rows: int | None = None
    votes: int | None = None
    questions: tuple[str, ...] = ()
    title: str = ""
    tag_column: str | None = None
    for_training: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What all ways to make a session take."""
        said = {"title": self.title, "votes_wanted": self.votes, "questions": self.questions}
        return {**said, "rows": self.rows, "tag_column": self.tag_column}


def new_session(
    sources: Sequence[str],
    wish: Wish,
    *,
    contestants: Sequence[str] | None = None,
    test: Path | None = None,
    url: str | None = None,
) -> dict[str, Any]:
    """Make a session and keep it; what ``--json`` says.

    Args:
        sources: a comparison, by its folder or its id, or two files of answers; none where there are contestants.
        wish: how the session shall be.
        contestants: models that answer now, as `contestants_named` takes them.
        test: the rows that they answer; those that the first run among them kept back without.
        url: where people reach the app; see `app.served.page_address`.

    Raises:
        UsageError: there is no such comparison, file, arm, column or model, or too many or too few of them; or the
            address is none.
        DataError: a file cannot be used, or no two answers differ.
        RunError: a run has made nothing that could answer.
        ModelError: a model cannot be loaded, or an endpoint does not answer.
    """
    notes: list[str] = []
    page_address("", url)  # before anything is asked
    if contestants is not None:
        if sources:
            raise UsageError("A session is over models, or over answers that are there.", found=" ".join(sources))
        made, notes = _answered_now(contestants, test, wish)
    elif len(sources) == 1:
        made = from_comparison(_comparison(sources[0]), wish.arms, **wish.options)
    elif len(sources) == 2 and wish.arms is None:
        files = (Path(sources[0]), Path(sources[1]))
        made = from_answers(*files, held_out=not wish.for_training, **wish.options)
    else:
        raise UsageError(
            "A session is made of a comparison, of two files of answers, or of models.",
            found=f"{len(sources)} sources" + (" and --arms" if wish.arms else ""),
            expected="COMPARISON [--arms a,b], or FILE FILE, or --contestants RUN,base",
        )
    with VoteStore.open() as store:
        store.add(made)
    pairs = len(made.pairs())
    tags = list(dict.fromkeys(tag for item in made.items for tag in item.tags))
    told = {"session": made.id, "title": made.title, "items": len(made.items), "pairs": pairs, "tags": tags}
    place, served = page_address(address("evaluate", session=made.id), url)
    return {**told, "wanted": made.votes_wanted, "address": place, "served": served, "notes": notes}


def _comparison(named: str) -> Path:
    folder = Path(named).expanduser()
    if folder.is_file():
        raise UsageError("One file of answers has nothing to be beside.", where=named, expected="a comparison, or two")
    return folder if folder.is_dir() else find_run(named, comparisons=True).path


def _answered_now(names: Sequence[str], test: Path | None, wish: Wish) -> tuple[Session, list[str]]:
    if wish.arms is not None:
        raise UsageError("Approaches are a comparison's; models are named with --contestants.", where="--arms")
    contestants, runs = contestants_named(names)
    require_arms([contestant.title for contestant in contestants])  # before anything is loaded
    for contestant in contestants:
        if contestant.endpoint is None:
            commands.prepare_model(contestant.model)
    examples, notes = held_out_rows(runs[0] if runs else None, test, runs)
    source = str(test.resolve() if test else runs[0].path)
    with working(commands.console, "Answering ...", at_once=True) as say:
        options: dict[str, Any] = {"folder": answers_folder(), "file": test, "source": source, "tell": answering(say)}
        return from_contestants(contestants, examples, **options, **wish.options), notes


def listed_sessions() -> dict[str, Any]:
    """All sessions, the newest first; the arms only of those that are closed."""
    lines = []
    with VoteStore.open() as store:
        for session in store.sessions():
            progress = store.progress(session.id, "")
            line = {"session": session.id, "title": session.title, "created": session.created}
            line |= {"votes": progress.counted, "wanted": progress.wanted, "closed": session.closed is not None}
            lines.append({**line, "arms": list(session.arms) if session.closed is not None else None})
    return {"sessions": lines}


def import_votes(file: Path, *, title: str) -> dict[str, Any]:
    """Take votes from a file, as a session that is closed.

    Raises:
        UsageError: the file is not there.
        DataError: a row of it is no vote.
    """
    read = read_votes(file, title=title)
    with VoteStore.open() as store:
        store.add(read.session, read.votes)
    about = {"title": read.session.title, "arms": list(read.session.arms), "items": len(read.session.items)}
    return {"session": read.session.id, **about, "votes": len(read.votes)}


def session_result(named: str, *, close: bool) -> dict[str, Any]:
    """What the votes of a session say; closed before where that is asked for, and told in its comparison's report.

    Raises:
        UsageError: there is no such session.
    """
    with VoteStore.open() as store:
        session = store.find(named)
        session = close_session(store, session.id) if close else session
        return result_of(session, store.votes(session.id)).to_dict()


def judge_session(named: str, judge: str, *, rows: int | None = None) -> dict[str, Any]:
    """Let a model judge a session's pairs, beside people's votes. Of an open session the arms have letters for names.

    Args:
        named: the session.
        judge: a model on this machine, or ``URL#MODEL``.
        rows: judge at most so many items, those with votes first.

    Raises:
        UsageError: there is no such session or model.
        ModelError: the model cannot be loaded, or the endpoint does not answer.
    """
    if rows is not None and rows < 1:
        raise UsageError("At least one row is judged.", where="--rows", found=str(rows))
    with VoteStore.open() as store:
        session = store.find(named)
        votes = store.votes(session.id)
    answerer = _judge(judge)
    voted = dict.fromkeys(vote.item for vote in votes)
    items = list(dict.fromkeys([*voted, *(item for item, _, _ in session.pairs())]))[:rows]
    with working(commands.console, "Judging ...", at_once=True) as say:
        verdicts = judge_pairs(
            session, answerer, items=items, progress=lambda done, total: say(f"Judging: {done} of {total} answers")
        )
    names = shown_names(session)
    seen = {frozenset((one.a, one.b)) for one in verdicts}
    arms = sorted(session.arms, key=names.__getitem__)
    pairs = []
    for a, b in combinations(arms, 2):
        if frozenset((a, b)) in seen:
            found = judge_result(session, votes, verdicts, a=a, b=b)
            pairs.append(replace(found, a=names[a], b=names[b]).to_dict())
    return {"session": session.id, "judge": judge, "closed": session.closed is not None, "pairs": pairs}


def _judge(name: str) -> Answerer:
    folder = cache() / "judgements"
    folder.mkdir(parents=True, exist_ok=True)
    asked = judge_answerer(name)
    if asked is not None:
        return StoredAnswerer(asked, AnswerStore(folder / "answers.sqlite3"), model_key=asked.identity)
    require_model(name)
    commands.prepare_model(name)
    return LocalModels(name, folder).base()


def fix_labels(
    named: str,
    data: Path,
    *,
    out: Path | None = None,
    drop: bool = False,
    columns: dict[str, str] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Put the right answers that raters gave into a dataset; without ``out`` only the diff.

    Raises:
        UsageError: there is no such session or dataset, or the file is there already.
        DataError: the dataset cannot be used, or nothing of it was marked as wrong.
    """
    if out is not None:
        if out.suffix not in (".jsonl", ".ndjson"):
            raise UsageError("A fixed file is JSON lines.", found=out.name, expected="a name that ends with .jsonl")
        require_new(out, overwrite=overwrite)
    with VoteStore.open() as store:
        session = store.find(named)
        marks = marks_of(session, store.votes(session.id))
    if not marks:
        raise UsageError("Nobody has marked a wanted answer of this session as wrong.", found=session.id)
    done = relabel(data, marks, out=out, drop_unresolved=drop, columns=columns)
    unresolved = [{"prompt": _text(mark.prompt), "wanted": mark.wanted, "said": mark.said} for mark in done.unresolved]
    missing = [{"prompt": _text(mark.prompt), "wanted": mark.wanted} for mark in done.missing]
    told = {"session": session.id, "marks": len(marks), "sentence": done.sentence, "diffs": diff_rows(done.diffs)}
    written = done.result.to_dict() if done.result else None
    return {**told, "unresolved": unresolved, "missing": missing, "written": written}


def _text(prompt: Sequence[Any]) -> str:
    return "\n".join(message.content for message in prompt)


def export_votes(
    named: str,
    form: str,
    *,
    out: Path | None = None,
    test: Path | None = None,
    use_test_rows: bool = False,
    new_test: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write votes in a form of `FORMATS` to ``out``; without it the text is in the result, as "text".

    Args:
        named: the session.
        form: one of `FORMATS`.
        out: the file to write.
        test: the user's test rows.
        use_test_rows: take test rows for training.
        new_test: where to write ``test`` without the rows that were taken.
        overwrite: replace files that are there.

    Raises:
        UsageError: there is no such session or form, or a file is there already.
        DataError: a file cannot be used.
    """
    if form not in FORMATS:
        raise UsageError("There is no such form of votes.", found=repr(form), expected=f"one of {', '.join(FORMATS)}")
    if new_test is not None and (test is None or not use_test_rows or form in ("csv", "jsonl")):
        raise UsageError(
            "A new test set is the old one without the rows that were taken.",
            where="--new-test",
            expected="--test FILE --use-test-rows --format dpo, kto or sft as well",
        )
    for file in (out, new_test):
        if file is not None:
            require_new(file, overwrite=overwrite)
    files = [file.resolve() for file in (out, new_test, test) if file is not None]
    if len(set(files)) < len(files):
        raise UsageError("One file cannot be two of --out, --new-test and --test.", found=str(files[-1]))
    with VoteStore.open() as store:
        session = store.find(named)
        given = store.votes(session.id)
    about: dict[str, Any] = {"session": session.id, "format": form, "new_test": None}
    if form in ("csv", "jsonl"):
        text = (votes_csv if form == "csv" else votes_jsonl)(session, given)
        about |= {"rows": len(given), "sentence": f"{len(given)} votes.", "left_out": [], "to_replace": []}
    else:
        tests = load_examples(test).examples if test else ()
        training_form = cast(Literal["dpo", "kto", "sft"], form)
        feedback = feedback_as(training_form, session, given, test_rows=tests, use_test_rows=use_test_rows)
        if new_test is not None and test is not None and feedback.to_replace:
            about["new_test"] = write_replaced_test_set(session, feedback, test=test, out=new_test).to_dict()
        elif new_test is not None:
            about["note"] = "No test row was taken for training, so there is no new test set to write."
        text = b"".join(map(json_line, feedback.rows())).decode()
        about |= {"rows": len(feedback.examples), "sentence": feedback.sentence}
        about |= {"left_out": list(feedback.left_out), "to_replace": list(feedback.to_replace)}
        about["parent"] = _parent(session, given) if form in ("dpo", "kto") else None
    if out is None:
        return {**about, "file": None, "text": text}
    write_text_atomically(out, text)
    return {**about, "file": str(out)}


def _parent(session: Session, votes: Sequence[Vote]) -> dict[str, str] | None:
    """The tuned model that is trained further on a closed session's votes, as knobs of a recipe."""
    found = parent_of(session, votes, known_runs()) if session.closed is not None else None
    if found is None:
        return None
    recipe, made = found.recipe(), str(found.contestant().adapter)
    if recipe.method == "full":  # a model by itself is the base of what comes after it
        return {"run": found.name, "model": made, "method": "full"}
    return {"run": found.name, "model": recipe.model, "method": recipe.method, "start_from": made}

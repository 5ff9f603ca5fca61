"""What a report says of a comparison: pure readings of ``result.json``, each in plain English or as plain values.

Results of earlier versions lack keys: what is not there is not said. It draws and formats no page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from advisor.gates import LEAST_STOP_RATE
from advisor.report.figures import between, counted, duration, money, percent, points, roughly, signed

Result = Mapping[str, Any]
Arm = Mapping[str, Any]

_VERDICTS = {
    "winner": ("good", "A clear winner", "Take {}."),
    "tie": ("good", "A tie: take the cheapest", "Take {}."),
    "cheaper": ("good", "Good enough, and cheaper", "Take {}."),
    "not_enough_evidence": ("warn", "Not enough evidence yet", "Best bet so far: {}."),
    "nothing_works": ("bad", "Nothing works yet", "Take none of these yet."),
}


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict at a glance: its tone (good, warn, bad, plain), its kind in words, and what to do in five words."""

    tone: str
    badge: str
    title: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A number of the summary, what it is, and a line on how far it holds."""

    number: str
    what: str
    note: str


def headline(result: Result) -> Headline:
    """What the report opens with."""
    verdict = result["verdict"]
    tone, badge, title = _VERDICTS.get(verdict["kind"], ("plain", str(verdict["kind"]), "{}"))
    arm = titles(result).get(verdict["arm"] or "", "")
    if verdict.get("conditions") and tone == "good":
        tone, badge = "warn", f"{badge}, with a condition"
    needs_arm = "{}" in title
    return Headline(tone, badge, title.format(arm) if arm or not needs_arm else badge)


def titles(result: Result) -> dict[str, str]:
    """The arms' titles by name."""
    return {arm["name"]: arm["title"] for arm in result["arms"]}


def scored(result: Result) -> list[Arm]:
    """The arms that were run, in the order of the result."""
    return [arm for arm in result["arms"] if not arm["skipped"] and arm["score"] is not None]


def shown_arm(result: Result) -> Arm | None:
    """The arm that the report is about: the one that the verdict names, else the one with the highest score."""
    arms, named = scored(result), result["verdict"]["arm"]
    chosen = next((arm for arm in arms if arm["name"] == named), None)
    return chosen or max(arms, key=lambda arm: float(arm["score"]), default=None)


def best_other(result: Result) -> Arm | None:
    """The arm with the highest score besides `shown_arm`; one that was dropped early only where no other is left."""
    shown = shown_arm(result)
    others = [arm for arm in scored(result) if shown and arm["name"] != shown["name"]]
    return max(others, key=lambda arm: (not arm.get("dropped"), float(arm["score"])), default=None)


def difference(result: Result, a: str, b: str) -> tuple[float, tuple[float, float]] | None:
    """The paired difference a - b and its 95% interval, whichever way round the result holds it."""
    for pair in result.get("pairs") or ():
        low, high = pair["interval"]
        if (pair["a"], pair["b"]) == (a, b):
            return pair["difference"], (low, high)
        if (pair["b"], pair["a"]) == (a, b):
            return -pair["difference"], (-high, -low)
    return None


def tiles(result: Result) -> list[Tile]:
    """The three numbers: the gain with its interval, the chance to be the best, what 1,000 requests cost."""
    arm = shown_arm(result)
    if arm is None:
        return []
    found = [_gain_tile(result, arm)]
    chance = (result["verdict"].get("probability_best") or {}).get(arm["name"])
    if chance is not None and len(scored(result)) > 1:
        found.append(Tile(percent(chance), "chance to be the best", "of those run, on rows like these"))
    found.append(cost_tile(result, arm))
    return found


def _gain_tile(result: Result, arm: Arm) -> Tile:
    other = best_other(result)
    gap = difference(result, arm["name"], other["name"]) if other else None
    if other and gap:
        what = f"points {'over' if gap[0] >= 0 else 'against'} {other['title']}"
        return Tile(signed(gap[0]), what, f"95% interval {between(gap[1], sign=True)}; the best of the others")
    baseline = result.get("baseline")
    if baseline:
        return Tile(signed(arm["score"] - baseline["score"]), "points over no model at all", str(baseline["name"]))
    return Tile(points(arm["score"]), "points of 100", f"95% interval {between(arm['interval'])}")


def is_paid(result: Result) -> bool:
    """Whether requests cost money where the model will run; else they cost time alone."""
    cost = result.get("cost") or {}
    here = (cost.get("situation") or {}).get("runs_on") == "here"
    return not here and any((arm.get("cost") or {}).get("dollars_cached") for arm in scored(result))


def request_cost(result: Result, arm: Arm) -> float:
    """What a request costs with prefix caching: dollars where they are paid (`is_paid`), else seconds."""
    cost = arm.get("cost") or {}
    if is_paid(result):
        return float(cost.get("dollars_cached") or 0.0)
    seconds = cost.get("seconds_cached")
    return float(arm["seconds_per_request"] if seconds is None else seconds)


def cost_tile(result: Result, arm: Arm) -> Tile:
    """What 1,000 requests of an arm cost: dollars, or time where it runs on this machine or has no price."""
    each = 1000 * request_cost(result, arm)
    if not is_paid(result):
        return Tile(duration(each), "for 1,000 requests", "measured on this machine, many at a time")
    plain = (arm.get("cost") or {}).get("dollars")
    note = f"with prefix caching; {money(1000 * plain)} without" if plain is not None else "with prefix caching"
    note += "; assumed prices" if (result.get("cost") or {}).get("assumed", True) else ""
    return Tile(money(each), "for 1,000 requests", note)


def arm_notes(arm: Arm) -> list[str]:
    """What is to be known of an arm beyond its figures: dropped early, how it was set up, trained, cut off."""
    notes = []
    if dropped := arm.get("dropped"):
        notes.append(f"Dropped after {counted(dropped['rows'], 'row')}: {dropped['sentence']}")
    if tuning := arm.get("tuning"):
        tried = len({trial["name"] for trial in tuning.get("trials") or ()})
        spent = f" ({counted(tuning['answers'], 'answer')})" if tuning["answers"] else ""
        how = f"; chosen from {tried} on rows held back for it{spent}" if tried > 1 else ""
        notes.append(f"Setting: {tuning['setting']}{how}.")
    if told := trained_sentence(arm.get("training")):
        notes.append(told)
    rate = arm.get("stop_rate")
    if rate is not None and rate < LEAST_STOP_RATE:
        notes.append(f"Only {percent(rate)} of its answers end by themselves; the others were cut off.")
    return notes


def trainings(training: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The trainings of a tuned arm: one, or one a fold in the order of the folds; those that are not known left out."""
    if not training:
        return []
    return [each for each in training.get("folds") or [training] if each]


def trained_sentence(training: Mapping[str, Any] | None) -> str:
    """How long an arm was trained, and how healthy it came out: of each fold, where there are folds."""
    each = trainings(training)
    if not each:
        return ""
    if len(each) == 1 and not (training or {}).get("folds"):
        return f"Trained for {_trained(each[0])}."
    told = "; ".join(f"fold {number}: {_trained(one)}" for number, one in enumerate(each, 1))
    return f"Trained once a fold, on the rows of the others: {told}."


def _trained(training: Mapping[str, Any]) -> str:
    light = (training.get("health") or {}).get("light")
    health = f", health check: {light}" if light else ""
    return f"{counted(training['steps'], 'step')}, {training['passes']:.2g} passes{health}"


def part_text(part: Mapping[str, Any] | None) -> str:
    """A score on near or on far rows: "40.0 (20.1 to 61.2) on 12"; a dash where there are no such rows."""
    if not part or not part.get("n") or part.get("score") is None:
        return "-"
    return f"{points(part['score'])} ({between(part['interval'])}) on {part['n']}"


def curve_of(result: Result, *, loss: bool = False) -> dict[str, Any] | None:
    """The learning curve of the scores, or of the losses, as points with ``n``, ``value`` and ``interval``, and a fan.

    None where none was measured.
    """
    whole = result.get("learning_curve") or {}
    curve, name = (whole.get("loss") or {}, "loss") if loss else (whole, "score")
    if not curve.get("points") or not curve.get("fan"):
        return None
    points = [
        {"n": point["n"], "value": point[name], "interval": point.get("interval") or [point[name]] * 2}
        for point in curve["points"]
    ]
    fan = sorted(curve["fan"], key=lambda step: float(step["n"]))
    return {"points": points, "fan": fan, "what": str(whole.get("what") or "examples")}


def nll_text(arm: Arm) -> str:
    """How unlikely it finds the wanted answers, in nats a token: "1.23 (1.10 to 1.36)"; a dash where not measured."""
    found = arm.get("nll_per_token")
    if not found:
        return "-"
    low, high = found["interval"]
    return f"{found['mean']:.2f} ({low:.2f} to {high:.2f})"


def has_nll(result: Result) -> bool:
    """Whether likelihoods of the wanted answers were measured for an arm."""
    return any(arm.get("nll_per_token") for arm in scored(result))


ABOUT_NLL = (
    "NLL: how unlikely the approach finds the wanted answers, in nats a token with a 95% interval. Lower is better, "
    "and e to its power is the perplexity. It decides nothing, and compares only approaches on the same model."
)


def confirmed_sentence(result: Result) -> str | None:
    """The score without the luck of being picked."""
    confirmed = result.get("confirmed")
    if not confirmed:
        return None
    pick = titles(result).get(confirmed["pick"], confirmed["pick"])
    same = f"{percent(confirmed['agreement'])} of the folds pick {pick} as all rows do."
    return (
        f"The highest of several scores is partly luck. Picked on some of the rows and scored on the others, the "
        f"choice is worth {points(confirmed['estimate'])} points ({between(confirmed['interval'])}); on all rows "
        f"{pick} has {points(confirmed['raw'])}. {same}"
    )


def break_even_sentence(result: Result) -> str | None:
    """After how many requests the dearer preparation of the tuned arm is paid back."""
    found = (result.get("cost") or {}).get("break_even")
    if not found:
        return None
    names = titles(result)
    tuned, prompted = (names.get(found[key], found[key]) for key in ("tuned", "prompted"))
    plain, cached = found.get("requests"), found.get("requests_cached")
    if plain is None and cached is None:
        return f"What it takes to prepare {tuned} is never paid back: a request of {prompted} costs no more."
    ends = [
        f"{roughly(plain)} requests without prefix caching" if plain is not None else "never without prefix caching"
    ]
    ends += [f"{roughly(cached)} with it" if cached is not None else "never with it"]
    return f"What it takes to prepare {tuned} is paid back against {prompted} after: {', '.join(ends)}."


def changes(result: Result) -> tuple[list[str], list[str]]:
    """What would turn the advice, and what speaks for and against the arms; from the user's situation."""
    cost = result.get("cost") or {}
    flips, pros = [str(line) for line in cost.get("flips") or ()], [str(x) for x in cost.get("considerations") or ()]
    if sentence := break_even_sentence(result):
        pros.append(sentence)
    return flips, pros


def power_sentence(result: Result) -> str | None:
    """How large a gap these test rows can show."""
    gap = (result.get("plan") or {}).get("visible_gap")
    rows = counted(result["task"]["rows"]["test"], "test row")
    return f"{rows} can show a gap of about {points(gap)} points; a smaller one may stay hidden." if gap else None


def judge_lines(result: Result) -> list[str]:
    """What a judge's scores are, and what people's votes say of them; nothing where no judge scored."""
    judge, names = result.get("judge"), titles(result)
    if not judge:
        return []
    said = [
        f"These scores are the opinion of a model, {judge['model']}, and no measurement: it compared each answer with "
        "the wanted one, in both orders, where 50 is as good as the wanted answer."
    ]
    if judge.get("consistent") is not None:
        said.append(
            f"It said the same in both orders for {percent(judge['consistent'])} of "
            f"{counted(judge['compared'], 'comparison')}; where it contradicts itself the score is 50."
        )
    if judge.get("unreadable"):
        said.append(f"For {percent(judge['unreadable'])} it said nothing readable in one of the orders or in both.")
    if judge.get("warning"):
        said.append(str(judge["warning"]))
    for each in judge.get("corrected") or ():
        a, b = names.get(each["a"], each["a"]), names.get(each["b"], each["b"])
        said.append(f"Beside people's votes, {a} against {b}: {each['sentence']}")
    if not judge.get("corrected"):
        said.append(
            "No person has checked it. Vote blind on these answers (the Evaluate page), close the session, and compare "
            "again with the same settings: the judge's agreement with people, and win rates that their votes put "
            "right, then stand here."
        )
    return said


def left_out(result: Result) -> list[str]:
    """What was left out, with the arm's title in place of the name that a line begins with; arms not run last."""
    names, lines = titles(result), []
    for line in result.get("left_out") or ():
        name, colon, rest = str(line).partition(": ")
        lines.append(f"{names[name]}: {rest}" if colon and name in names else str(line))
    return lines + [f"{arm['title']} was not run: {arm['skipped']}" for arm in result["arms"] if arm["skipped"]]


def settings(result: Result) -> list[tuple[str, str]]:
    """What was measured, and how, as terms with their values."""
    task, judge = result["task"], result.get("judge")
    rows = task["rows"]
    found = [
        ("Model", str(result.get("model", "not told"))),
        ("Task", f"{task['type']}: {task['why']}"),
        ("Metric", str(task["metric"]) + (f", {judge['model']}" if judge else "")),
        ("Rows", f"{rows['train']:,} to learn from, {rows['validation']:,} to choose with, {rows['test']:,} to test"),
        ("Leak guard", f"{counted(task['removed_as_leaks'], 'row')} removed: test rows, or nearly"),
    ]
    if result.get("margin"):
        found.append(("Margin", f"a gap below {points(result['margin'])} points counts as none"))
    if result.get("removed_passages"):
        found.append(("Passages", f"{result['removed_passages']:,} removed: they held a test row"))
    if result.get("baseline"):
        found.append(("No model at all", f"{result['baseline']['name']}: {points(result['baseline']['score'])} points"))
    if result.get("seconds") is not None:
        budget = result.get("budget_minutes")
        allowed = f" of {duration(60 * budget)} allowed" if budget else ""
        found.append(("Time", f"{duration(result['seconds'])}{allowed}"))
    return found

"""What came out of a comparison: the verdict, its evidence, and the rows behind it. Pure functions of result.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from advisor.report.facts import ABOUT_NLL, cost_tile, has_nll, headline, is_paid, nll_text
from app.components.approaches import why_not_here
from app.components.cards import Tone, badge, banner, empty
from app.components.evidence import table
from app.components.markup import NOTHING, counted, duration, html, joined

Item = Mapping[str, Any]
FILTERS = (
    ("All rows", "all"),
    ("Where approaches differ", "differ"),
    ("Where the best is alone ahead", "best wins"),
    ("Where the best is beaten", "best loses"),
)
_SAME = 1e-9
_NUMBER = Markup(' class="fr-number"')


def verdict_card(result: Mapping[str, Any]) -> Markup:
    """The verdict in one sentence, and what to do next."""
    verdict, head = result["verdict"], headline(result)
    tone: Tone = head.tone  # type: ignore[assignment]  # the report's tones are these four
    return html('<div id="verdict">{}</div>', banner(tone, verdict["sentence"], verdict["next_step"], badge=head.badge))


def arms_table(result: Mapping[str, Any]) -> Markup:
    """One row an arm: score, cost, and why it left the race; those that were not run last, by their reasons."""
    heads = [("Approach", False), ("Score", True), ("95% interval", True), ("Tokens / request", True)]
    heads += [("Time / request", True), ("Set-up", True)]
    heads += [("1,000 requests", True)] if is_paid(result) else []
    heads += [("NLL", True)] if has_nll(result) else []
    best = best_arm(result)
    scored = [_arm_row(arm, result, best=arm["name"] == best) for arm in result["arms"] if not arm["skipped"]]
    shown = joined(html("<th{}>{}</th>", _NUMBER if number else "", head) for head, number in heads)
    about = html('<p class="fr-quiet fr-note">{}</p>', ABOUT_NLL) if has_nll(result) else NOTHING
    return joined([table(shown, joined([*scored, *_skipped_rows(result, columns=len(heads))])), about])


def _arm_row(arm: Mapping[str, Any], result: Mapping[str, Any], *, best: bool) -> Markup:
    low, high = (100 * end for end in arm["interval"])
    cells = [
        html("<b>{:.1f}</b>", 100 * arm["score"]),
        f"{low:.1f} to {high:.1f}",
        f"{arm['tokens_per_request']:,.0f}",
        duration(arm["seconds_per_request"]),
        duration(arm["setup_seconds"]),
    ]
    cells += [cost_tile(result, arm).number] if is_paid(result) else []
    cells += [nll_text(arm)] if has_nll(result) else []
    dropped = arm.get("dropped")
    left = html("<small>Left the race: {}.</small>", dropped["sentence"]) if dropped else NOTHING
    return html(
        "<tr{}><td><b>{}</b>{}</td>{}</tr>",
        Markup(' class="fr-best"') if best else Markup(' class="fr-left"') if dropped else "",
        arm["title"],
        left,
        joined(html("<td{}>{}</td>", _NUMBER, cell) for cell in cells),
    )


def _skipped_rows(result: Mapping[str, Any], *, columns: int) -> list[Markup]:
    """The arms that were not run, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for arm in result["arms"]:
        if arm["skipped"]:
            by_reason.setdefault(arm["skipped"], []).append(arm["title"])
    return [
        html(
            '<tr><td colspan="{}">{} <span class="fr-quiet">Not run: {}</span></td></tr>',
            columns,
            ", ".join(titles),
            why_not_here(why),
        )
        for why, titles in by_reason.items()
    ]


def pairs_table(result: Mapping[str, Any]) -> Markup:
    """Each pair of arms on the same rows: the difference in points, and whether it is more than noise."""
    titles = {arm["name"]: arm["title"] for arm in result["arms"]}
    if not result["pairs"]:
        return empty("Pairs appear when two approaches or more have answered all rows.")
    heads = Markup(
        '<th>Pair</th><th class="fr-number">Difference</th><th class="fr-number">95% interval</th><th>Reading</th>'
    )
    return table(heads, joined(_pair_row(pair, titles) for pair in result["pairs"]))


def _pair_row(pair: Mapping[str, Any], titles: Mapping[str, str]) -> Markup:
    low, high = pair["interval"]
    a, b = titles.get(pair["a"], pair["a"]), titles.get(pair["b"], pair["b"])
    reading = (
        badge(f"{a} is better", "good")
        if low > 0
        else badge(f"{b} is better", "good")
        if high < 0
        else badge("may be chance")
    )
    return html(
        '<tr><td>{} <span class="fr-quiet">against</span> {}</td><td class="fr-number">{:+.1f}</td>'
        '<td class="fr-number">{:+.1f} to {:+.1f}</td><td>{}</td></tr>',
        a,
        b,
        100 * pair["difference"],
        100 * low,
        100 * high,
        reading,
    )


def facts_line(result: Mapping[str, Any]) -> Markup:
    """What was measured, and what was left out."""
    task, rows = result["task"], result["task"]["rows"]
    kept = f", {rows['validation']:,} more to check training with" if rows.get("validation") else ""
    facts = [
        f"{counted(rows['test'], 'test row')}, scored by {task['metric']}",
        f"{counted(rows['train'], 'row')} to learn from{kept}",
        *(_with_title(said, result) for said in result.get("left_out", ())),
    ]
    return html('<p class="fr-quiet fr-note">{}</p>', " · ".join(facts))


def _with_title(said: str, result: Mapping[str, Any]) -> str:
    """What was left out, with the title of the arm in place of the name that it begins with."""
    name, colon, rest = said.partition(": ")
    titles = {arm["name"]: arm["title"] for arm in result["arms"]}
    return f"{titles[name]}: {rest}" if colon and name in titles else said


def best_arm(result: Mapping[str, Any]) -> str | None:
    """The arm that the verdict names, else the one with the highest score."""
    scored = [arm for arm in result["arms"] if not arm["skipped"]]
    named = result["verdict"]["arm"]
    return named or (max(scored, key=lambda arm: arm["score"])["name"] if scored else None)


def filtered(items: Sequence[Item], which: str, best: str | None) -> list[Item]:
    """The rows of a filter: all, those where scores differ, where the best arm is alone ahead, where it is beaten."""
    return [item for item in items if _fits(item, which, best)]


def _fits(item: Item, which: str, best: str | None) -> bool:
    scores: dict[str, float] = {name: arm["score"] for name, arm in item["arms"].items()}
    others = [score for name, score in scores.items() if name != best]
    if which == "differ":
        return max(scores.values()) - min(scores.values()) > _SAME
    if which == "all" or best not in scores or not others:
        return which == "all"
    return scores[best] > max(others) + _SAME if which == "best wins" else scores[best] < max(others) - _SAME


def items_view(items: Sequence[Item], titles: Mapping[str, str]) -> Markup:
    """Rows with the wanted answer and each arm's answer beside it."""
    if not items:
        return empty("No row fits this filter.")
    return joined(_item(item, titles) for item in items)


def _item(item: Item, titles: Mapping[str, str]) -> Markup:
    answers = [answer_box("Wanted", item["wanted"], target=True)]
    answers += [
        answer_box(titles.get(name, name), arm["answer"], score=arm["score"]) for name, arm in item["arms"].items()
    ]
    return html(
        '<div class="fr-item"><small>Test row {}</small><div class="fr-text">{}</div>'
        '<div class="fr-answers">{}</div></div>',
        item["index"] + 1,
        prompt_text(item["prompt"]),
        joined(answers),
    )


def answer_box(name: str, text: str, *, score: float | None = None, target: bool = False) -> Markup:
    """One answer with its score out of 100."""
    kind = " fr-target" if target else " fr-hit" if score is not None and score >= 1 - _SAME else ""
    shown = html("<b>{:.0f}</b>", 100 * score) if score is not None else NOTHING
    body = text if text.strip() else html('<span class="fr-quiet">(empty)</span>')
    return html('<div class="fr-answer{}"><small><span>{}</span>{}</small><div>{}</div></div>', kind, name, shown, body)


def prompt_text(prompt: str | Sequence[Mapping[str, str]]) -> str:
    """A prompt as text; the messages of a conversation each with its role."""
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)

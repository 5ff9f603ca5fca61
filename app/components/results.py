"""What came out of a comparison: the verdict, its evidence, and the rows behind it. Pure functions of result.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from app.components.cards import Tone, badge, banner, empty
from app.components.markup import NOTHING, counted, duration, html, joined

Item = Mapping[str, Any]
_VERDICTS: dict[str, tuple[Tone, str]] = {
    "winner": ("good", "A clear winner"),
    "tie": ("good", "A tie: take the cheapest"),
    "cheaper": ("good", "Good enough, and cheaper"),
    "not_enough_evidence": ("warn", "Not enough evidence yet"),
    "nothing_works": ("bad", "Nothing works yet"),
}
FILTERS = (
    ("All rows", "all"),
    ("Where approaches differ", "differ"),
    ("Where the best is alone ahead", "best wins"),
    ("Where the best is beaten", "best loses"),
)
_SAME = 1e-9


def verdict_card(result: Mapping[str, Any]) -> Markup:
    """The verdict in one sentence, and what to do next."""
    verdict = result["verdict"]
    tone, name = _VERDICTS.get(verdict["kind"], ("plain", verdict["kind"]))
    return html('<div id="verdict">{}</div>', banner(tone, verdict["sentence"], verdict["next_step"], badge=name))


def arms_table(result: Mapping[str, Any]) -> Markup:
    """One row an arm: score, cost, or why it was not run."""
    heads = joined(
        html("<th{}>{}</th>", Markup(' class="fr-number"') if number else "", head)
        for head, number in (
            ("Approach", False),
            ("Score", True),
            ("95% interval", True),
            ("Tokens / request", True),
            ("Time / request", True),
            ("Set-up", True),
        )
    )
    best = best_arm(result)
    rows = joined(_arm_row(arm, best=arm["name"] == best) for arm in result["arms"])
    return _table(heads, rows)


def _arm_row(arm: Mapping[str, Any], *, best: bool) -> Markup:
    if arm["skipped"]:
        return html(
            '<tr><td>{}</td><td colspan="5" class="fr-quiet">Not run: {}</td></tr>', arm["title"], arm["skipped"]
        )
    return html(
        '<tr{}><td><b>{}</b></td><td class="fr-number"><b>{:.1f}</b></td><td class="fr-number">{:.1f} to {:.1f}</td>'
        '<td class="fr-number">{:,.0f}</td><td class="fr-number">{}</td><td class="fr-number">{}</td></tr>',
        Markup(' class="fr-best"') if best else "",
        arm["title"],
        100 * arm["score"],
        100 * arm["interval"][0],
        100 * arm["interval"][1],
        arm["tokens_per_request"],
        duration(arm["seconds_per_request"]),
        duration(arm["setup_seconds"]),
    )


def pairs_table(result: Mapping[str, Any]) -> Markup:
    """Each pair of arms on the same rows: the difference in points, and whether it is more than noise."""
    titles = {arm["name"]: arm["title"] for arm in result["arms"]}
    if not result["pairs"]:
        return empty("Pairs appear when two approaches or more were run.")
    heads = Markup(
        '<th>Pair</th><th class="fr-number">Difference</th><th class="fr-number">95% interval</th><th>Reading</th>'
    )
    return _table(heads, joined(_pair_row(pair, titles) for pair in result["pairs"]))


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


def _table(heads: Markup, rows: Markup) -> Markup:
    return html(
        '<div class="fr-scroll"><table class="fr-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        heads,
        rows,
    )

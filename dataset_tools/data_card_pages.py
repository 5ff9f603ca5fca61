"""A data card as Markdown and as one HTML page. Plots are small static drawings (SVG): no script, nothing is loaded."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence

from dataset_tools.data_card import NOT_STATED, NOT_TOLD, Bin, DataCard, Lengths

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_VERDICTS = {"train": "Ready to train", "fix_first": "Fix first", "do_not_train": "Do not train on this"}
_LABELS_DRAWN = 30
_LANGUAGE_SHARE = 0.05  # of the rows whose language is told, from which on a language is named in the metadata
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 220, 52, 34
_ROW = 22
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1f24; --dim: #5c6470; --line: #d8dce2; --bar: #3b6fb6; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaee; --dim: #a0a8b4; --line: #3a404a; --bar: #7aa7e0; --paper: #16181d; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 46rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
h1 { line-height: 1.2; } h2 { margin-top: 2rem; } p.dim, .dim { color: var(--dim); }
svg { width: 100%; height: auto; } svg rect { fill: var(--bar); } svg text { fill: var(--dim); font-size: 12px; }
svg line { stroke: var(--line); }
"""


def to_markdown(card: DataCard) -> str:
    """The card as Markdown."""
    parts = [_front_matter(card), f"# {_inline(card.title)}", ""]
    if card.description:
        parts += [card.description.strip(), ""]
    parts += [f"**{_VERDICTS.get(card.verdict, card.verdict)}.** {_summary(card)}", "", *_table(_facts(card)), ""]
    parts += ["## Lengths", "", *_table(_length_rows(card), heading=_LENGTH_HEADING), ""]
    for name, lengths in _lengths(card):
        parts += [f"### {name}", "", *_table(_bin_rows(lengths), heading=("from", "rows")), ""]
    if card.labels is not None:
        parts += ["## Labels", "", _labels_note(card), "", *_table(_counted(card.labels, card.rows)), ""]
    if card.languages:
        total = sum(card.languages.values())
        parts += ["## Languages", "", _languages_note(total), "", *_table(_counted(card.languages, total)), ""]
    parts += ["## Findings", "", *(_table(_finding_rows(card), heading=_FINDING_HEADING) or ["Nothing was found."]), ""]
    parts += [f"- {_inline(line)}" for line in _skipped(card)]
    return "\n".join(parts).rstrip() + "\n"


def to_html(card: DataCard) -> str:
    """The card as one page."""
    body = [f"<h1>{_escaped(card.title)}</h1>"]
    if card.description:
        body += [f"<p>{_escaped(card.description)}</p>"]
    verdict = _escaped(_VERDICTS.get(card.verdict, card.verdict))
    body += [f"<p><strong>{verdict}.</strong> {_escaped(_summary(card))}</p>", _html_table(_facts(card))]
    body += ["<h2>Lengths</h2>", _html_table(_length_rows(card), heading=_LENGTH_HEADING)]
    for name, lengths in _lengths(card):
        body += [f"<h3>{_escaped(name)}</h3>", histogram_svg(lengths.bins, title=name)]
    if card.labels is not None:
        body += ["<h2>Labels</h2>", f"<p>{_escaped(_labels_note(card))}</p>", bars_svg(card.labels, title="Labels")]
    if card.languages:
        note = _languages_note(sum(card.languages.values()))
        body += ["<h2>Languages</h2>", f"<p>{_escaped(note)}</p>", bars_svg(card.languages, title="Languages")]
    rows = _finding_rows(card)
    body += ["<h2>Findings</h2>", _html_table(rows, heading=_FINDING_HEADING) if rows else "<p>Nothing was found.</p>"]
    body += [f'<p class="dim">{_escaped(line)}</p>' for line in _skipped(card)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    title = f"<title>{_escaped(card.title)}</title>"
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}{title}</head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def histogram_svg(bins: Sequence[Bin], *, title: str) -> str:
    """A histogram of lengths, each bar with its numbers as a tooltip."""
    most = max(bin.count for bin in bins)
    width = (_WIDTH - _LEFT) / len(bins)
    height = _HEIGHT - _BOTTOM - 8
    drawn = []
    for place, bin in enumerate(bins):
        tall = height * bin.count / most
        left, top = _LEFT + place * width, 8 + height - tall
        drawn.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(width - 1, 1):.1f}" height="{tall:.1f}">'
            f"<title>{_span(bin)}: {bin.count:,} rows</title></rect>"
        )
        if bin.high is None:
            drawn.append(f'<text x="{_WIDTH}" y="{_HEIGHT - 14}" text-anchor="end">{bin.low:,}+</text>')
        elif place % max(1, len(bins) // 6) == 0 and left < _WIDTH - 2 * _LEFT:
            drawn.append(f'<text x="{left:.1f}" y="{_HEIGHT - 14}">{bin.low:,}</text>')
    drawn.append(f'<line x1="{_LEFT}" y1="{8 + height}" x2="{_WIDTH}" y2="{8 + height}"/>')
    drawn.append(f'<text x="{_LEFT - 6}" y="18" text-anchor="end">{most:,}</text>')
    return _svg(_HEIGHT, drawn, title)


def bars_svg(counts: Mapping[str, int], *, title: str) -> str:
    """A bar for each name with its count; at most 30 of them."""
    shown = list(counts.items())[:_LABELS_DRAWN]
    most = max((count for _, count in shown), default=1)
    left, right = 200, 70
    drawn = []
    for place, (name, count) in enumerate(shown):
        top = place * _ROW
        wide = (_WIDTH - left - right) * count / most
        short = name if len(name) <= 28 else name[:27] + "\u2026"
        drawn.append(f'<text x="{left - 8}" y="{top + 15}" text-anchor="end">{_escaped(short)}</text>')
        drawn.append(
            f'<rect x="{left}" y="{top + 3}" width="{max(wide, 1):.1f}" height="{_ROW - 6}">'
            f"<title>{_escaped(name)}: {count:,} rows</title></rect>"
        )
        drawn.append(f'<text x="{left + wide + 6:.1f}" y="{top + 15}">{count:,}</text>')
    return _svg(_ROW * len(shown), drawn, title)


_LENGTH_HEADING = ("", "mean", "least", "5%", "median", "95%", "most")
_FINDING_HEADING = ("severity", "check", "what", "rows")


def _facts(card: DataCard) -> list[tuple[str, ...]]:
    facts = [
        ("file", f"{card.file} ({card.bytes:,} bytes, {card.container}, {card.encoding})"),
        ("SHA-256", card.sha256),
        ("format", card.format),
        ("licence", card.licence),
        ("rows", f"{card.rows:,} usable of {card.records:,}"),
        ("messages", ", ".join(f"{count:,} {role}" for role, count in card.messages.items())),
        ("task", f"{card.task}: {card.task_why}"),
        ("duplicates", f"{card.exact_duplicates:,} exact, {card.near_duplicates:,} near"),
    ]
    if card.groups:
        facts.append(("groups", f"{card.groups:,}"))
    if card.tokens is not None:
        about = "about " if card.tokens.estimated else ""
        counted = f"{about}{card.tokens.total:,}, of which {card.tokens.trained:,} are trained"
        facts.append(("tokens", f"{counted} (tokenizer {card.tokens.tokenizer})"))
    return [(name, value) for name, value in facts]


def _summary(card: DataCard) -> str:
    errors = sum(finding.severity == "error" for finding in card.findings)
    warnings = sum(finding.severity == "warning" for finding in card.findings)
    return f"{card.rows:,} rows; kinds of errors: {errors}, of warnings: {warnings}."


def _lengths(card: DataCard) -> Iterator[tuple[str, Lengths]]:
    yield "Prompts, characters", card.prompts
    yield "Answers, characters", card.answers
    if card.tokens is not None:
        yield "Rows, tokens", card.tokens.rows


def _length_rows(card: DataCard) -> list[tuple[str, ...]]:
    return [
        (name, f"{x.mean:,}", f"{x.least:,}", f"{x.p5:,}", f"{x.median:,}", f"{x.p95:,}", f"{x.most:,}")
        for name, x in _lengths(card)
    ]


def _bin_rows(lengths: Lengths) -> list[tuple[str, ...]]:
    return [(_span(bin), f"{bin.count:,}") for bin in lengths.bins]


def _span(bin: Bin) -> str:
    return f"{bin.low:,} and more" if bin.high is None else f"{bin.low:,} to {bin.high - 1:,}"


def _counted(counts: Mapping[str, int], total: int) -> list[tuple[str, ...]]:
    return [(name, f"{count:,}", f"{100 * count / max(total, 1):.1f}%") for name, count in counts.items()]


def _finding_rows(card: DataCard) -> list[tuple[str, ...]]:
    return [(finding.severity, finding.check, finding.title, f"{finding.count:,}") for finding in card.findings]


def _labels_note(card: DataCard) -> str:
    shown = len(card.labels or {})
    more = f"; the {shown} most frequent are shown" if card.label_count > shown else ""
    return f"{card.label_count:,} different answers{more}."


def _languages_note(rows: int) -> str:
    return f"Guessed from the answers, or the questions, of {rows:,} rows; short texts are not told."


def _skipped(card: DataCard) -> list[str]:
    """The checks that were not run, by the reason why."""
    by_reason: dict[str, list[str]] = {}
    for line in card.skipped:
        check, _, reason = line.partition(": ")
        by_reason.setdefault(reason, []).append(check)
    return [f"Skipped, as {reason}: {', '.join(checks)}." for reason, checks in by_reason.items()]


def _front_matter(card: DataCard) -> str:
    """The metadata that the Hugging Face hub reads (its dataset card specification)."""
    told = {name: count for name, count in (card.languages or {}).items() if name != NOT_TOLD}
    total = sum(told.values())
    size = next((name for limit, name in _SIZES if card.rows < limit), "n>1M")
    lines = ["---"]
    if card.licence != NOT_STATED:
        lines.append(f"license: {json.dumps(card.licence)}")
    named = [name for name, count in told.items() if count >= _LANGUAGE_SHARE * total]
    if named:
        lines += ["language:", *(f"- {json.dumps(name)}" for name in named)]
    return "\n".join([*lines, "size_categories:", f"- {json.dumps(size)}", "---", ""])


def _table(rows: Sequence[Sequence[str]], *, heading: Sequence[str] = ()) -> list[str]:
    if not rows:
        return []
    heading = heading or [""] * len(rows[0])
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(_inline(cell) for cell in line) + " |" for line in lines]


def _inline(text: str) -> str:
    """A text that stays in its place in Markdown: one line, no markup of its own."""
    line = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{char}" if char in "\\`*_[]|#~" else char for char in line)


def _html_table(rows: Sequence[Sequence[str]], *, heading: Sequence[str] = ()) -> str:
    lines = []
    if heading:
        lines.append("<tr>" + "".join(f"<th>{_escaped(cell)}</th>" for cell in heading) + "</tr>")
    lines += ["<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _svg(height: int, drawn: Sequence[str], title: str) -> str:
    opening = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_escaped(title)}">'
    return opening + "".join(drawn) + "</svg>"


def _escaped(text: str) -> str:
    """Text for HTML; half a character, which no page can hold, as its escape."""
    return html.escape(text.encode("utf-8", errors="backslashreplace").decode(), quote=True)

"""What the tools of the Data page did, for people: changes, splits, conversions, lengths. Pure functions to HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from markupsafe import Markup

from app.components.cards import banner, link, tiles
from app.components.markup import NOTHING, counted, html, joined, shortened
from app.workspace import Project
from dataset_tools.conversion import Conversion
from dataset_tools.data_card import DataCard, Lengths
from dataset_tools.data_card_pages import bars_svg, histogram_svg
from dataset_tools.split_files import SETS, SplitResult

_SAMPLE_SHOWN = 80
_LOSSES = {
    "not held": "left out: the new format has no place for it",
    "not read": "left out: nothing makes use of it",
    "changed": "there in another form",
    "added": "added, as the new format asks for it",
}


def file_link(project: Project, file: str, text: str) -> Markup:
    """A link that downloads a file of a project, named by its place in it."""
    return link(f"/files/{project.id}/{quote(file)}", text)


def links(each: Iterable[Markup]) -> Markup:
    """Links side by side."""
    return html('<div class="fr-links">{}</div>', joined(each))


def changes_card(project: Project) -> Markup:
    """What was done to the rows here, the last first, with what can be downloaded; nothing where nothing was."""
    if not project.history or project.training is None:
        return NOTHING
    last, *before = [f"{change.what}." for change in reversed(project.history)]
    done = ["Last:", last, "Before that:", *before] if before else [last]
    files = [file_link(project, project.training.own, "Download the rows as they are now")]
    rejects = project.history[-1].rejects
    if rejects:
        files.append(file_link(project, rejects, "Download what was left out"))
    text = html("{} {}", " ".join(done), "The file that you brought is kept.")
    return joined([banner("good", "Changed here", text), links(files)])


def split_view(project: Project, result: SplitResult, folder: str) -> Markup:
    """The parts of a split, whether they leak, and their files; ``folder`` is where they lie in the project."""
    facts: list[tuple[str, object]] = [(f"{name} rows", f"{count:,}") for name, count in result.counts.items() if count]
    if result.group_by:
        facts.append(("groups", f"{sum(result.groups.values()):,}"))
    left_out = [
        f"{counted(result.duplicates, 'duplicate')}" if result.duplicates else "",
        f"{counted(result.unusable, 'row')} with errors" if result.unusable else "",
    ]
    told = ", ".join(filter(None, left_out))
    leaks = (
        banner("good", "No leak", "No prompt, near-copy of one, or group stands in two parts.")
        if result.leaks.is_clean
        else banner("bad", "These parts leak", "Rows of one part stand in another; see split.json.")
    )
    note = html('<p class="fr-quiet fr-note">Left out: {}.</p>', told) if told else NOTHING
    files = [file_link(project, f"{folder}/{path.name}", f"Download {path.name}") for path in result.files.values()]
    files.append(file_link(project, f"{folder}/split.json", "Download split.json"))
    return joined([tiles(facts), leaks, note, _labels(result), links(files)])


def _labels(result: SplitResult) -> Markup:
    """How many rows of each answer the parts have, where answers are labels."""
    if not result.labels:
        return NOTHING
    names = list(dict.fromkeys(label for counts in result.labels.values() for label in counts))
    parts = [name for name in SETS if result.counts.get(name)]
    heads = joined(html('<th class="fr-number">{}</th>', name) for name in parts)
    rows = joined(
        html(
            "<tr><td>{}</td>{}</tr>",
            shortened(name, _SAMPLE_SHOWN),
            joined(html('<td class="fr-number">{:,}</td>', result.labels[part].get(name, 0)) for part in parts),
        )
        for name in names
    )
    table = html(
        '<div class="fr-scroll"><table class="fr-table"><thead><tr><th>Answer</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        heads,
        rows,
    )
    return html('<details class="fr-fold"><summary>Answers in each part</summary>{}</details>', table)


def conversion_view(project: Project, result: Conversion, folder: str) -> Markup:
    """What a conversion wrote and what did not survive, with its files."""
    read, written = (name.replace("_", " ") for name in (result.read_as, result.written_as))
    mapped = f" ({'; '.join(result.mapped)})" if result.mapped else ""
    text = f"Read as {read}{mapped}."
    text += f" {counted(result.rejected, 'row')} could not be written; the rejects say why." if result.rejected else ""
    head = banner(
        "warn" if result.rejected or result.losses else "good",
        f"{counted(result.written, 'row')} written as {written}",
        text,
    )
    files = [file_link(project, f"{folder}/{result.target.name}", f"Download {result.target.name}")]
    if result.rejects is not None:
        files.append(file_link(project, f"{folder}/{result.rejects.name}", "Download the rejects"))
    return joined([head, _losses(result), links(files)])


def _losses(result: Conversion) -> Markup:
    if not result.losses:
        return html('<p class="fr-quiet fr-note">{}</p>', "Nothing was lost: every field is in the new file.")
    rows = joined(
        html(
            '<tr><td><b>{}</b></td><td>{}</td><td class="fr-number">{:,}</td><td>{}</td></tr>',
            loss.path,
            _LOSSES.get(loss.kind, loss.kind),
            loss.rows,
            shortened(str(loss.sample), _SAMPLE_SHOWN),
        )
        for loss in result.losses
    )
    heads = Markup('<th>Field</th><th>What became of it</th><th class="fr-number">Rows</th><th>For example</th>')
    return html(
        '<div class="fr-scroll"><table class="fr-table fr-losses"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        heads,
        rows,
    )


def lengths_view(card: DataCard) -> Markup:
    """How long prompts and answers are, and how often each label comes."""
    drawn: list[tuple[str, Lengths]] = [
        ("Prompts, in characters", card.prompts),
        ("Answers, in characters", card.answers),
    ]
    if card.tokens is not None:
        drawn.append((f"Whole rows, in tokens of {card.tokens.tokenizer}", card.tokens.rows))
    charts = [
        _chart(title, _in_words(lengths), Markup(histogram_svg(lengths.bins, title=title))) for title, lengths in drawn
    ]
    if card.labels:
        shown = f"the {len(card.labels)} most frequent of " if card.label_count > len(card.labels) else ""
        bars = Markup(bars_svg(card.labels, title="Answers"))
        charts.append(_chart("Answers, by how often they come", f"{shown}{card.label_count:,} different", bars))
    return html('<div class="fr-charts">{}</div>', joined(charts))


def _chart(title: str, text: str, drawing: Markup) -> Markup:
    return html('<figure class="fr-chart"><figcaption>{}<span>{}</span></figcaption>{}</figure>', title, text, drawing)


def _in_words(lengths: Lengths) -> str:
    return f"half have {lengths.median:,} or fewer, 95% {lengths.p95:,}, the longest {lengths.most:,}"


def token_facts(card: DataCard) -> Markup:
    """The tokens of the file in one line."""
    if card.tokens is None:
        return NOTHING
    about = "about " if card.tokens.estimated else ""
    text = f"{about}{card.tokens.total:,} tokens in all, {card.tokens.trained:,} of them trained"
    return html('<p class="fr-quiet fr-note">{}.</p>', f"{text[:1].upper()}{text[1:]}")


def choices_of(fields: Sequence[str]) -> list[tuple[str, str]]:
    """Columns for a dropdown: what is shown, and the value."""
    return [(shortened(field, _SAMPLE_SHOWN), field) for field in fields]

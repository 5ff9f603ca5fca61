"""What every page has: the header with the promise and the journey, the theme, and addresses of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from app.components.markup import html, joined

PROMISE = "Find out on your own examples whether to prompt, retrieve or fine-tune, before you commit to one."
PAGES = (
    ("data", "Data", "Bring examples"),
    ("build", "Build", "Or write your own"),
    ("compare", "Compare", "Measure approaches"),
    ("train", "Train", "Tune a model"),
    ("evaluate", "Evaluate", "Read the answers"),
)
_STYLES = ("style", "build", "data", "train", "compare", "evaluate")
CSS = tuple(Path(__file__).parent / f"{name}.css" for name in _STYLES)


def address(page: str, **ids: str | None) -> str:
    """The address of a page, with the ids of what it shall show."""
    query = urlencode({key: value for key, value in ids.items() if value})
    return ("/" if page == "data" else f"/{page}") + (f"?{query}" if query else "")


def header(active: str, **ids: str | None) -> Markup:
    """The top of a page: name, promise, and the steps as links that keep the project."""
    steps = joined(
        html(
            '<a class="fr-step{}" href="{}"{}><i>{}</i><b>{}</b><span>{}</span></a>',
            " fr-active" if page == active else "",
            address(page, **ids),
            Markup(' aria-current="page"') if page == active else "",
            number,
            title,
            about,
        )
        for number, (page, title, about) in enumerate(PAGES, 1)
    )
    return html(
        '<header class="fr-header"><div class="fr-name"><a href="{}">Fitting Room</a><p>{}</p></div>'
        '<span class="fr-local" title="The models run here; nothing is sent anywhere.">'
        "Everything stays on your machine</span>"
        '<nav class="fr-steps" aria-label="Steps">{}</nav></header>',
        address("data", **ids),
        PROMISE,
        steps,
    )


def theme() -> Any:
    """Gradio's plain theme with our colours and the system's fonts; none is fetched from elsewhere."""
    import gradio as gr

    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=fonts,
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill_dark="#121a2c",  # --fr-card and --fr-soft of style.css
        input_background_fill_dark="#1a2439",
        link_text_color="*primary_700",
        link_text_color_hover="*primary_800",
        link_text_color_dark="*primary_400",
        link_text_color_hover_dark="*primary_300",
        block_radius="12px",
        block_shadow="none",
        block_border_width="1px",
        block_label_text_weight="500",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",  # white on 600 has a contrast of 3.7 only (WCAG asks 4.5)
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )

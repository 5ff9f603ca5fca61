"""The end of a finished run: what it has learnt, made into something to use elsewhere, proven, and handed over."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from app.components.actions import Act, acting_html, on_act
from app.components.exporting import Offer, attempt_view, made_view, offers_view
from app.exports import FORMS, WORKER, Form, form_named, made_of, usual_folder
from app.jobs import Job
from app.pages.train.section import PageParts, Section, Updates, View
from app.run_reading import has_artefact, known_runs, recipe_of, state_to_tell, status_of
from dataset_tools.errors import FittingRoomError, ModelError, UsageError
from training.export import attempts
from training.export.merged import is_mergeable
from training.export.sizes import SHARE_OF_16_BIT, adapter_bytes, model_bytes
from training.export.turn import WAITING
from training.home import home
from training.models.catalogue import CATALOGUE
from training.recipe import Recipe
from training.runs import locks
from training.runs.folder import RunFolder

_SIZES = "size of the model"


class ExportSection(Section):
    """What a run can be exported to, how the export goes, and what it has made."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        self.offers = acting_html(elem_id="exports")
        self.progress = acting_html(elem_id="exporting")
        self.made = gr.HTML(elem_id="exported")
        self.outputs = [self.offers, self.progress, self.made]
        self._sizes: dict[str, int] = {}

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        for part in (self.offers, self.progress):
            on_act(part, self.act, inputs=[parts.view], **parts.base)

    def show(self, view: View) -> Updates:
        """The whole section; nothing of a run that has made nothing, or is at work."""
        run = self.parts.run(view)
        recipe = recipe_of(run) if run is not None else None
        if run is None or recipe is None or not can_be_exported(run):
            return dict.fromkeys(self.outputs, "")
        attempt, made = attempts.last_attempt(run), made_of(run)
        there = {each.form for each in made if each.usual}
        size = self.size(recipe)
        offers = [
            Offer(form, expected_bytes(form, run, size), why_not(form, run, recipe), form in there) for form in FORMS
        ]
        changed = float(status_of(run).get("ended") or 0)
        return {
            self.offers: offers_view(offers, busy=attempt is not None and attempt.running),
            self.progress: attempt_view(attempt, now=time.time()),
            self.made: made_view(made, run=run.path.name, changed=changed),
        }

    def act(self, act: Act, view: View) -> Updates:
        """A button of the section."""
        run = self.parts.run(view)
        if run is None:
            raise UsageError("There is no such run any more.", next_step="Choose another one from all runs.")
        if act.do == "export":
            self._start(run, form_named(act.get("form")))
            return self.parts.show(view)  # which also looks more often from now on
        if act.do == "stop-export":
            attempts.stop(run)
        return self.show(view)

    def at_work(self, view: View) -> bool:
        """Whether the run of the page is being exported."""
        run = self.parts.run(view)
        return run is not None and is_being_exported(run)

    def size(self, recipe: Recipe) -> int | None:
        """Bytes of the run's model in 16 bits; None until that was read from the base's configuration.

        Of a model that is not in the catalogue it is read in a thread: the libraries are loaded for it, and it may be
        one of the hub.
        """
        name = recipe.model
        if any(entry.id == name for entry in CATALOGUE):
            return model_bytes(recipe)

        def work(job: Job) -> None:
            with contextlib.suppress(ModelError):
                self._sizes[name] = model_bytes(recipe)

        if name not in self._sizes and self.parts.jobs.get((name, _SIZES)) is None:
            with contextlib.suppress(UsageError):  # another page began it just now
                self.parts.jobs.start((name, _SIZES), Job("size"), work)
        return self._sizes.get(name)

    def _start(self, run: RunFolder, form: Form | None) -> None:
        if form is None or not can_be_exported(run):
            raise UsageError("This button does not belong to the page any more.", next_step="Reload the page.")
        folder = usual_folder(run.path.name, form.to, form.quantization)
        attempts.start(run, form.to, quantization=form.quantization, folder=folder, worker=WORKER)


def can_be_exported(run: RunFolder) -> bool:
    """Whether a run has ended, and made something."""
    return state_to_tell(run) in ("done", "stopped") and has_artefact(run)


def is_being_exported(run: RunFolder) -> bool:
    """Whether an export of a run goes on."""
    attempt = attempts.last_attempt(run)
    return attempt is not None and attempt.running


def on_the_accelerator() -> list[str]:
    """The runs whose exports hold the machine's one place, for which trainings wait."""
    if not locks.is_taken(home() / "accelerator.lock"):
        return []
    found = [(run.path.name, attempts.last_attempt(run)) for run in known_runs()]
    return [name for name, attempt in found if attempt and attempt.running and attempt.phase != WAITING]


def refuse_while_exported(run: RunFolder) -> None:
    """Refuse to change a run that is being exported.

    Raises:
        UsageError: it is.
    """
    if is_being_exported(run):
        raise UsageError(
            "This run is being exported.", where=str(run.path), next_step="Wait until that has ended, or stop it."
        )


def expected_bytes(form: Form, run: RunFolder, model: int | None) -> int | None:
    """About how large an export will be.

    Args:
        form: To what.
        run: The run.
        model: Bytes of its model in 16 bits, where they are known.
    """
    if form.to == "adapter":
        return adapter_bytes(run) or None
    return None if model is None else int(model * (SHARE_OF_16_BIT[form.quantization] if form.to == "gguf" else 1))


def why_not(form: Form, run: RunFolder, recipe: Recipe) -> str:
    """Why a run cannot be exported to this form; empty where it can."""
    if recipe.method == "full":
        return "This run trained the whole model: there is no adapter." if form.to == "adapter" else ""
    with contextlib.suppress(FittingRoomError):  # what cannot be read is told of once it is exported
        if form.to != "adapter" and not is_mergeable(run.adapter):
            return "It trained tokens before the prompt, which cannot be merged into the model's weights."
    return ""

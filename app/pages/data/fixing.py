"""Fixes: all safe ones at a click, or one by one with the rows before and after; and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.checking import Checked, needs_of
from app.components.diffs import plan_view
from app.components.markup import html
from app.components.tool_views import changes_card
from app.components.wiring import on, on_steps
from app.pages.data.section import PageParts, Section, Updates
from app.versions import fixed, own_rows, said_columns, said_reading, undone
from app.workspace import Project
from dataset_tools import Report, UsageError
from dataset_tools.fixes import KINDS, FixPlan, plan_fixes

_YOURS = "What can still be fixed changes what the rows say: open the list below, and tick what you want."
_SAFE = (
    "Safe fixes change no meaning. Rows that cannot be read even then are left out, and listed in a file of rejects. "
    "The file that you brought is kept."
)


class FixSection(Section):
    """The buttons below the findings, and the fold with every fix."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        with gr.Column(visible=False, elem_id="fixing") as self.area:
            with gr.Row(elem_classes="fr-pager"):
                self.safe = gr.Button(
                    "Make all safe fixes", variant="primary", size="sm", min_width=180, scale=0, elem_id="fix-safe"
                )
                self.undo = gr.Button("Undo the last change", size="sm", min_width=180, scale=0, elem_id="undo")
            self.about = gr.HTML()
            self.status = gr.HTML()
            self.changes = gr.HTML(elem_id="changes")
            with gr.Accordion("Fixes one by one, with the rows before and after", open=False, elem_id="fixes") as fold:
                self.fold = fold
                self.plan_status = gr.HTML()
                self.plan = gr.HTML()
                with gr.Column(visible=False) as self.choice:
                    self.chosen = gr.CheckboxGroup([], label="Make these (the safe ones are ticked)", elem_id="chosen")
                    self.drop = gr.Checkbox(False, label="Leave out the rows that still have an error afterwards")
                    self.apply = gr.Button("Apply the ticked fixes", size="sm", min_width=200, scale=0, elem_id="apply")
        self.outputs = [self.area, self.safe, self.about, self.undo, self.changes, self.fold, self.plan, self.choice]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        base: dict[str, Any] = {"notice": parts.notice}
        changing = [*parts.shown, self.status, self.plan_status]
        on_steps(self.safe.click, self.make_safe, inputs=[parts.project], outputs=changing, **base)
        on(self.undo.click, self.take_back, inputs=[parts.project], outputs=parts.shown, **base)
        planned = [self.plan_status, self.plan, self.choice, self.chosen, self.drop]
        on_steps(self.fold.expand, self.plan_all, inputs=[parts.project], outputs=planned, **base)
        chosen = [parts.project, self.chosen, self.drop]
        on_steps(self.apply.click, self.make_chosen, inputs=chosen, outputs=changing, **base)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """Whether there is anything to fix or to undo."""
        import gradio as gr

        found = fixable(checked.report) if checked and checked.report else []
        changed = bool(project and project.history)
        safe = any(kind.safe and kind.check in found for kind in KINDS.values())
        return {
            self.area: gr.Column(visible=bool(found) or changed),
            self.safe: gr.Button(visible=safe),
            self.about: html('<p class="fr-quiet">{}</p>', _SAFE if safe else _YOURS if found else ""),
            self.undo: gr.Button(visible=changed),
            self.changes: changes_card(project) if project else "",
            self.fold: gr.Accordion(open=False, visible=bool(found)),
            self.plan: "",
            self.choice: gr.Column(visible=False),
        }

    def plan_all(self, project_id: str) -> Iterator[Updates]:
        """Show every fix with some rows before and after."""
        import gradio as gr

        project = self.parts.project_of(project_id)
        report = self.parts.checks.of(project, patience=60).report
        found = fixable(report) if report else []
        plan: FixPlan = yield from self.parts.working(
            project,
            self.plan_status,
            "Looking for what can be fixed",
            lambda tell: plan_fixes(
                own_rows(project),
                only=found,  # the others have nothing to do, and looking for that takes long
                columns=said_columns(project),
                reading=said_reading(project),
                needs=needs_of(project),
                progress=tell,
            ),
        )
        choices = [(f"{fix.what} ({fix.check}, {fix.scope})", fix.id) for fix in plan.fixes]
        yield {
            self.plan: plan_view(plan),
            self.choice: gr.Column(visible=bool(plan.fixes or plan.unread)),
            self.chosen: gr.CheckboxGroup(choices=choices, value=[fix.id for fix in plan.fixes if fix.safe]),
            self.drop: False,
        }

    def make_safe(self, project_id: str) -> Iterator[Updates]:
        """Make all fixes that change no meaning."""
        yield from self._make(self.status, project_id, None)

    def make_chosen(self, project_id: str, chosen: Sequence[str], drop_bad: bool) -> Iterator[Updates]:
        """Make the fixes that are ticked."""
        if not chosen and not drop_bad:
            raise UsageError("No fix is ticked.", next_step="Tick those that you want.")
        yield from self._make(self.plan_status, project_id, chosen, drop_bad=drop_bad)

    def _make(
        self, status: Any, project_id: str, fixes: Sequence[str] | None, *, drop_bad: bool = False
    ) -> Iterator[Updates]:
        project = self.parts.project_of(project_id)

        def work(tell: Any) -> Project:
            return fixed(project, fixes, drop_bad=drop_bad, needs=needs_of(project), progress=tell)

        after: Project = yield from self.parts.working(project, status, "Mending the rows", work)
        if after == project:
            raise UsageError(
                "None of these fixes changes a row." if fixes else "There is nothing that can be mended safely.",
                next_step="Look at the fixes one by one, and tick those that you want.",
            )
        yield self.parts.show(after)

    def take_back(self, project_id: str) -> Updates:
        """Undo the last change."""
        return self.parts.show(undone(self.parts.project_of(project_id)))


def fixable(report: Report) -> list[str]:
    """The checks that found something that a program can fix."""
    known = {kind.check for kind in KINDS.values()}
    return [finding.check for finding in report.findings if finding.fix and finding.check in known]

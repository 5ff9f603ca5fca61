"""The export of a finished run on its page: what is offered, how it goes, what came of it, and its files."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.components.actions import Act
from app.components.exporting import MOST_DOWNLOADED, Offer, attempt_view, made_view, offers_view
from app.export_files import add_downloads, file_of
from app.exports import FORMS, Form, Made, form_named, form_of, made_of, usual_folder
from app.pages.train import TrainPage
from app.pages.train.exporting import expected_bytes, on_the_accelerator, why_not
from app.pages.train.section import View
from app.pages.train.watching import waiting_for
from app.workspace import Workspace
from dataset_tools.errors import UsageError
from tests.app.run_folders import RESULT, write_run
from tests.training.export_support import tiny_run
from training.export import ExportError, ExportReport
from training.export.attempts import Attempt, last_attempt, recorded
from training.export.turn import WAITING
from training.recipe import Recipe
from training.runs import locks
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

PROOF: dict[str, Any] = {
    "engine": "transformers",
    "rows": 32,
    "held_out": True,
    "against_adapter": {"next_token": 0.998, "divergence": 0.0, "tokens": 9, "same_answers": 0.97, "common_prefix": 1},
    "scores": {"adapter": 0.9, "artefact": 0.875, "interval": [-0.1, 0.05]},
    "checks": ["the chat template is the base's", "its stop tokens are <|im_end|>"],
}
SERVING = (
    "### vLLM\n\n```bash\nvllm serve . --served-model-name x\n```\n\n"
    "### Ollama\n\nAfter this:\n\n```bash\nollama run x\n```"
)


def attempt(state: str, *phases: str, **values: Any) -> Attempt:
    told = tuple((name, 100.0 + 5 * number) for number, name in enumerate(phases))
    return Attempt("gguf", "q8_0", "/out", state=state, began=100.0, phases=told, **values)


def make_export(run: str, form: Form, *, files: tuple[str, ...] = ("README.md",), **more: Any) -> Path:
    """A folder as an export leaves it."""
    folder = usual_folder(run, form.to, form.quantization)
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("x" * 1000)
    sizes = dict.fromkeys((*files, "../../secret"), 1000)
    values = {"run": run, "kind": form.to, "files": sizes, "notes": ["Take care."], "proof": PROOF, "serving": SERVING}
    (folder / "export.json").write_text(json.dumps({**values, **more}))
    return folder


@pytest.fixture
def run() -> RunFolder:
    """A finished run that is not real."""
    return write_run("a-run", "done", result=RESULT)


@pytest.fixture
def page(fitting_room_home: Path) -> TrainPage:
    import gradio as gr

    page = TrainPage(Workspace(fitting_room_home))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return page


def act(do: str, **data: str) -> Act:
    return Act(do, {"do": do, **data}, {})


def enabled(shown: str) -> list[str]:
    """The forms whose buttons can be clicked."""
    buttons = re.findall(r"<button[^>]*>", shown)
    return [re.findall(r'data-form="(\w+)"', button)[0] for button in buttons if "disabled" not in button]


def test_each_form_is_offered_with_its_purpose_and_its_size_or_why_it_is_not() -> None:
    offers = [Offer(FORMS[0], 2_100_000, made=True), Offer(FORMS[1], 269_000_000), Offer(FORMS[2], reason="<no>")]
    shown = str(offers_view(offers, busy=False))
    assert all(form.title in shown and form.purpose in shown for form in FORMS[:3])
    assert "about 2 MB" in shown and "about 269 MB" in shown and "&lt;no&gt;" in shown
    assert shown.index("Export again") < shown.index(">Export<") and enabled(shown) == ["adapter", "merged"]
    assert enabled(str(offers_view(offers, busy=True))) == []


def test_an_export_that_goes_on_tells_its_phases_and_can_be_stopped() -> None:
    shown = attempt_view(attempt("running", "starting", "merging"), now=130.0)
    assert "GGUF, q8_0" in shown and "Merging" in shown and "30 s" in shown and "now" in shown
    assert 'data-do="stop-export"' in shown and "fr-working" in shown
    waits = attempt_view(attempt("running", "starting", WAITING), now=130.0)
    assert "waits for a training run to end" in waits and "fr-working" not in waits
    assert "GGUF" in attempt_view(attempt("running"), now=130.0)
    assert attempt_view(None, now=0) == attempt_view(attempt("done"), now=0) == ""


def test_an_export_that_came_to_nothing_says_why_and_what_to_do() -> None:
    error = {"kind": "ExportError", "what": "the <proof> failed.", "found": "0.5 nats", "next_step": "Export again."}
    failed = attempt_view(attempt("failed", "merging", error=error), now=130.0)
    assert "The &lt;proof&gt; failed." in failed and "0.5 nats" in failed and "What to do" in failed
    assert "ExportError" not in failed and "stop-export" not in failed
    assert "was stopped" in attempt_view(attempt("stopped"), now=1) and "gone" in attempt_view(
        attempt("interrupted"), now=1
    )


def test_what_was_made_shows_its_proof_its_files_and_how_it_is_served(run: RunFolder) -> None:
    folder = make_export("a-run", FORMS[2], files=("README.md", "Modelfile", "a-run.Q8_0.gguf"))
    (made,) = made_of(run)
    assert set(made.files) == {"README.md", "Modelfile", "a-run.Q8_0.gguf", "export.json"}  # and nothing elsewhere
    shown = made_view([made], run="a-run")
    for text in (
        "proven",
        "97%",
        "99.8%",
        "87.5",
        "90.0 (difference -10.0 to +5.0)",
        "The chat template is",
        "Loaded again with transformers",
        "Take care.",
    ):
        assert text in shown
    assert str(folder) in shown and "vllm serve . --served-model-name x" in shown and "After this:" in shown
    assert "export a-run --to gguf --quantization q8_0 --push ORG/NAME" in shown
    assert 'href="/exported/a-run/q8_0/README.md"' in shown and 'href="/exported/a-run/q8_0.zip"' in shown
    assert "went on after" not in shown and "went on after" in made_view([made], run="a-run", changed=made.at + 1)


def test_files_too_large_for_a_browser_are_named_but_not_offered(run: RunFolder) -> None:
    folder = make_export("a-run", FORMS[1], files=("README.md", "model.safetensors"))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(MOST_DOWNLOADED + 1)  # a hole: it takes no place on the disk
    shown = made_view(made_of(run), run="a-run")
    assert "model.safetensors" in shown and "merged/model.safetensors" not in shown and "merged.zip" not in shown
    assert "merged/README.md" in shown and file_of("a-run", "merged", "model.safetensors") is None


def test_an_export_at_another_place_is_shown_without_its_files_to_download(run: RunFolder, tmp_path: Path) -> None:
    folder = make_export("a-run", FORMS[0])
    folder.rename(tmp_path / "mine")
    made = Made(FORMS[0], tmp_path / "mine", json.loads((tmp_path / "mine" / "export.json").read_text()), 1.0, False)
    shown = made_view([made], run="a-run")
    assert str(tmp_path / "mine") in shown and "/exported/" not in shown and made_of(run) == []


def test_older_and_broken_exports_do_no_harm(run: RunFolder) -> None:
    folder = make_export("a-run", FORMS[0], serving=None)
    assert "stands in its README.md" in made_view(made_of(run), run="a-run")
    for text in (
        "",
        "[]",
        '{"run": "a-run"}',
        '{"run": "a-run", "kind": "adapter", "files": {}, "notes": [], "proof": 1}',
    ):
        (folder / "export.json").write_text(text)
        assert made_of(run) == []
    (folder / "export.json").write_text(json.dumps({"run": "other", "kind": "adapter"}))
    assert made_of(run) == []


def test_sizes_and_reasons_follow_the_method(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"x" * 50)
    (run.adapter / "adapter_config.json").write_text('{"peft_type": "PROMPT_TUNING"}')
    assert [expected_bytes(form, run, 64_000) for form in FORMS] == [50, 64_000, 34_000, 64_000]
    assert [expected_bytes(form, run, None) for form in FORMS] == [50, None, None, None]
    assert [bool(why_not(form, run, Recipe("m", method="prompt"))) for form in FORMS] == [False, True, True, True]
    assert [bool(why_not(form, run, Recipe("m", method="full"))) for form in FORMS] == [True, False, False, False]
    (run.adapter / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert not any(why_not(form, run, Recipe("m")) for form in FORMS)
    assert form_named("nothing") is None and form_of(attempt("done")).name == "q8_0"


def test_a_run_that_is_at_work_or_has_made_nothing_is_not_offered(page: TrainPage) -> None:
    write_run("failed-run", "failed")
    shown = page.run.export.show(View(run="failed-run"))
    assert set(shown.values()) == {""} == set(page.run.export.show(View()).values())
    with pytest.raises(UsageError, match="does not belong"):
        page.run.export.act(act("export", form="adapter"), View(run="failed-run"))
    with pytest.raises(UsageError, match="no such run"):
        page.run.export.act(act("export", form="adapter"), View(run="gone"))


def test_buttons_of_the_section_are_listened_to(page: TrainPage) -> None:
    heard = {target for fn in page.header.parent.fns.values() for target in fn.targets}
    for part in (page.run.export.offers, page.run.export.progress):
        assert (part._id, "submit") in heard


def test_a_run_that_waits_for_an_export_names_it(run: RunFolder) -> None:
    waiting = write_run("b-run", "queued")
    seen: list[list[str]] = []

    def work(tell: Callable[[str], None]) -> ExportReport:
        tell("merging")
        seen.append(waiting_for(waiting, {}))
        with locks.accelerator(my_turn=lambda: True, on_wait=lambda: None):
            seen.append(waiting_for(waiting, {"a-run": "rows.jsonl"}))
        raise ExportError("The proof failed.")

    with pytest.raises(ExportError):
        recorded(run, "merged", quantization="q8_0", folder=Path("/out"), work=work)
    assert seen == [[], ["the export of rows.jsonl (a-run)"]] and on_the_accelerator() == []


def test_an_export_is_made_on_the_page_found_again_and_its_files_are_given(
    page: TrainPage, tiny_model: Path, one_thread: None
) -> None:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    runs_folder().mkdir(parents=True, exist_ok=True)
    run = tiny_run(runs_folder() / "20260101-000000-abcdef", tiny_model)
    view, section = View(run=run.path.name), page.run.export
    shown = page.run.show(view)
    assert enabled(shown[section.offers]) == [form.name for form in FORMS] and shown[section.made] == ""
    started = section.act(act("export", form="adapter"), view)
    assert 'data-export="running"' in started[section.progress] and started[page.timer].value < 5
    with pytest.raises(ExportError, match="exported already"):
        section.act(act("export", form="merged"), view)
    with pytest.raises(UsageError, match="is being exported"):
        page.run.act(act("delete"), view)
    while (found := last_attempt(run)) and found.running:
        time.sleep(0.05)
    assert found is not None and found.state == "done", found
    assert {"starting", "copying the adapter", "moving it into place"} <= {name for name, _ in found.phases}
    shown = page.look(view, {})
    assert shown[section.progress] == "" and "Export again" in shown[section.offers]
    assert "about" in shown[section.offers].split('data-offer="merged"')[1]  # the base was looked at meanwhile
    assert "100%" in shown[section.made] and "Download the model card" in shown[section.made]

    server = FastAPI()
    add_downloads(server)
    client, at = TestClient(server), f"/exported/{run.path.name}"
    assert "## Proof of this export" in client.get(f"{at}/adapter/README.md").text
    with zipfile.ZipFile(io.BytesIO(client.get(f"{at}/adapter.zip").content)) as archive:
        assert f"{run.path.name}-adapter/adapter_model.safetensors" in archive.namelist()
    for wrong in ("merged/README.md", "merged.zip", "adapter/../../x", "adapter/run.json", "nothing/README.md"):
        assert client.get(f"{at}/{wrong}").status_code == 404
    assert client.get("/exported/..%2f..%2fetc/adapter/README.md").status_code == 404

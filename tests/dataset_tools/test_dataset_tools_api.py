from __future__ import annotations

import subprocess
import sys

import dataset_tools


def test_all_names_are_there_and_sorted_out() -> None:
    assert len(set(dataset_tools.__all__)) == len(dataset_tools.__all__)
    assert all(hasattr(dataset_tools, name) for name in dataset_tools.__all__)
    wanted = {
        "lint",
        "load_examples",
        "split",
        "Example",
        "detect_task_type",
        "write_jsonl",
        "resolve_inside",
        "schema",
    }
    assert wanted <= set(dataset_tools.__all__)


def test_importing_and_linting_load_neither_torch_nor_its_company() -> None:
    code = (
        "import sys, tempfile, pathlib, dataset_tools\n"
        "path = pathlib.Path(tempfile.mkdtemp()) / 'rows.csv'\n"
        "path.write_text('prompt,completion\\na,b\\nc,d\\n')\n"
        "dataset_tools.load_examples(path)\n"
        "heavy = {'torch', 'transformers', 'gradio', 'datasets', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

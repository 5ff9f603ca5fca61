"""Checkpoints that are damaged or half-written: never taken for whole, never in the way of an older whole one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from training.runs.checkpoints import MANIFEST, all_of, fault, newest_whole, seal

# In the order in which transformers 5.23 writes them.
FILES = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def checkpoint(place: Path, step: int, *, written: int = len(FILES), sealed: bool = True) -> Path:
    folder = place / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in FILES[:written]:
        (folder / name).write_bytes(f"{name} of step {step} ".encode() * 50)
    if sealed:
        seal(folder, inputs={"train.jsonl": "a" * 64})
    return folder


@pytest.mark.parametrize("written", range(len(FILES) + 1))
def test_a_save_that_ended_between_two_files_is_set_aside_and_the_one_before_is_taken(
    tmp_path: Path, written: int
) -> None:
    place = tmp_path / "checkpoints"
    old = checkpoint(place, 4)
    new = checkpoint(place, 8, written=written, sealed=False)
    found, remarks = newest_whole(place)
    assert found is not None and (found.path, found.step) == (old, 4)
    assert len(remarks) == 1 and "step 8" in remarks[0] and MANIFEST in remarks[0]
    assert not new.exists() and (tmp_path / "checkpoints.bad" / "checkpoint-8").is_dir()
    assert newest_whole(place) == (found, [])


@pytest.mark.parametrize("damage", ["truncated", "one byte flipped", "empty", "missing"])
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_taken(tmp_path: Path, name: str, damage: str) -> None:
    checkpoint(tmp_path, 4)
    file = checkpoint(tmp_path, 8) / name
    whole = file.read_bytes()
    middle = len(whole) // 2
    if damage == "missing":
        file.unlink()
    else:
        changed = {
            "truncated": whole[:middle],
            "one byte flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
        }
        file.write_bytes(changed[damage])
    wrong = fault(file.parent)
    if name == MANIFEST and damage == "one byte flipped":
        assert wrong  # which file it blames depends on the byte
    else:
        assert wrong and name in wrong
    found, remarks = newest_whole(tmp_path)
    assert found is not None and found.step == 4 and wrong in remarks[0]


def test_none_that_is_whole_means_from_the_start(tmp_path: Path) -> None:
    assert newest_whole(tmp_path / "nothing") == (None, [])
    checkpoint(tmp_path, 3, sealed=False)
    found, remarks = newest_whole(tmp_path)
    assert found is None and len(remarks) == 1 and all_of(tmp_path) == {}


def test_a_manifest_says_what_the_checkpoint_was_taken_from_and_leaves_no_pickle_that_nothing_needs(
    tmp_path: Path,
) -> None:
    folder = checkpoint(tmp_path, 3, sealed=False)
    (folder / "training_args.bin").write_bytes(b"\x80\x04")
    seal(folder, inputs={"train.jsonl": "b" * 64, "recipe.rank": "16"})
    assert not (folder / "training_args.bin").exists()
    assert set(json.loads((folder / MANIFEST).read_text())["files"]) == set(FILES)
    found, _ = newest_whole(tmp_path)
    assert found is not None and found.inputs == {"train.jsonl": "b" * 64, "recipe.rank": "16"}


def test_a_second_one_of_the_same_step_that_is_not_whole_takes_the_place_of_the_first_that_was_set_aside(
    tmp_path: Path,
) -> None:
    place = tmp_path / "checkpoints"
    checkpoint(place, 8, sealed=False)
    newest_whole(place)
    checkpoint(place, 8, written=1, sealed=False)
    newest_whole(place)
    assert len(list((tmp_path / "checkpoints.bad" / "checkpoint-8").iterdir())) == 1
    shutil.rmtree(tmp_path / "checkpoints.bad")

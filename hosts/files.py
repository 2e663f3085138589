"""Small files below KVMWEB_VAR that several processes may want to write at the same time."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def make_once(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Make the file unless it is there; whoever comes second keeps what the first one wrote."""
    temporary = _written(path, content, mode)
    try:
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def keep(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Have the file hold `content`: replaced in one instant, or not touched when it does already."""
    with suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    _written(path, content, mode).replace(path)


def private_directory(path: Path) -> Path:
    """The directory, made for its owner alone where it is missing."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _written(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
    return temporary

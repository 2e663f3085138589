"""Fixtures of the storage tests."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.upload_site import Site


@pytest.fixture(scope="module")
def small_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a file system of its own, of 40 MiB."""
    path = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, small_pool: Path) -> Iterator[Site]:
    """A running upload server with users ann and bob (operators), vic (viewer), root (administrator) and nil."""
    running = Site(tmp_path_factory.mktemp("site"), small_pool)
    running.start()
    yield running
    running.kill()

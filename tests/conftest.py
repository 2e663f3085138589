"""Fixtures that every room's tests share."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser

from accounts.models import ApiToken, Grant, User
from hosts.models import Host
from tests.apart import chromium_apart


def pytest_unconfigure() -> None:
    if settings.VAR.name.startswith("kvmweb-tests-"):  # made by tests.settings, not somebody's installation
        shutil.rmtree(settings.VAR, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `database` what asks it: nothing else can go another way on PostgreSQL."""
    for item in items:
        if {"db", "transactional_db"} & {*getattr(item, "fixturenames", ())} or item.get_closest_marker("django_db"):
            item.add_marker("database")


@pytest.fixture
def virsh():
    """Ask libvirt with a program that is not ours: `virsh("domstate", "web-01")` gives its output, stripped."""

    def run(*words: str, check: bool = True) -> str:
        done = subprocess.run(["virsh", "-q", *words], capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"virsh {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    return run


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Not longer than a module: Playwright's event loop would stand in the way of the next one's."""
    with chromium_apart() as browser:
        yield browser


@pytest.fixture
def admin(db) -> User:
    """An administrator of everything."""
    user = User.objects.create_user("admin-of-tests", password="correct horse battery")
    Grant.objects.create(user=user, role=Grant.Role.ADMINISTRATOR)
    return user


@pytest.fixture
def operator(db) -> User:
    user = User.objects.create_user("operator-of-tests", password="correct horse battery")
    Grant.objects.create(user=user, role=Grant.Role.OPERATOR)
    return user


@pytest.fixture
def viewer(db) -> User:
    user = User.objects.create_user("viewer-of-tests", password="correct horse battery")
    Grant.objects.create(user=user, role=Grant.Role.VIEWER)
    return user


@pytest.fixture
def stranger(db) -> User:
    """Somebody who may log in and has been granted nothing."""
    return User.objects.create_user("stranger-of-tests", password="correct horse battery")


@pytest.fixture
def bearer(admin):
    """Headers for Django's test client that carry an administrator's API token."""
    _token, secret = ApiToken.issue(admin, "tests", ApiToken.Scope.ADMINISTER)
    return {"HTTP_AUTHORIZATION": f"Bearer {secret}"}


@pytest.fixture
def local_host(db) -> Host:
    """The machine's own libvirt as a connected host."""
    return Host.objects.create(name="local", uri="qemu:///system", state=Host.State.CONNECTED, cpus=2, memory_mib=8192)

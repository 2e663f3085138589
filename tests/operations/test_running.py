"""One whole kvmweb: who it runs as, what a second start does, what comes back by itself."""

import os
import pwd
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, running_stack

pytestmark = pytest.mark.stack
PROCESSES = ["redis", "helper", "web", "worker", "scheduler", "watcher"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as running:
        yield running


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def eventually(is_so: Callable[[], bool], timeout_s: float = 30) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.2)
    return False


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def supervisor(stack: Stack) -> int:
    return int((stack.var / "supervisor" / "supervisord.pid").read_text())


def user_of(pid: int) -> str:
    return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name


def test_it_answers_and_says_that_it_is_ready(stack: Stack) -> None:
    assert status(stack.base_url + "healthz") == 200
    assert status(stack.base_url + "readyz") == 200
    said = stack.script("status")
    assert said.returncode == 0
    assert stack.base_url in said.stdout
    assert all(re.search(rf"{process}\s+(RUNNING|STARTING)", said.stdout) for process in PROCESSES)


def test_a_second_start_changes_nothing(stack: Stack) -> None:
    before = {process: stack.pid(process) for process in PROCESSES}
    secret = (stack.var / "secret-key").read_text()
    began = time.monotonic()
    said = stack.start()
    assert time.monotonic() - began < 5
    assert f"runs already: {stack.base_url}" in said
    assert {process: stack.pid(process) for process in PROCESSES} == before
    assert (stack.var / "secret-key").read_text() == secret


def test_only_the_supervisor_and_the_helper_are_root(stack: Stack) -> None:
    root = {pid for pid in family(supervisor(stack)) if user_of(pid) == "root"}
    assert root == {supervisor(stack), stack.pid("helper")}
    assert {user_of(pid) for process in ("web", "worker", "redis") for pid in family(stack.pid(process))} == {"kvmweb"}


def test_the_only_port_is_the_one_of_the_web_process(stack: Stack) -> None:
    listening = subprocess.run(["ss", "-Hltnup"], capture_output=True, text=True, check=True).stdout
    ours = set(family(supervisor(stack)))
    ports = [
        line.split()[4] for line in listening.splitlines() if ours & {int(p) for p in re.findall(r"pid=(\d+)", line)}
    ]
    assert ports == [f"127.0.0.1:{stack.port}"]


@pytest.mark.parametrize("secret", ["secret-key", "admin-password"])
def test_secrets_are_for_kvmweb_alone(stack: Stack, secret: str) -> None:
    file = (stack.var / secret).stat()
    assert (pwd.getpwuid(file.st_uid).pw_name, oct(file.st_mode & 0o777)) == ("kvmweb", "0o600")


def test_kvmweb_cannot_replace_what_root_runs(stack: Stack) -> None:
    """Who breaks into the web process must not get the supervisor, which is root, to run something else."""
    for command in (["mv", "supervisor", "other"], ["mv", "log", "other"], ["ls", "supervisor"], ["ls", "log"]):
        as_kvmweb = ["setpriv", "--reuid=kvmweb", "--regid=kvmweb", "--init-groups", *command]
        assert subprocess.run(as_kvmweb, cwd=stack.var, capture_output=True).returncode != 0, command


def test_processes_have_nothing_of_roots_environment(stack: Stack) -> None:
    for process in PROCESSES:
        words = Path(f"/proc/{stack.pid(process)}/environ").read_bytes().split(b"\0")
        names = {word.partition(b"=")[0].decode() for word in words if word}
        strange = {name for name in names if not name.startswith(("KVMWEB_", "SUPERVISOR_"))}
        assert strange <= {
            "PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "DJANGO_SETTINGS_MODULE", "PYTHONUNBUFFERED",
            "MALLOC_ARENA_MAX", "CELERY_SKIP_CHECKS", "TZ", "SERVER_SOFTWARE", "CELERY_LOADER",
            "FORKED_BY_MULTIPROCESSING",
        }  # fmt: skip


def test_a_process_that_dies_comes_back(stack: Stack) -> None:
    before = stack.pid("web")
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: stack.pid("web") not in (0, before) and status(stack.base_url + "readyz") == 200)


def test_manage_works_on_the_same_database(stack: Stack) -> None:
    token = stack.manage("create_token", "--user", "admin", "--name", "operations").splitlines()[-1]
    request = urllib.request.Request(stack.base_url + "api/v1/hosts", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_idle_memory_of_all_processes_is_below_450_mib(stack: Stack) -> None:
    def pss_kib(pid: int) -> int:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE).group(1))  # type: ignore[union-attr]

    assert sum(pss_kib(pid) for pid in family(supervisor(stack))) / 1024 < 450


def test_another_stack_runs_beside_it(stack: Stack) -> None:
    with running_stack() as other:
        assert status(other.base_url + "readyz") == 200
        assert status(stack.base_url + "readyz") == 200
        assert other.admin_password != stack.admin_password
    assert status(stack.base_url + "readyz") == 200

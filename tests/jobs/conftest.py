"""Jobs that change nothing but a list in memory."""

import pytest

from jobs import tasks
from jobs.undo import undo

taken_back: list[str] = []
made: list[str] = []


@undo("tests.remove")
def remove(*, name: str) -> None:
    if name == "stubborn":
        raise OSError("it does not come off")
    taken_back.append(name)


@tasks.job_task()
def make_things(job, *, names, fail_with=""):
    for number, name in enumerate(names):
        job.step(f"Making {name}", done=number, total=len(names))
        job.undo("tests.remove", name=name)
        made.append(name)
    if fail_with:
        from virt.errors import PoolFull

        raise {"user": PoolFull("The pool is full.", details="ENOSPC"), "bug": ZeroDivisionError("x")}[fail_with]
    return {"made": len(names)}


@pytest.fixture(autouse=True)
def clean_lists():
    taken_back.clear()
    made.clear()

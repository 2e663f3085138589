"""Which kinds of jobs can be started once more as they were, and how. See JobTask.again."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accounts.models import User

    from .models import Job

Again = Callable[["Job", "User"], "Job"]
_again: dict[str, Again] = {}


def register(task: str, again: Again) -> None:
    """Have jobs of that task started again by `again`."""
    _again[task] = again


def way_for(task: str) -> Again | None:
    """How a job of that task is started again; None where it is not."""
    return _again.get(task)

"""What a host needs before guests can be made on it.

Rooms above add their steps in a module `preparation` of their own, which is found by that name; the job `prepare_host`
makes them.
"""

from collections.abc import Callable
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.module_loading import autodiscover_modules

from jobs.tasks import RunningJob
from virt.connection import Connection

from .models import Host

StepFunction = Callable[[RunningJob, Host, Connection], None]


class Step(NamedTuple):
    """`title` says what happens, "Setting up the pools". When a `needed` step fails, so does the job, at its end."""

    title: str | Promise
    needed: bool
    make: StepFunction


_steps: list[Step] = []


def step(title: str | Promise, *, needed: bool) -> Callable[[StepFunction], StepFunction]:
    """Register a step. It must be safe to repeat, change nothing that is there, and raise UserError when it cannot."""

    def register(function: StepFunction) -> StepFunction:
        _steps.append(Step(title, needed, function))
        return function

    return register


def steps() -> list[Step]:
    """All steps, needed ones first."""
    autodiscover_modules("preparation")
    return sorted(_steps, key=lambda step: not step.needed)

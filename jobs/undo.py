"""The registry of undo verbs: how a step that a job made is taken back, in this process or in a later one."""

from collections.abc import Callable
from typing import Any

UndoFunction = Callable[..., None]
_verbs: dict[str, UndoFunction] = {}


def undo(verb: str) -> Callable[[UndoFunction], UndoFunction]:
    """Register a function that takes keyword arguments from the journal.

    It may be called when the step was never made, or twice: it must then succeed and change nothing.
    """

    def register(function: UndoFunction) -> UndoFunction:
        _verbs[verb] = function
        return function

    return register


def take_back(verb: str, arguments: dict[str, Any]) -> None:
    """Run the undo of one journal entry. Raises KeyError when nobody registered `verb`."""
    _verbs[verb](**arguments)

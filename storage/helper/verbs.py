"""The table of verbs: what the helper can be asked, with a check for each argument. Nothing else reaches `parts`.

A new verb is a function that takes checked keyword arguments and returns a JSON object, and a line in VERBS. A
descriptor to hand over is the value "fd" of that object.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import parts
from .parts import PartError

Directories = Sequence[str] | None  # None: any, where a process acts with its own rights
Check = Callable[[object, Directories], object]
SIZE_LIMIT = 1 << 60  # bytes; no file system of ours holds more
AGE_LIMIT_S = 10 * 366 * 86400


def _directory(value: object, allowed: Directories) -> object:
    if not isinstance(value, str) or "\0" in value or not os.path.isabs(value):
        raise PartError("bad_request", "the directory is not an absolute path")
    path = os.path.normpath(value)
    if allowed is not None and path not in allowed:
        raise PartError("not_served", f"{path} is not one of the directories that the helper serves")
    return path


def _upload_id(value: object, _allowed: Directories) -> object:
    if not isinstance(value, str) or parts.PART_NAME.fullmatch(parts.part_name(value)) is None:
        raise PartError("bad_request", "the upload id is not a UUID in lower case")
    return value


def _file_name(value: object, _allowed: Directories) -> object:
    """What is safe on disk; `storage.names` says what a person may choose."""
    if not isinstance(value, str) or not 0 < len(value.encode(errors="replace")) <= 255 or value.startswith("."):
        raise PartError("bad_request", "the file name is empty, hidden or longer than 255 bytes")
    if "/" in value or any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in value):
        raise PartError("bad_request", "the file name has a slash or a control character")
    return value


def _number(limit: int) -> Check:
    def check(value: object, _allowed: Directories) -> object:
        if type(value) is not int or not 0 <= value <= limit:
            raise PartError("bad_request", f"a number is not a whole one from 0 to {limit}")
        return value

    return check


class Verb(NamedTuple):
    function: Callable[..., dict[str, Any]]
    arguments: Mapping[str, Check]


_part: dict[str, Check] = {"directory": _directory, "upload_id": _upload_id}
_size = _number(SIZE_LIMIT)
VERBS: dict[str, Verb] = {
    "create_part": Verb(parts.create_part, {**_part, "name": _file_name, "size": _size, "reserve": _size}),
    "open_part": Verb(parts.open_part, _part),
    "finish": Verb(parts.finish, {**_part, "name": _file_name, "size": _size}),
    "discard": Verb(parts.discard, _part),
    "list_parts": Verb(parts.list_parts, {"directory": _directory}),
    "sweep": Verb(parts.sweep, {"directory": _directory, "older_than_s": _number(AGE_LIMIT_S)}),
    "free": Verb(parts.free, {"directory": _directory}),
}


def call(verb: object, arguments: object, directories: Directories) -> dict[str, Any]:
    """Check the arguments, do it, return the answer. Raises PartError: "bad_request", "not_served" or the verb's."""
    known = VERBS.get(verb) if isinstance(verb, str) else None
    if known is None:
        raise PartError("bad_request", "there is no such verb")
    if not isinstance(arguments, dict) or arguments.keys() != known.arguments.keys():
        raise PartError("bad_request", f"{verb} takes exactly: {', '.join(known.arguments)}")
    checked = {key: check(arguments[key], directories) for key, check in known.arguments.items()}
    return known.function(**checked)

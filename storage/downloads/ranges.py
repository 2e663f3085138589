"""The part of a file that a request asks for. https://www.rfc-editor.org/rfc/rfc9110#name-range-requests"""

import re

_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class Unsatisfiable(Exception):
    """Nothing of the file lies in the range."""


def wanted(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last, or None for the whole file.

    Several ranges at once, other units and nonsense count as not given, as the standard allows. Raises Unsatisfiable.
    """
    match = _ONE_RANGE.fullmatch(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = int(match[2])
        if not length or not size:
            raise Unsatisfiable
        return max(0, size - length), size
    start = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, end

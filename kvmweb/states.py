"""How each state looks: its colour class and its shape. The word beside it comes from the model."""

from typing import NamedTuple


class Look(NamedTuple):
    """`css` is the class that gives the colour, `shape` the name of an icon."""

    css: str
    shape: str


_RUN, _OK = Look("st-run", "s-run"), Look("st-run", "s-ok")
_OFF, _SAVED = Look("st-off", "s-off"), Look("st-off", "s-saved")
_PAUSE, _WARN = Look("st-pause", "s-pause"), Look("st-pause", "s-bad")
_BAD, _FAIL = Look("st-bad", "s-bad"), Look("st-bad", "s-fail")
_LOST, _SKIP = Look("st-lost", "s-lost"), Look("st-off", "s-skip")
_BUSY = Look("st-busy", "s-busy")

LOOKS: dict[str, Look] = {
    # guests
    "running": _RUN,
    "shutoff": _OFF,
    "paused": _PAUSE,
    "pmsuspended": _PAUSE,
    "saved": _SAVED,
    "crashed": _BAD,
    "missing": _LOST,
    # hosts, pools, networks, bridges, checks
    "connected": _OK,
    "active": _OK,
    "available": _OK,
    "ready": _OK,
    "ok": _OK,
    "passed": _OK,
    "up": _OK,
    "inactive": _OFF,
    "disabled": _OFF,
    "down": _OFF,
    "unknown": _LOST,
    "skipped": _SKIP,
    "warning": _WARN,
    "degraded": _WARN,
    "unreachable": _BAD,
    "disconnected": _BAD,
    "inaccessible": _BAD,
    "error": _BAD,
    # jobs, uploads
    "queued": _OFF,
    "succeeded": _OK,
    "failed": _FAIL,
    "cancelled": _SKIP,
    "refused": _FAIL,
    "started": _BUSY,
}
JOB_RUNNING = _BUSY  # a running job turns; a running guest is a disc


def look(state: object) -> Look:
    """The look of a state; one that is not listed ("migrating", "starting") is something under way."""
    return LOOKS.get(str(state or "unknown").lower(), _BUSY)

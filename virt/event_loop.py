"""libvirt's event loop: one per process, in a thread of its own.

Events and keepalive both need it, and libvirt wants it registered before the first connection is opened.
https://libvirt.org/html/libvirt-libvirt-event.html
"""

from __future__ import annotations

import logging
import os
import threading
import time

import libvirt

log = logging.getLogger(__name__)

_lock = threading.Lock()
_running_in: int | None = None


def ensure_running() -> None:
    """Register and start the loop, once in each process. Raises RuntimeError in the child of a process that has one."""
    global _running_in
    with _lock:
        if _running_in == os.getpid():
            return
        if _running_in is not None:
            raise RuntimeError("libvirt was opened before the fork; open it in the child only")
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run, name="libvirt events", daemon=True).start()
        _running_in = os.getpid()


def _run() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:  # poll failed; without the loop every connection would go deaf
            log.exception("libvirt's event loop failed; going on")
            time.sleep(1)

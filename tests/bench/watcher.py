"""The watcher on a host with 1,000 guests: the first look, a second one, its steady cost, and event to open page."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import libvirt
from playwright.sync_api import sync_playwright

from tests.farm import farm, runner
from tests.stack import Stack, running_stack
from tests.virt.daemon import PrivateDaemon

from .table import Row, at_most

GUESTS, MANY = 1_000, 10_000
ROUNDS = 7
STEADY_S = 60
EVENTS = 40
ROOT = Path(__file__).resolve().parents[2]


def main() -> list[Row]:
    rows = []
    with farm(GUESTS) as daemon:
        looks = _looks(daemon)
        rows += [
            Row(what=f"bare loop of XMLDesc over {GUESTS:,} guests", figure=f"{looks['bare_s'] * 1000:.0f} ms"),
            Row(what="first look at them, rows written", figure=f"{looks['first_s'] * 1000:.0f} ms"),
            at_most("first look against the bare loop", looks["first"], 2.0),
            at_most("a look that finds nothing new against the bare loop", looks["again"], 2.0),
        ]
        rows += _steady_and_events(daemon)
    with farm(MANY) as daemon:
        looks = _looks(daemon)
        rows.append(Row(what=f"first look at {MANY:,} guests", figure=f"{looks['first_s']:.1f} s"))
        rows.append(Row(what=f"the same against its bare loop, {MANY:,} guests", figure=f"{looks['first']:.2f} x"))
    return rows


def _looks(daemon: PrivateDaemon) -> dict[str, float]:
    """Measured in a process of its own: Django is set up once in each."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.watcher_looks", daemon.uri, str(ROUNDS)],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _steady_and_events(daemon: PrivateDaemon) -> list[Row]:
    with running_stack() as stack, runner(daemon) as name:
        stack.manage("shell", "-v0", "-c", _ADD_HOST.format(uri=daemon.uri))
        _wait_for(stack, GUESTS + 1)
        time.sleep(10)  # the second sample, the first look at the pools
        watcher = stack.pid("watcher")
        before = _cpu_s(watcher)
        time.sleep(STEADY_S)
        share = 100 * (_cpu_s(watcher) - before) / STEADY_S
        pss_mib = _pss_mib(watcher)
        delays = sorted(_event_to_row(stack, daemon, name))
    p50, p99 = statistics.median(delays), delays[int(len(delays) * 0.99)]
    return [
        at_most(f"watcher, {GUESTS:,} guests, a minute: share of a core", share, 5, "%"),
        at_most("watcher, memory of its own (PSS)", pss_mib, 120, "MiB"),
        at_most(f"pause or resume → row in an open browser, p50 of {EVENTS}", p50 * 1000, 150, "ms"),
        at_most("the same, p99", p99 * 1000, 1000, "ms"),
    ]


_ADD_HOST = (
    "from django.utils import timezone as t; from hosts.models import Host; n = t.now(); "
    "Host.objects.create(name='farm', uri='{uri}', prepared_at=n, kvm_probed_at=n, kvm_works=False)"
)


def _wait_for(stack: Stack, count: int) -> None:
    question = "from guests.models import Guest; print('found', Guest.objects.filter(host__name='farm').count())"
    end = time.monotonic() + 120
    while f"found {count}" not in stack.manage("shell", "-v0", "-c", question):
        assert time.monotonic() < end, f"{count} guests did not show up"


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mib(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) / 1024


# In the page: note the time at which the row shows another state, as the reader sees it.
_WATCH_ROW = """() => {
  window.changes = [];
  let last = document.querySelector('#guests tbody .st').textContent;
  new MutationObserver(() => {
    const cell = document.querySelector('#guests tbody .st');
    if (cell && cell.textContent !== last) { last = cell.textContent; window.changes.push(Date.now() / 1000); }
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def _event_to_row(stack: Stack, daemon: PrivateDaemon, name: str) -> list[float]:
    """Seconds from before the call that pauses or resumes the guest to its new state in a list that is open."""
    delays = []
    domain = libvirt.open(daemon.uri).lookupByName(name)
    with sync_playwright() as playwright:
        program = os.environ.get("KVMWEB_TEST_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(stack.base_url)
        page.fill("input[name=login]", "admin")
        page.fill("input[name=password]", stack.admin_password)
        page.press("input[name=password]", "Enter")
        page.wait_for_load_state("networkidle")
        page.goto(f"{stack.base_url}guests/?q=name:{name}")
        page.wait_for_selector("#live[data-state=live]", state="attached")
        page.wait_for_timeout(2000)
        page.evaluate(_WATCH_ROW)
        for number in range(EVENTS):
            begin = time.time()
            domain.resume() if number % 2 else domain.suspend()
            while page.evaluate("window.changes.length") <= number:
                assert time.time() - begin < 20, "the row did not change"
                page.wait_for_timeout(20)
            delays.append(page.evaluate(f"window.changes[{number}]") - begin)
            page.wait_for_timeout(700)
        browser.close()
    return delays

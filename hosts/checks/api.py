"""REST of the checks of a host."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from hosts.hardware.models import HostReport
from hosts.models import Host
from jobs.models import Job
from jobs.rest import JobOut, accepted

from . import counted, features_of, of, seen, services

router = Router(tags=["hosts"])


class CommandOut(Schema):
    text: str
    label: str = Field(description="For which systems it is; empty for the host's own or for all.")


class HostCheckOut(Schema):
    """What was found, what it means and what to do."""

    code: str
    verdict: str = Field(description="failed, warning, skipped or passed")
    title: str
    found: str
    means: str
    todo: str
    commands: list[CommandOut]
    features: list[str] = Field(description="Codes of the features that it bears on.")
    source: str


class FeatureOut(Schema):
    """What kvmweb can do on the host, and why or why not."""

    code: str
    title: str
    available: bool | None = Field(description="null: not known.")
    because: str
    checks: list[str]


class ChecksOut(Schema):
    read_at: datetime | None = Field(description="When a command last ran on the host; libvirt is asked more often.")
    problem: str = Field(description="Why the last attempt to run one failed; empty when it did not.")
    counts: dict[str, int]
    checks: list[HostCheckOut]
    features: list[FeatureOut]


def _host(request: HttpRequest, host_id: int, action: str) -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), action), pk=host_id)
    return host


@router.get("/{int:host_id}/checks", response={200: ChecksOut, ERRORS: Problem})
def get_checks(request: HttpRequest, host_id: int) -> ChecksOut:
    """The checks of a host, failed ones first, and the features that depend on them."""
    host = _host(request, host_id, "view")
    report = HostReport.objects.filter(host=host).first()
    networks = host.networks.filter(missing_since=None, is_active=True).values_list("name", flat=True)
    pools = list(host.pools.filter(missing_since=None))
    given = seen(host, pools=pools, networks=list(networks), report=report)
    found = of(given)
    return ChecksOut(
        read_at=report.readings_at if report else None,
        problem=report.readings_error if report else "",
        counts=counted(found),
        checks=[
            HostCheckOut(
                code=check.code,
                verdict=check.verdict,
                title=check.title,
                found=check.found,
                means=check.means,
                todo=check.todo,
                commands=[CommandOut(text=command.text, label=command.label) for command in check.commands],
                features=list(check.features),
                source=check.source,
            )
            for check in found
        ],
        features=[
            FeatureOut(
                code=feature.code,
                title=feature.title,
                available=feature.available,
                because=feature.because,
                checks=list(feature.checks),
            )
            for feature in features_of(given, found)
        ],
    )


@router.post("/{int:host_id}/checks", response={202: JobOut, ERRORS: Problem})
def run_checks(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Run the checks anew: reads on the host, changes nothing there."""
    return accepted(response, services.examine_host(_host(request, host_id, "operate"), by=actor(request)))

"""REST of install trees."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from jobs.models import Job
from jobs.rest import JobOut, accepted
from storage.models import Iso, Tree
from virt.install_tree import TreeFacts

from . import pages, services
from .app import PREFIX

router = Router(tags=["isos"])


class TreeIn(Schema):
    networks: list[str] = Field(description="In CIDR notation: whose machines may read the files. Nobody logs in.")


class TreeOut(Schema):
    """A published image. `kernel` and `initrd` are paths below `url`; empty where the disc has none."""

    url: str
    networks: list[str]
    kernel: str
    initrd: str
    ipxe_url: str = Field(description="A script that boots the installer; empty without a kernel.")
    kind: str = Field(description="yum, apt or empty")
    yum_repo: str = Field(description="For /etc/yum.repos.d.")
    apt_sources: str = Field(description="For /etc/apt/sources.list.")
    published_at: datetime


@router.put("/{int:iso_id}/tree", response={202: JobOut, ERRORS: Problem})
def publish_tree(request: HttpRequest, iso_id: int, body: TreeIn, response: HttpResponse) -> Status[Job]:
    """Publish the files of an image over HTTP at /tree/{iso_id}/ for machines of these networks."""
    job = services.publish_tree(_iso(request, iso_id, "configure"), ",".join(body.networks), by=actor(request))
    return accepted(response, job)


@router.get("/{int:iso_id}/tree", response={200: TreeOut, ERRORS: Problem})
def get_tree(request: HttpRequest, iso_id: int) -> TreeOut:
    """Where the files of an image are published, and lines for package managers. 404 where they are not."""
    iso = _iso(request, iso_id, "view")
    tree = get_object_or_404(Tree, iso=iso)
    base, facts = f"{request.scheme}://{request.get_host()}{PREFIX}/{iso.pk}", TreeFacts(**tree.facts)
    return TreeOut(
        url=f"{base}/",
        networks=tree.networks,
        kernel=facts.kernel,
        initrd=facts.initrd,
        ipxe_url=f"{base}.ipxe" if facts.kernel else "",
        kind=facts.kind,
        yum_repo=pages.yum_repo(base, iso.pk, iso.os_name or iso.name, facts) if facts.kind == "yum" else "",
        apt_sources=pages.apt_sources(base, facts) if facts.kind == "apt" else "",
        published_at=tree.published_at,
    )


@router.delete("/{int:iso_id}/tree", response={204: None, ERRORS: Problem})
def withdraw_tree(request: HttpRequest, iso_id: int) -> Status[None]:
    """Publish the files of an image no longer."""
    services.withdraw_tree(_iso(request, iso_id, "configure"), by=actor(request))
    return Status(204, None)


def _iso(request: HttpRequest, pk: int, action: str) -> Iso:
    permitted = Iso.objects.permitted(actor(request), action).select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=pk)
    return found

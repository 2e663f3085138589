"""REST of images that are kept current."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from jobs.models import Job
from jobs.rest import JobOut, accepted
from storage.models import Iso

from . import services
from .models import KeptImage

router = Router(tags=["isos"])


class KeepIn(Schema):
    keep_former: bool = Field(
        False, description="Else an image that a newer one has replaced is removed once nothing uses it."
    )


class KeptOut(Schema):
    """How an image is kept current: its vendor is asked once a day."""

    iso_id: int = Field(description="The newest image that was fetched.")
    entry: str = Field(description="The key of its entry of the catalogue.")
    keep_former: bool
    created_by: str | None = Field(description="Who wanted it.")
    created_at: datetime
    asked_at: datetime | None = Field(description="When the vendor was asked last.")
    ask_at: datetime = Field(description="When it is asked next, about.")
    problem: str = Field(description="Why the last question led to nothing, as a sentence; empty: all is well.")
    job_id: int | None = Field(description="The job that fetches a newer one, or failed to.")

    @staticmethod
    def resolve_created_by(kept: KeptImage) -> str | None:
        return kept.created_by.username if kept.created_by else None


@router.put("/{int:iso_id}/current", response={200: KeptOut, ERRORS: Problem})
def keep_current(request: HttpRequest, iso_id: int, body: KeepIn) -> KeptImage:
    """Have an image of the catalogue fetched anew, into its pool, when its vendor publishes another one.

    Copies that are kept in step follow. 409 wrong_state for an image that was not fetched from the catalogue.
    """
    return services.keep_current(_iso(request, iso_id, "create"), by=actor(request), keep_former=body.keep_former)


@router.get("/{int:iso_id}/current", response={200: KeptOut, ERRORS: Problem})
def get_current(request: HttpRequest, iso_id: int) -> KeptImage:
    """How an image is kept current, and what came of the last question. 404 where it is not."""
    return _kept(_iso(request, iso_id, "view"))


@router.delete("/{int:iso_id}/current", response={204: None, ERRORS: Problem})
def let_go(request: HttpRequest, iso_id: int) -> Status[None]:
    """Keep an image current no longer. All files stay."""
    services.let_go(_iso(request, iso_id, "create"), by=actor(request))
    return Status(204, None)


@router.post("/{int:iso_id}/current/ask", response={202: JobOut, ERRORS: Problem})
def ask_now(request: HttpRequest, iso_id: int, response: HttpResponse) -> Status[Job]:
    """Ask the vendor now, and fetch what is newer. The job's result has the `iso_id` of the newest image."""
    return accepted(response, services.fetch_newer(_kept(_iso(request, iso_id, "create")), by=actor(request)))


def _kept(iso: Iso) -> KeptImage:
    return get_object_or_404(KeptImage.objects.select_related("iso__volume", "pool__host", "created_by"), iso=iso)


def _iso(request: HttpRequest, iso_id: int, action: str) -> Iso:
    permitted = Iso.objects.permitted(actor(request), action).select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=iso_id)
    return found

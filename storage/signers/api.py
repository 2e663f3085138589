"""REST of the keys that sign lists of checksums."""

from datetime import datetime

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor

from . import services
from .models import SignerKey

router = Router(tags=["isos"])


class SignerIn(Schema):
    key: str = Field(description="One or more OpenPGP public keys, ASCII-armoured.")


class SignerOut(Schema):
    """A key whose signature of a list of checksums counts."""

    fingerprint: str
    name: str = Field(description="What the key says of its owner; only the fingerprint proves it.")
    added_at: datetime


@router.get("/signers", response={200: list[SignerOut], ERRORS: Problem})
def list_signers(request: HttpRequest) -> list[SignerKey]:
    """All keys that an administrator has added."""
    return list(SignerKey.objects.all())


@router.post("/signers", response={201: list[SignerOut], ERRORS: Problem})
def add_signers(request: HttpRequest, body: SignerIn) -> Status[list[SignerKey]]:
    """Trust these keys. A key that is known already is replaced, as its owner renews it."""
    return Status(201, services.add_keys(body.key, by=actor(request)))


@router.delete("/signers/{fingerprint}", response={204: None, ERRORS: Problem})
def delete_signer(request: HttpRequest, fingerprint: str) -> Status[None]:
    """Trust a key no more. Images whose list it has signed keep that mark."""
    services.delete_key(get_object_or_404(SignerKey, fingerprint=fingerprint.upper()), by=actor(request))
    return Status(204, None)

"""REST of the search."""

from typing import Annotated

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema

from accounts.rest import ERRORS, Problem, actor
from virt.errors import Invalid

from .objects import KINDS, LONGEST, MOST_OF_A_KIND, Group, find

router = Router(tags=["search"])
NAMES = ", ".join(kind.name for kind in KINDS)


class HitOut(Schema):
    id: int = Field(validation_alias="pk")
    name: str
    detail: str = Field(description="Where it is and what else is known of it.")
    state: str = Field(description="Of guests, hosts and networks.")
    url: str = Field(description="Its page.")


class GroupOut(Schema):
    kind: str = Field(description=f"One of: {NAMES}.")
    hits: list[HitOut]
    has_more: bool


@router.get("", response={200: list[GroupOut], ERRORS: Problem})
def search(
    request: HttpRequest,
    q: Annotated[str, Query(description="Part of a name, a UUID, MAC, address, tag; or key:value as for guests.")],
    kinds: Annotated[str, Query(description=f"Some of {NAMES}, with commas; empty: all.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_OF_A_KIND, description="Hits of each kind.")] = 10,
) -> list[Group]:
    """Whatever matches all words, the best of each kind first."""
    wanted = [name.strip() for name in kinds.split(",") if name.strip()]
    if unknown := set(wanted) - {kind.name for kind in KINDS}:
        sentence = _("There are no %(kinds)s to search for. There are: %(names)s.")
        raise Invalid(sentence % {"kinds": ", ".join(sorted(unknown)), "names": NAMES}, field="kinds")
    return find(actor(request), q[:LONGEST], at_most=limit, kinds=wanted)

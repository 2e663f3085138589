"""Tags, folders, saved views and what can be taken back, as REST shows and takes them."""

from datetime import datetime

from ninja import Field, Schema

from .list_models import SavedView

MAX_ID = 2**63 - 1  # what the database holds
_NAMES = "Any language, 1 to 40 characters, without commas and quotes."


class GuestFilters(Schema):
    """What a list of guests is narrowed to. All that is given has to hold."""

    search: str = Field("", description="Words, and key:value as in the list of the page: os:debian tag:prod mem:>16")
    state: str = Field("", description="One or more states, with commas; also on, off, attention.")
    host: int = Field(0, ge=0, le=MAX_ID, description="Row id of a host.")
    tag: str = Field("", description="One or more tags, with commas: guests that have any of them; none: without.")
    folder: str = Field("", description="A path: guests in it and below it; none: in no folder.")
    os: str = Field("", description="Part of the name of the system, as defined or as its agent says.")
    network: str = Field("", description="Name of a network or bridge; * at an end stands for anything.")
    pool: str = Field("", description="Name of a pool that a disk of theirs is in; * as above.")
    needs_restart: bool | None = Field(None, description="Changes wait for the next start.")
    stale: bool | None = Field(None, description="Not on its host any more, or the host was not heard of lately.")

    def query(self) -> str:
        """The same as words of the query box."""
        words = {"state": self.state, "tag": self.tag, "folder": self.folder, "os": self.os, "net": self.network}
        made = " ".join([self.search, *(_word(key, text) for key, text in words.items() if text)])
        made = f"{made} {_word('pool', self.pool)}" if self.pool else made
        for key, wanted in (("restart", self.needs_restart), ("stale", self.stale)):
            made += "" if wanted is None else f" {key}:{'yes' if wanted else 'no'}"
        return made


def _word(key: str, text: str) -> str:
    return f'{key}:"{text.replace(chr(34), "")}"'


class TagOut(Schema):
    id: int
    name: str
    hue: int = Field(description="The number of its colour, 1 to 8.")
    guests: int = Field(description="How many of the guests that you may see have it.")


class TagPatch(Schema):
    name: str | None = Field(None, description=_NAMES)
    hue: int | None = None


class FolderOut(Schema):
    id: int
    path: str = Field(description="Production/Web")
    guests: int = Field(description="How many of the guests that you may see are in it or below it.")


class FolderPatch(Schema):
    path: str = Field(description="The folders below it come along.")


class GuestsIn(Schema):
    """Which guests: by row id, or all that a search finds. Those that are not there or not yours are left out."""

    guests: list[int] = Field([], description="Row ids.")
    search: str | None = Field(
        None, description="In place of row ids: a search as in GET /guests; an empty one finds all."
    )


class TagsIn(GuestsIn):
    add: list[str] = Field([], description=f"Tags to put on, made where they are new. {_NAMES}")
    remove: list[str] = Field([], description="Tags to take off.")


class MoveIn(GuestsIn):
    folder: str = Field(description="A path such as Production/Web, made where it is new; empty: in no folder.")


class ListChangeOut(Schema):
    """A change of tags or folders, which can be taken back at POST /guests/changes/{id}/undo."""

    id: int
    title: str
    at: datetime
    undone_at: datetime | None


class ViewOut(Schema):
    id: int
    name: str
    owner: str
    query: str
    sort: str
    columns: list[str] = Field(description="Empty: those of whoever looks.")
    is_shared: bool
    url: str = Field(description="The page with it.")

    @staticmethod
    def resolve_owner(view: SavedView) -> str:
        return view.owner.username

    @staticmethod
    def resolve_url(view: SavedView) -> str:
        return f"/guests/?saved={view.pk}"


class ViewIn(Schema):
    name: str
    query: str = ""
    sort: str = ""
    columns: list[str] = []
    is_shared: bool = False


class ViewPatch(Schema):
    name: str | None = None
    query: str | None = None
    sort: str | None = None
    columns: list[str] | None = None
    is_shared: bool | None = None


class ListSettingsOut(Schema):
    """How you see the guest list."""

    columns: list[str] = Field(description="In their order, after state and name; empty: the usual ones.")
    density: str = Field(description="dense, normal or roomy")
    default_view: int | None = Field(description="Row id of the view with which the list opens.")


class ListSettingsPatch(Schema):
    """What is given is changed. A default view of 0 is none."""

    columns: list[str] | None = None
    density: str | None = None
    default_view: int | None = None

"""The rows of a list of volumes, put together here as those of guests are: templates take several times as long.

What people or hosts wrote passes through `escape`; what is left unescaped are numbers, addresses made here and shapes.
"""

from collections.abc import Iterable
from html import escape

from django import template
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from kvmweb import units
from storage.rows import VolumeLine

register = template.Library()
DASH = '<span class="mute">—</span>'


@register.simple_tag
def volume_rows(lines: Iterable[VolumeLine], pool: object, hosts: object) -> SafeString:
    """The <tr> of each volume, without its pool inside the page of one, without its host where there is just one."""
    drawn = _Drawing(in_pool=bool(pool), shows_host=bool(hosts))
    return mark_safe("".join(drawn.row(line) for line in lines))  # noqa: S308 # see the cells


class _Drawing:
    """The rows of one page: what they share is looked up once."""

    def __init__(self, *, in_pool: bool, shows_host: bool) -> None:
        self.in_pool, self.shows_host = in_pool, shows_host
        self.users_css = ' class="c-sub"' if in_pool else ""
        self.sprite = static("icons.svg")
        self.list_url, self.guests_url = reverse("storage:volumes"), reverse("guests:list")
        self.missing, self.nobody, self.more = _("missing"), _("nobody"), _("More for %(name)s")

    def row(self, line: VolumeLine) -> str:
        volume, key = line.volume, f"{line.volume.pk:d}"
        url, below = f"{self.list_url}{key}/", escape(volume.backing_path)
        stale = ' class="stale"' if volume.missing_since else ""
        return (
            f'<tr id="volume-{key}" data-row="{key}"{stale}{self.following(line, key, url)}>'
            f'<th scope="row" class="c-nm">{self.name(line, url)}</th>{self.place(line)}'
            f'<td class="mute">{escape(volume.format) or "—"}</td>'
            f'<td class="num c-cpu">{units.size(volume.capacity_bytes)}</td>'
            f'<td class="num">{units.size(volume.allocation_bytes)}</td>'
            f"<td{self.users_css}>{self.users(line, url)}</td>"
            f'<td class="mono long" title="{below}">{below or DASH}</td>'
            f'<td class="act c-act">{self.menu(line, key, url)}</td></tr>\n'
        )

    def following(self, line: VolumeLine, key: str, url: str) -> str:
        """What makes the row fetch itself anew while a job is at the volume."""
        if not line.job:
            return ""
        place = "?in_pool=1" if self.in_pool else ""
        return (
            f' hx-get="{url}row/{place}" hx-trigger="live:volume-{key} from:body" hx-target="this" '
            f'hx-swap="outerHTML" data-live="volume-{key}"'
        )

    def name(self, line: VolumeLine, url: str) -> str:
        made = f'<a class="nm" href="{url}">{escape(line.name)}</a>'
        if line.volume.missing_since:
            made += f' <span class="bdg bdg-stale">{escape(self.missing)}</span>'
        if line.job:
            made += " " + render_to_string("storage/_working.html", {"line": line, "icons": self.sprite})
        return made

    def place(self, line: VolumeLine) -> str:
        """Its pool and its host, where the page does not say them."""
        if self.in_pool:
            return ""
        pool = line.volume.pool
        made = f'<td class="c-sub"><a href="{line.pool_url}">{escape(pool.name)}</a></td>'
        return f'{made}<td class="mute">{escape(pool.host.name)}</td>' if self.shows_host else made

    def users(self, line: VolumeLine, url: str) -> str:
        """The guest that has it, or how many have it."""
        if not line.users:
            return f'<span class="mute">{escape(self.nobody)}</span>'
        if line.users.only_id:
            return f'<a href="{self.guests_url}{line.users.only_id:d}/">{escape(line.users.only_name)}</a>'
        return f'<a href="{url}#used-by">{escape(line.users_text)}</a>'

    def menu(self, line: VolumeLine, key: str, url: str) -> str:
        return (
            f'<button class="tb" type="button" popovertarget="volume-menu-{key}" '
            f'aria-label="{escape(self.more % {"name": line.name})}">'
            f'<svg class="i" aria-hidden="true"><use href="{self.sprite}#dots"/></svg></button>'
            f'<div class="menu" id="volume-menu-{key}" popover hx-get="{url}menu/" hx-trigger="toggle once" '
            'hx-target="this" hx-swap="innerHTML"></div>'
        )

"""The head and the rows of the guest list, put together here: templates would take four times as long for them.

What people or guests wrote passes through `escape`; what is left unescaped are numbers, addresses made here and shapes.
"""

from collections.abc import Callable, Iterable, Sequence
from html import escape

from django import template
from django.template import Context
from django.templatetags.static import static
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from guests.columns import Column
from guests.rows import Row
from history import recent
from kvmweb import states, units

from .kvmweb_ui import age, bar_class, bar_width, clock, spark

register = template.Library()
MIB = 1024**2
DASH = '<span class="mute">—</span>'


@register.simple_tag(takes_context=True)
def guest_head(context: Context, columns: Iterable[Column], sort: str) -> SafeString:
    """The <th> of the columns; a click on one sorts by it, another click the other way."""
    query = context["request"].GET.copy()
    query.pop("page", None)
    sprite, made = escape(static("icons.svg")), []
    for column in columns:
        css = f' class="{column.css.removesuffix(" mono")}"' if column.css else ""
        label = escape(str(column.label))
        if not column.sort:
            made.append(f'<th scope="col"{css}>{label}</th>')
            continue
        is_up, is_down = sort == column.sort, sort == f"-{column.sort}"
        query["sort"] = f"-{column.sort}" if is_up else column.sort
        order = ' aria-sort="ascending"' if is_up else ' aria-sort="descending"' if is_down else ""
        shape = _shape(sprite, "chevron-down" if is_up else "chevron-up", "i i-s") if order else ""
        made.append(f'<th scope="col"{css}{order}><a href="?{escape(query.urlencode())}">{label} {shape}</a></th>')
    return mark_safe("".join(made))  # noqa: S308 # labels are escaped


@register.simple_tag
def guest_rows(rows: Iterable[Row], columns: Iterable[Column]) -> SafeString:
    """The <tr> of each guest."""
    drawn = _Drawing(list(columns))
    return mark_safe("".join(drawn.row(row) for row in rows))  # noqa: S308 # see the cells


def _shape(sprite: str, name: str, css: str = "i", label: str = "") -> str:
    spoken = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f'<svg class="{css}" {spoken}><use href="{sprite}#{name}"/></svg>'


def _bar(share: float | None, thresholds: str) -> str:
    """The small usage bar of `_bar.html`."""
    if share is None:
        return ""
    return (
        '<span class="mb"><svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{bar_class(share, thresholds)}" width="{bar_width(share)}" height="4"/></svg></span>'
    )


def _spark(values: Sequence[int | None]) -> str:
    """The line of `_spark.html`, or nothing before there are two samples."""
    drawn = spark(values, 100, 90)
    if not drawn["line"]:
        return ""
    css = "spark hot" if drawn["is_hot"] else "spark"
    return (
        f'<svg class="{css}" viewBox="0 0 56 18" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="ar" d="{drawn["area"]}"/><path class="ln" d="{drawn["line"]}"/></svg>'
    )


class _Drawing:
    """The rows of one page: what they share is looked up once."""

    def __init__(self, columns: list[Column]) -> None:
        self.sprite = escape(static("icons.svg"))
        self.select, self.more = _("Select %(name)s"), _("More for %(name)s")
        self.tags = _("Tags and folder of %(name)s")
        self.restart, self.emulated, self.deleted = _("Needs restart"), _("Emulated"), _("deleted")
        self.slow = _("No hardware virtualisation for this guest: it runs many times slower")
        self.gone, self.as_of, self.yes, self.no = _("gone since"), _("as of"), _("Yes"), _("No")
        self.shows_host = any(column.name == "host" for column in columns)
        known: dict[str, Callable[[Row], str]] = {
            "state": self.state,
            "name": self.name,
            "host": self.host,
            "folder": self.folder,
            "vcpus": self.vcpus,
            "cpu": self.cpu,
            "memory": self.memory,
            "disk": self.disk,
            "disk_io": self.disk_io,
            "net_io": self.net_io,
            "address": self.address,
            "network": self.network,
            "os": self.system,
            "tags": self.tag_chips,
            "since": self.since,
            "autostart": self.autostart,
            "title": self.title,
            "uuid": self.uuid,
        }
        self.cells = [
            (f'th scope="row" class="{column.css}"', "th", known[column.name])
            if column.name == "name"
            else (f'td class="{column.css}"' if column.css else "td", "td", known[column.name])
            for column in columns
        ]

    def row(self, row: Row) -> str:
        key = f"{row.guest.pk:d}"
        stale = ' class="stale"' if row.is_stale else ""
        cells = "".join(f"<{begin}>{cell(row)}</{end}>" for begin, end, cell in self.cells)
        return (
            f'<tr id="guest-{key}" data-row="{key}" data-live="guest-{key}" hx-get="{row.url}row/" '
            f'hx-trigger="live:guest-{key} from:body" hx-target="this" hx-swap="outerHTML"{stale}>'
            f'<td class="c-cb">{self.box(row, key)}</td>{cells}'
            f'<td class="c-sub phone-only">{self.below_name(row)}</td>'
            f'<td class="act c-act">{self.actions(row, key)}</td></tr>\n'
        )

    def box(self, row: Row, key: str) -> str:
        if not row.can_operate:
            return ""
        label = escape(self.select % {"name": row.guest.name})
        return f'<input type="checkbox" class="cb" name="id" value="{key}" form="bulk" aria-label="{label}">'

    def state(self, row: Row) -> str:
        if not row.job:
            look = states.look(row.guest.state)
            return f'<span class="st {look.css}">{_shape(self.sprite, look.shape)}{escape(row.state_text)}</span>'
        percent = row.job.progress_percent
        done = f' <span class="tn">{percent} %</span>' if percent else ""
        words = f'title="{escape(row.job.title)}">{_shape(self.sprite, "s-busy")}{escape(str(row.working))}{done}'
        return f'<span class="st st-busy" {words}</span>'

    def name(self, row: Row) -> str:
        return f'<a class="nm" href="{row.url}">{escape(row.guest.name)}</a>{self.badges(row)}'

    def badges(self, row: Row) -> str:
        """What is special about it, behind its name."""
        guest, made = row.guest, ""
        if guest.needs_restart:
            made += f' <span class="bdg bdg-restart">{escape(self.restart)}</span>'
        if guest.is_emulated:
            made += f' <span class="bdg bdg-emu" title="{escape(self.slow)}">{escape(self.emulated)}</span>'
        if guest.missing_since:
            word = self.deleted if guest.is_deleted else self.gone
            made += f' <span class="tiny why lost">{escape(word)} {clock(guest.missing_since)}</span>'
        elif row.is_stale:
            made += f' <span class="bdg bdg-stale">{escape(self.as_of)} {clock(guest.host.seen_at)}</span>'
        return made

    def below_name(self, row: Row) -> str:
        """The second line of a card on a phone."""
        host = row.guest.host.name if self.shows_host else ""
        return escape(" · ".join(filter(None, (host, row.address))))

    def host(self, row: Row) -> str:
        return f'<a class="plain" href="{row.host_url}">{escape(row.guest.host.name)}</a>'

    def folder(self, row: Row) -> str:
        return escape(row.guest.folder.path) if row.guest.folder else DASH

    def vcpus(self, row: Row) -> str:
        return f"{row.guest.vcpus:d}"

    def cpu(self, row: Row) -> str:
        share = row.guest.cpu_percent
        if share is None:
            return '<span class="mute desk">—</span>'
        drawn = _spark(recent.points(row.guest.cpu_recent)) or _bar(share, "80,90")
        return f'<span class="row-x">{drawn}<span class="tn">{round(share)} %</span></span>'

    def memory(self, row: Row) -> str:
        whole, seen = row.guest.memory_mib, row.memory_seen_mib
        if seen is None:
            return f'<span class="mute tn">{units.size(whole * MIB)}</span>'
        bar = _bar(seen * 100 / whole if whole else None, "95,98")
        part = f'<span class="b5">{units.size(seen * MIB)}</span> <span class="mute">/ {units.size(whole * MIB)}</span>'
        return f'<span class="row-x">{bar}<span class="tn">{part}</span></span>'

    def disk(self, row: Row) -> str:
        if row.disk_capacity_bytes is None:
            return DASH
        return f'{units.size(row.disk_held_bytes)} <span class="mute">/ {units.size(row.disk_capacity_bytes)}</span>'

    def disk_io(self, row: Row) -> str:
        return self._rates(units.byte_rate, row.guest.disk_read_bytes_per_s, row.guest.disk_write_bytes_per_s)

    def net_io(self, row: Row) -> str:
        return self._rates(units.bit_rate, row.guest.net_rx_bytes_per_s, row.guest.net_tx_bytes_per_s)

    def _rates(self, show: Callable[[float | None], str], coming: int | None, going: int | None) -> str:
        if coming is None and going is None:
            return DASH
        shapes = _shape(self.sprite, "download", "i i-s mute"), _shape(self.sprite, "upload", "i i-s mute")
        return f'<span class="tn">{shapes[0]} {show(coming)} {shapes[1]} {show(going)}</span>'

    def address(self, row: Row) -> str:
        if not row.address:
            return DASH
        more = f' <span class="mute">+{row.more_addresses}</span>' if row.more_addresses else ""
        return f'<span title="{escape(row.addresses_text)}">{escape(row.address)}{more}</span>'

    def network(self, row: Row) -> str:
        return escape(", ".join(row.networks)) if row.networks else DASH

    def system(self, row: Row) -> str:
        return escape(row.guest.os_name) if row.guest.os_name else DASH

    def tag_chips(self, row: Row) -> str:
        chips = "".join(f'<span class="tagc t{tag.hue:d}">{escape(tag.name)}</span>' for tag in row.tags)
        if not row.can_operate:
            return chips or DASH
        label = self.tags % {"name": row.guest.name}
        shape = _shape(self.sprite, "tag", "i i-s", label)
        return f'{chips}<a class="tb add-tag" href="{row.url}tags/" data-dialog title="{escape(label)}">{shape}</a>'

    def since(self, row: Row) -> str:
        return age(row.guest.state_since)

    def autostart(self, row: Row) -> str:
        return escape(self.yes if row.guest.autostart else self.no)

    def title(self, row: Row) -> str:
        return escape(row.guest.title) if row.guest.title else DASH

    def uuid(self, row: Row) -> str:
        return str(row.guest.uuid)

    def actions(self, row: Row, key: str) -> str:
        made, action, name = "", row.action, {"name": row.guest.name}
        if action:
            how = f' hx-post="{action.url}" hx-swap="none" data-stay' if action.is_post else ' data-key="c"'
            title = escape(f"{action.text}: {row.guest.name}")
            shape = _shape(self.sprite, action.shape, "i", action.text)
            made = f'<a class="tb" href="{action.url}" title="{title}"{how}>{shape}</a>'
        return (
            f'{made}<button class="tb" type="button" popovertarget="menu-{key}" '
            f'aria-label="{escape(self.more % name)}">{_shape(self.sprite, "dots")}</button>'
            f'<div class="menu" id="menu-{key}" popover hx-get="{row.url}menu/" hx-trigger="toggle once" '
            'hx-target="this" hx-swap="innerHTML"></div>'
        )

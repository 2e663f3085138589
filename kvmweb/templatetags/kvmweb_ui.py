"""The house's template tags and filters: icons, units, times, states, list headers, form controls. See docs/ui.md."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from html import escape
from typing import Any

from django import forms, template
from django.forms import BoundField
from django.forms.utils import flatatt
from django.template import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.dates import MONTHS_3
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from history.spark import spark_svg
from kvmweb import navigation, states, units

register = template.Library()


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """A shape of static/icons.svg. With `label` it is read aloud; without, the words beside it say what it means."""
    return _icon(static("icons.svg"), name, css, str(label))


@lru_cache(maxsize=1024)  # a list has hundreds of them, of a few dozen kinds
def _icon(sprite: str, name: str, css: str, label: str) -> SafeString:
    spoken = {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    shape = f"{sprite}#{name}"
    return format_html('<svg class="{}"{}><use href="{}"/></svg>', f"i {css}".strip(), flatatt(spoken), shape)


# --- units --------------------------------------------------------------------------------------------------------
def _known(value: object) -> float | None:
    """The number, or None where the row has none: a template gives "" for what does not exist."""
    return None if value is None or value == "" else float(str(value))


@register.filter
def mebibytes(size_mib: object) -> str:
    """2048 → "2 GiB"."""
    known = _known(size_mib)
    return units.size(None if known is None else known * 1024**2)


@register.filter
def filesize(size_bytes: object) -> str:
    """1610612736 → "1.5 GiB"."""
    return units.size(_known(size_bytes))


@register.filter
def byte_rate(bytes_per_s: object) -> str:
    """1992294 → "1.9 MiB/s"."""
    return units.byte_rate(_known(bytes_per_s))


@register.filter
def bit_rate(bytes_per_s: object) -> str:
    """Bytes a second, 300000 → "2.4 Mbit/s"."""
    return units.bit_rate(_known(bytes_per_s))


@register.filter
def quantity(value: object, unit: str) -> str:
    """A figure of a graph in the graph's unit: `line.highest|quantity:"byte_rate"`."""
    return units.quantity(_known(value), unit)


@register.filter
def count(number: object) -> str:
    """1000 → "1,000"."""
    known = _known(number)
    return units.count(None if known is None else int(known))


@register.filter
def percent(value: object, whole: object = ...) -> str:
    """38 → "38 %"; with an argument the share of a whole: `used|percent:total`."""
    share = _known(value) if whole is ... else share_of(value, whole)
    return units.UNKNOWN if share is None else f"{round(share)} %"


@register.filter
def share_of(value: object, whole: object) -> float | None:
    """The share of `value` in `whole` in percent, or None where either is unknown or the whole is 0."""
    part, total = _known(value), _known(whole)
    return part * 100 / total if part is not None and total else None


@register.filter
def filesize_of(used_bytes: object, whole_bytes: object) -> str:
    """A part of a whole in the unit of the whole: "4.9 / 15.6 GiB"."""
    return units.size_of(_known(used_bytes), _known(whole_bytes))


@register.filter
def mebibytes_of(used_mib: object, whole_mib: object) -> str:
    """The same with MiB: `used_mib|mebibytes_of:total_mib`."""
    used, whole = _known(used_mib), _known(whole_mib)
    return units.size_of(used if used is None else used * 1024**2, whole if whole is None else whole * 1024**2)


# --- times --------------------------------------------------------------------------------------------------------
def _time_tag(when: datetime, mode: str, text: str) -> SafeString:
    """A <time> that static/js/format.js keeps up to date and shows in the reader's own time zone."""
    local = timezone.localtime(when) if timezone.is_aware(when) else when
    title = escape(f"{local.day} {MONTHS_3[local.month].title()} {local:%Y %H:%M:%S}")
    tag = f'<time datetime="{when.isoformat()}" data-time="{mode}" title="{title}">{escape(text)}</time>'
    return mark_safe(tag)  # noqa: S308 # a list has a hundred of them, so no format_html


@register.filter
def since(when: datetime | None) -> SafeString | str:
    """How long ago: "3 min ago"."""
    return _time_tag(when, "ago", units.ago(timezone.now() - when)) if when else units.UNKNOWN


@register.filter
def age(when: datetime | None) -> SafeString | str:
    """How long since, as a span: "19 d"."""
    return _time_tag(when, "age", units.span(int((timezone.now() - when).total_seconds()))) if when else units.UNKNOWN


@register.filter
def clock(when: datetime | None) -> SafeString | str:
    """The time of day: "12:03:41"; with the date where it is not today."""
    if not when:
        return units.UNKNOWN
    local = timezone.localtime(when)
    today = local.date() == timezone.localdate()
    text = f"{local:%H:%M:%S}" if today else f"{date_format(local, 'j M')} {local:%H:%M}"
    return _time_tag(when, "clock", text)


@register.filter
def as_of(when: datetime | None) -> SafeString | str:
    """How old what stands beside it is: "as of 12:03:41"."""
    return format_html(_("as of {}"), clock(when))


@register.filter
def span(length: timedelta | float | None) -> str:
    """Seconds or a timedelta: "4.2 s", "6 h"."""
    return units.span(length)


@register.filter
def took(job: Any) -> str:
    """How long a finished job (anything with started_at or created_at, and finished_at) ran."""
    begin = getattr(job, "started_at", None) or job.created_at
    return units.span(job.finished_at - begin) if job.finished_at else ""


# --- states -------------------------------------------------------------------------------------------------------
@register.filter
def state_class(state: object) -> str:
    """The colour class of a state: "running" → "st-run"."""
    return states.look(state).css


@register.filter
def state_icon(state: object) -> str:
    """The shape of a state: "running" → "s-run"."""
    return states.look(state).shape


@register.filter
def job_class(status: object) -> str:
    """The colour class of a job's status."""
    return (states.JOB_RUNNING if status == "running" else states.look(status)).css


@register.filter
def job_icon(status: object) -> str:
    """The shape of a job's status."""
    return (states.JOB_RUNNING if status == "running" else states.look(status)).shape


@register.filter
def bar_class(share: object, thresholds: str = "80,90") -> str:
    """The colour of a usage bar: "" (neutral), "hi" from the first threshold, "max" from the second."""
    amber, red = (float(number) for number in thresholds.split(","))
    known = _known(share) or 0.0
    return "max" if known >= red else "hi" if known >= amber else ""


@register.filter
def bar_width(share: object) -> str:
    """A share in percent as an SVG width, 0 to 100."""
    return f"{min(100.0, max(0.0, _known(share) or 0.0)):.1f}"


@register.inclusion_tag("_spark.html")
def spark(values: Sequence[float | None], top: float = 100.0, hot: float | None = None) -> dict[str, Any]:
    """The last samples as a line, 56 x 18, oldest first, 0 to `top`; orange when the newest reaches `hot`."""
    step = 56 / max(1, len(values) - 1)
    points = [
        f"{number * step:.1f} {17 - min(1.0, max(0.0, value / top)) * 16:.1f}"
        for number, value in enumerate(values)
        if value is not None
    ]
    newest = next((value for value in reversed(values) if value is not None), None)
    line = f"M{'L'.join(points)}" if len(points) > 1 else ""
    area = f"{line}L{points[-1].split()[0]} 18L{points[0].split()[0]} 18Z" if line else ""
    return {"line": line, "area": area, "is_hot": hot is not None and newest is not None and newest >= hot}


@register.filter
def half_hour(recent: object) -> SafeString:
    """The small line of a row's last half hour: `host.cpu_recent|half_hour`. Many on a page cost next to nothing."""
    return spark_svg(recent if isinstance(recent, bytes | memoryview) else None)


@register.filter
def tag_hue(name: str) -> str:
    """One of four hues for a tag's dot, always the same for the same word."""
    return f"t{hashlib.sha256(name.encode()).digest()[0] % 4 + 1}"


@register.filter
def initials(name: str) -> str:
    """Two letters for the round picture of a user: "lin.wei" → "lw"."""
    words = [word for word in name.replace(".", " ").replace("-", " ").replace("_", " ").split() if word]
    return "".join(word[0] for word in words[:2]) if len(words) > 1 else name[:2]


# --- lists --------------------------------------------------------------------------------------------------------
@register.simple_tag(takes_context=True)
def sort_header(context: Context, field: str, label: str, css: str = "", first: str = "") -> SafeString:
    """A <th> whose click sorts by `field` (?sort=field, then ?sort=-field). `first` is the list's default order."""
    request = context["request"]
    asked = request.GET.get("sort") or first
    query = request.GET.copy()
    query.pop("page", None)
    query["sort"] = f"-{field}" if asked == field else field
    kind = format_html(' class="{}"', css) if css else ""
    order, shape = "", ""
    if asked in (field, f"-{field}"):
        order = format_html(' aria-sort="{}"', "ascending" if asked == field else "descending")
        shape = format_html(" {}", icon("chevron-down" if asked == field else "chevron-up", "i-s"))
    return format_html('<th scope="col"{}{}><a href="?{}">{}{}</a></th>', kind, order, query.urlencode(), label, shape)


@register.simple_tag(takes_context=True)
def navigation_sections(context: Context) -> list[navigation.Section]:
    """The side navigation of the page shown."""
    return navigation.sections(context["request"].path, is_administrator=bool(context.get("can_administer")))


@register.filter
def nav_count(counts: Mapping[str, int], name: str) -> str:
    """The number called `name` in `nav_counts`, or nothing where it is not counted."""
    return units.count(counts[name]) if name and counts else ""


# --- forms --------------------------------------------------------------------------------------------------------
def _widget_class(widget: forms.Widget) -> str:
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        return ""
    if isinstance(widget, forms.CheckboxInput):
        return "cb"
    return "form-select" if isinstance(widget, forms.Select) else "form-control"


@register.filter
def control(field: BoundField, css: str = "") -> SafeString:
    """The form control of a field in the house look; `css` adds classes, e.g. "mono"."""
    own = field.field.widget.attrs.get("class", "")
    classes = " ".join(filter(None, (_widget_class(field.field.widget), own, css)))
    return field.as_widget(attrs={"class": classes} if classes else None)


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether the control is a single check box, whose label stands behind it."""
    return isinstance(field.field.widget, forms.CheckboxInput)


@register.filter
def is_choice_list(field: BoundField) -> bool:
    """Whether the control is a list of radio buttons or check boxes, which needs a group and a legend."""
    return isinstance(field.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)

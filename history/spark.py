"""The small line of the last half hour in a row of a list, from the row's own column (history.recent).

Drawn as a string: a page has a hundred of them, and a template each would cost as much as the rest of the page.
"""

from django.utils.safestring import SafeString

from .recent import MINUTES, UNKNOWN

WIDTH, HEIGHT = 56, 18
_X = [f"{n * WIDTH / (MINUTES - 1):.1f} " for n in range(MINUTES)]
_Y = [f"{HEIGHT - 1 - value * (HEIGHT - 2) / 100:.1f}" for value in range(101)]
_EMPTY = SafeString(f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true"></svg>')


def spark_svg(recent: bytes | memoryview | None, hot: int = 90) -> SafeString:
    """An SVG in the look of `{% spark %}`; orange when the newest value reaches `hot` percent. Empty without a line."""
    values = bytes(recent or b"")
    points = [_X[n] + _Y[min(100, value)] for n, value in enumerate(values[:MINUTES]) if value != UNKNOWN]
    if len(points) < 2:
        return _EMPTY
    line = "M" + "L".join(points)
    first, last = points[0].partition(" ")[0], points[-1].partition(" ")[0]
    css = "spark hot" if hot <= values[-1] != UNKNOWN else "spark"
    return SafeString(
        f'<svg class="{css}" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="ar" d="{line}L{last} {HEIGHT}L{first} {HEIGHT}Z"/><path class="ln" d="{line}"/></svg>'
    )

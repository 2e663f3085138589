"""The small line in lists."""

import re

from history.spark import spark_svg


def test_a_line_has_a_point_for_each_known_minute():
    svg = spark_svg(bytes([255] * 26 + [0, 50, 255, 100]))
    (line,) = re.findall(r'class="ln" d="M([^"]*)"', svg)
    assert line.split("L") == ["50.2 17.0", "52.1 9.0", "56.0 1.0"]
    assert 'class="spark hot"' in svg


def test_it_is_orange_only_while_it_is_hot():
    assert 'class="spark"' in spark_svg(bytes([95, 20]))
    assert 'class="spark"' in spark_svg(bytes([95, 95, 255]))


def test_nothing_known_is_no_line():
    assert "path" not in spark_svg(b"")
    assert "path" not in spark_svg(None)
    assert "path" not in spark_svg(bytes([255] * 29 + [7]))

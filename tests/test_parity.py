"""docs/parity.md is true: all 315 rows and 30 ideas are there, and what it claims has a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COUNTED, IDEAS = (
    re.findall(r"^\| (\d+) \| ([^|]+) \| (yes|partial|no) \| ([^|]*) \|$", part, re.M)
    for part in (ROOT / "docs/parity.md").read_text().split("\n## What no peer has\n")
)
TABLES = pytest.mark.parametrize("rows", [COUNTED, IDEAS], ids=["counted", "ideas"])


def functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_each_of_the_315_rows_and_of_the_30_ideas_is_there_once():
    assert [int(number) for number, *_ in COUNTED] == list(range(1, 316))
    assert [int(number) for number, *_ in IDEAS] == list(range(1, 31))


@TABLES
def test_each_yes_and_each_partial_names_a_test_that_exists(rows):
    wrong = []
    for number, _name, mark, proof in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", proof)
        if mark != "no" and not tests:
            wrong.append(f"row {number}: no test named")
        wrong += [
            f"row {number}: {path}::{name}"
            for path, name in tests
            if not (ROOT / path).is_file() or name not in functions(ROOT / path)
        ]
    assert wrong == []


@TABLES
def test_each_no_and_each_partial_says_why(rows):
    said = [(number, mark, re.sub(r"`[^`]*`|·", "", proof).strip()) for number, _name, mark, proof in rows]
    assert [number for number, mark, why in said if mark != "yes" and len(why) < 8] == []

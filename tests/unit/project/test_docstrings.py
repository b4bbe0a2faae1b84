"""Docstrings say what a thing is or does: none begins with a question word or with "Have"."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

FOLDERS = sorted(
    path.name for path in PROJECT.iterdir() if not path.name.startswith(".") and any(path.glob("**/*.py"))
)

OPENINGS = {"What", "Who", "Whom", "Whose", "Where", "When", "Why", "How", "Which", "Whether", "Have"}
OF_ATTRIBUTES = OPENINGS - {"Whether"}
"""An attribute may be `Whether …`; functions return it."""

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def wrong_docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and first line of each docstring, also below attributes, that begins with such a word."""
    for node in ast.walk(ast.parse(source)):
        for index, statement in enumerate(node.body if isinstance(node, DOCUMENTED) else ()):
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    openings = OF_ATTRIBUTES if index else OPENINGS
                    if (word := re.match(r"\s*(\w+)", text)) and word[1] in openings:
                        yield statement.lineno, text.strip().splitlines()[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_begin_with_a_verb_or_a_noun(folder: str) -> None:
    wrong = [
        f"{path.relative_to(PROJECT)}:{line}: {text}"
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for line, text in wrong_docstrings(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


def test_a_wrong_docstring_is_seen_wherever_it_is() -> None:
    source = '''
"""What it is."""
LIMIT = 1
"""How many."""
class Host:
    """A host, and what it has."""
    ready: bool
    """Whether it answers."""
    def running(self):
        """Whether it runs."""
'''
    assert list(wrong_docstrings(source)) == [(2, "What it is."), (4, "How many."), (10, "Whether it runs.")]

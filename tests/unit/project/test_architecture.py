"""The pages for contributors are true: paths exist, and no folder is left out."""

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=PROJECT,
    check=True,
    capture_output=True,
    text=True,
).stdout.splitlines()
UNIT = Path("tests/unit")
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")
PATH = re.compile(r"`([\w.-]+/[\w./-]*|\w+\.(?:py|toml|yaml|md))`")


def paths(page: str) -> set[str]:
    """Return every path that a page names between backticks."""
    return set(PATH.findall((PROJECT / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_for_contributors_names_is_there(page: str) -> None:
    named = paths(page)
    assert len(named) > 10
    assert [path for path in sorted(named) if not (PROJECT / path).exists()] == []


def test_the_architecture_names_every_folder_of_code_and_every_package_of_nodectl_and_planning() -> None:
    code = [Path(path) for path in TRACKED if path.endswith(".py") or path.startswith("scripts/")]
    folders = {f"{path.parts[0]}/" for path in code if len(path.parts) > 1}
    sorted_ones = ("nodectl", "planning")
    packages = {
        f"{path.parts[0]}/{path.parts[1]}/"
        for path in code
        if path.parts[0] in sorted_ones and path.parts[2:]
    }
    named = paths("docs/architecture.md")
    missing = {folder for folder in folders | packages if not any(path.startswith(folder) for path in named)}
    assert missing == set()


def test_no_folder_holds_more_than_twenty_files_of_code() -> None:
    folders: dict[Path, int] = {}
    for path in map(Path, TRACKED):
        if path.suffix == ".py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    assert {str(folder): count for folder, count in folders.items() if count > 20} == {}


def test_the_unit_tests_lie_in_a_folder_for_each_package_and_one_for_the_project() -> None:
    tests = [
        path.relative_to(UNIT).parent
        for path in map(Path, TRACKED)
        if path.is_relative_to(UNIT) and path.match("test_*.py") and (PROJECT / path).exists()
    ]
    packages = {path.parent for path in map(Path, TRACKED) if path.name == "__init__.py"}
    whole = Path("project")
    assert {folder for folder in tests if folder != whole and folder not in packages} == set()
    tops = {package for package in packages if len(package.parts) == 1}
    assert tops | {whole} == {Path(*folder.parts[:1]) for folder in tests}

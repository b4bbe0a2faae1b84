"""Programs that only write down how they were called, first on PATH."""

import os
from pathlib import Path

import pytest


class StubPrograms:
    """A folder of stubs, and what they were called with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._calls = folder / "calls"
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def add(self, name: str, script: str = "") -> None:
        """Add a program that notes its call and then runs `script` (sh)."""
        stub = self._folder / name
        stub.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._calls}"\n{script}\n')
        stub.chmod(0o755)

    def calls(self, name: str = "") -> list[str]:
        """Return the calls so far, of one program or of all, each as one line."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line for line in lines if line.split()[0] == name or not name]

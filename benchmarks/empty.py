"""An empty Pulumi program, without this project's policy pack: the fixed cost of `pulumi up`."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import seconds

PROJECT = Path(__file__).parent.parent
STACK_FILE = f"""name: empty
runtime:
  name: python
  options: {{toolchain: uv, virtualenv: {PROJECT / ".venv"}}}
"""

UP = ("pulumi", "up", "--yes", "--skip-preview", "--stack")


@dataclass(frozen=True)
class EmptyProgram:
    """The program in its own folder, with its own stack and state."""

    folder: Path
    env: Mapping[str, str]

    @classmethod
    def make(cls, folder: Path, *, policies: bool = False) -> "EmptyProgram":
        """Write the program into the existing `folder`, and create its stack.

        With `policies`, the policy pack is loaded, where this shell names it.
        """
        (folder / "Pulumi.yaml").write_text(STACK_FILE, encoding="utf-8")
        (folder / "__main__.py").write_text("", encoding="utf-8")
        (folder / "state").mkdir()
        env = dict(os.environ)
        if not policies:
            env.pop("PULUMI_OPTION_POLICY_PACK", None)
        program = cls(folder, env | {"PULUMI_BACKEND_URL": f"file://{folder}/state"})
        init = ["pulumi", "stack", "init", "empty"]
        subprocess.run(init, cwd=folder, env=program.env, check=True, capture_output=True)
        return program

    def up(self) -> float:
        """Return the seconds that `pulumi up` of it takes."""
        return seconds([*UP, "empty"], cwd=self.folder, env=self.env)

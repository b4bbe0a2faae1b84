"""An empty Pulumi program, without this project's policy pack: what `pulumi up` costs whatever it does."""

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
    """The program in a folder of its own, with a stack and state of its own."""

    folder: Path
    env: Mapping[str, str]

    @classmethod
    def make(cls, folder: Path, *, policies: bool = False) -> "EmptyProgram":
        """Write the program into `folder`, which is there, and make its stack.

        With `policies`, the policy pack is loaded, where this shell names it.
        """
        (folder / "Pulumi.yaml").write_text(STACK_FILE, encoding="utf-8")
        (folder / "__main__.py").write_text("", encoding="utf-8")
        (folder / "state").mkdir()
        env = dict(os.environ)
        if not policies:
            env.pop("PULUMI_OPTION_POLICY_PACK", None)
        made = cls(folder, env | {"PULUMI_BACKEND_URL": f"file://{folder}/state"})
        init = ["pulumi", "stack", "init", "empty"]
        subprocess.run(init, cwd=folder, env=made.env, check=True, capture_output=True)
        return made

    def up(self) -> float:
        """Return what `pulumi up` of it takes, in seconds."""
        return seconds([*UP, "empty"], cwd=self.folder, env=self.env)

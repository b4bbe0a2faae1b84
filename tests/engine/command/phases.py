"""A program deployed in phases, with what each of them did."""

from dataclasses import dataclass
from typing import Any

from tests.engine.pulumi_cli import PulumiProject, Result

STACK = "dev"


@dataclass(frozen=True)
class Phase:
    """One run of the engine, and the state after it."""

    result: Result
    ran: list[str]
    """Lines that the program's commands wrote into the file `journal`, in order."""

    resources: dict[str, Any]

    @property
    def outputs(self) -> dict[str, Any]:
        """Outputs of the stack."""
        found: dict[str, Any] = self.resources["small-dev"]["outputs"]
        return found

    def saved(self, name: str) -> dict[str, Any]:
        """Outputs of one resource, as the state holds them."""
        found: dict[str, Any] = self.resources[name]["outputs"]
        return found


def deploy(project: PulumiProject, phase: object, *options: str, check: bool = True) -> Phase:
    """Deploy the program with `PHASE` set to `phase`."""
    return _phase(project, project.up(STACK, *options, check=check, PHASE=str(phase)))


def destroy(project: PulumiProject) -> Phase:
    """Delete every resource."""
    return _phase(project, project.destroy(STACK))


def _phase(project: PulumiProject, result: Result) -> Phase:
    journal = project.folder / "journal"
    ran = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    journal.unlink(missing_ok=True)
    return Phase(result, ran, project.resources(STACK))

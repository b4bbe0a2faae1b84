"""What goes wrong in a lab."""

from scripts.toolchain.common import ToolchainError


class LabError(ToolchainError):
    """A host or the lab does not do what was asked, said in one message that ends with what to do."""

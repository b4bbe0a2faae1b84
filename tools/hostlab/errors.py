"""Failures of a lab."""

from tools.toolchain.common import ToolchainError


class LabError(ToolchainError):
    """A host or the lab failed; one message that ends with the remedy."""

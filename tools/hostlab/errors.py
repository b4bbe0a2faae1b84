"""Failures of a lab."""

from tools.toolchain.common import ToolchainError


class LabError(ToolchainError):
    """A host or the lab does not do what was asked, said in one message that ends with what to do."""

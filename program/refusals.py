"""Errors that end the program where something is wrong: one clear text, and no stack trace."""

import pulumi

from settings.problems import StackFileError


def refused(error: StackFileError) -> pulumi.RunError:
    """Return what ends the program with everything that is wrong with the stack file."""
    return pulumi.RunError(error.of(pulumi.get_stack()))


def nothing_created(error: Exception) -> pulumi.RunError:
    """Return what ends the program before anything is created, and says so."""
    return pulumi.RunError(f"{error}\nNothing was created.")

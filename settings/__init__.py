"""The stack file as strict models, no Pulumi."""

from settings.models import Settings

__all__ = ["Settings"]

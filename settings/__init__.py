"""What a user may say in a stack file: strict models, no Pulumi."""

from settings.models import Settings

__all__ = ["Settings"]

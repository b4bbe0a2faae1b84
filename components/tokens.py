"""Type tokens of components that others read from state; this module needs no Pulumi."""

from typing import Final

NODE: Final = "dynamo:node:Deployment"
"""`NodeDeployment`: its outputs say how the node is reached."""

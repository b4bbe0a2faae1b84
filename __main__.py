"""The program on one screen: a stack file is read, planned, realised as nodes that converge, and proved."""

import pulumi

from components.deployment import Deployment, DeploymentArgs
from program.announcing import announce
from program.configuration import make_plan, read_settings, secrets
from program.nodes import find_addresses, make_nodes

settings = read_settings()
plan = make_plan(settings)
addresses = find_addresses(plan)
announce(plan, addresses)
nodes = make_nodes(plan, addresses)
deployment = Deployment(pulumi.get_stack(), DeploymentArgs(plan, nodes, secrets(settings)))
pulumi.export("endpoint", deployment.endpoint)
pulumi.export("proof", deployment.proof)

"""The program on one screen: a stack file is read, planned, realised as nodes that converge, and proved."""

import pulumi

from components.deployment import Deployment, DeploymentArgs
from components.program import announce, make_nodes, make_plan, read_settings, secrets

settings = read_settings()
plan = make_plan(settings)
nodes = make_nodes(settings, plan)
announce(plan, nodes)
deployment = Deployment(pulumi.get_stack(), DeploymentArgs(plan, nodes, secrets(settings)))
pulumi.export("endpoint", deployment.endpoint)
pulumi.export("proof", deployment.proof)

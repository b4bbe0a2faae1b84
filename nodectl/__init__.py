"""The program that runs on a node: installs a runtime, converges the node to its manifest. No Pulumi."""

"""What runs on a node: installs a runtime and converges the node to its manifest. No Pulumi."""

"""Resources of the target `aws`: network, security groups, keys, and an instance a node.

Importing the modules below loads Pulumi's AWS SDK, which takes seconds: only the target `aws` does.
"""

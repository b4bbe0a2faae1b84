"""Stand-in for Pulumi's `aws` provider: the resource types that this project uses, over boto3. A test tool.

See docs/aws-stand-in.md.
"""

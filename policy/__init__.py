"""Rules that no stack on AWS may break, whatever the program decides: a Pulumi policy pack (docs/policy.md).

It imports nothing of the program that it judges, so that one slip cannot be in both.
"""

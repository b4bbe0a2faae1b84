"""Pulumi policy pack: rules that no stack on AWS may break (docs/policy.md).

It imports nothing of the program that it checks, so that one mistake cannot be in both.
"""

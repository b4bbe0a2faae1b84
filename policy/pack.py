"""The rules as Pulumi policies: run before each resource is created, or once over a whole stack."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.resource import UNKNOWN, Resource, Rule
from policy.rules import RULES


def policy(rule: Rule) -> Policy:
    """Return a rule as a Pulumi policy."""
    return _of_stack(rule) if rule.whole_stack else _of_resource(rule)


def plain(value: Any) -> Any:
    """Return a property's value without Pulumi's wrappers, with UNKNOWN for values not known yet."""
    if isinstance(value, Mapping):
        return {key: _entry(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_entry(value, index) for index in range(len(value))]
    return value


def main() -> None:
    """Serve until the engine ends."""
    PolicyPack("dynamo-multinode", [policy(rule) for rule in RULES], EnforcementLevel.MANDATORY)


def _of_resource(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for text in rule.violations(Resource(args.resource_type, args.name, plain(args.props))):
            report(text, None)

    return ResourceValidationPolicy(rule.name, rule.description, validate)


def _of_stack(rule: Rule) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for resource in args.resources:
            for text in rule.violations(_with_dependencies(resource)):
                report(text, resource.urn)

    return StackValidationPolicy(rule.name, rule.description, validate)


def _with_dependencies(resource: PolicyResource) -> Resource:
    needs = {
        key: [
            Resource(dependency.resource_type, dependency.name, plain(dependency.props))
            for dependency in dependencies
        ]
        for key, dependencies in resource.property_dependencies.items()
    }
    return Resource(resource.resource_type, resource.name, plain(resource.props), needs)


def _entry(value: Any, key: Any) -> Any:
    try:
        return plain(value[key])
    except UnknownValueError:
        return UNKNOWN

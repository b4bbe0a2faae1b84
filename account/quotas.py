"""The quotas that count instances: vCPUs by family and purchase option, as in Service Quotas.

Codes and names: the general reference, "Amazon EC2 endpoints and quotas", and EC2's user guide, "Spot
Instance quotas". Instances in a capacity block are bought ahead, those in a reservation were counted when it
was created: quotas do not apply to them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

SERVICE: Final = "ec2"
ELASTIC_IPS: Final = "L-0263D0A3"
"""`EC2-VPC Elastic IPs`: 5 in a new account."""
VPCS: Final = "L-F678F1CE"
"""`VPCs per Region`: 5 in a new account."""
_VPC_SERVICE: Final = "vpc"

Group = Literal["P", "G and VT", "Standard"]
QuotaOption = Literal["on-demand", "spot"]


@dataclass(frozen=True)
class Family:
    """Instance types that one quota counts. If AWS's pages name several codes, the larger quota decides."""

    group: Group
    codes: Mapping[QuotaOption, tuple[str, ...]]
    pattern: re.Pattern[str]


_FAMILIES: Final = (
    # p5 was taken out of "P4, P3 and P2" into a spot quota of its own; where p6 counts is not said
    Family("P", {"on-demand": ("L-417A185B",), "spot": ("L-C4BD4855", "L-7212CCBC")}, re.compile(r"p[5-9]")),
    Family("P", {"on-demand": ("L-417A185B",), "spot": ("L-7212CCBC",)}, re.compile(r"p[2-4]")),
    Family("G and VT", {"on-demand": ("L-DB2E81BA",), "spot": ("L-3819A6DF",)}, re.compile(r"(g|gr|vt)\d")),
    Family(
        "Standard",
        {"on-demand": ("L-1216C47A",), "spot": ("L-34B43A08",)},
        re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d"),
    ),
)


def family(instance_type: str) -> Family | None:
    """Return the family of an instance type; None for families that no node can have."""
    return next((candidate for candidate in _FAMILIES if candidate.pattern.match(instance_type)), None)


def counts(instance_type: str, option: QuotaOption, code: str) -> bool:
    """Return whether the quota `code` counts an instance of a type and purchase option."""
    counting = family(instance_type)
    return counting is not None and code in counting.codes[option]


def service(code: str) -> str:
    """Return the service that a quota belongs to."""
    return _VPC_SERVICE if code == VPCS else SERVICE


def page(code: str, region: str) -> str:
    """Return the console page where an increase is requested."""
    home = f"https://{region}.console.aws.amazon.com/servicequotas/home/services"
    return f"{home}/{service(code)}/quotas/{code}"

"""Service Quotas as the account answers it: what a test has set, five addresses, and plenty of all else."""

import json
from collections.abc import Mapping
from typing import Any, Final

from moto.core.exceptions import JsonRESTError
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from tests.aws.cloud.actions import current
from tests.aws.cloud.state import ADDRESSES, Option

ELASTIC_IPS: Final = "L-0263D0A3"
VPCS: Final = "L-F678F1CE"
PLENTY: Final = 100_000

QUOTAS: Final[Mapping[str, tuple[str, tuple[str, Option] | None]]] = {
    ELASTIC_IPS: ("EC2-VPC Elastic IPs", None),
    VPCS: ("VPCs per Region", None),
    "L-417A185B": ("Running On-Demand P instances", ("p", "on-demand")),
    "L-7212CCBC": ("All P4, P3 and P2 Spot Instance Requests", ("p", "spot")),
    "L-C4BD4855": ("All P5 Spot Instance Requests", ("p", "spot")),
    "L-DB2E81BA": ("Running On-Demand G and VT instances", ("g", "on-demand")),
    "L-3819A6DF": ("All G and VT Spot Instance Requests", ("g", "spot")),
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", None),
    "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", None),
}
"""Code -> name, and the family and purchase option that a test sets a limit for."""


def install() -> None:
    """Put the answers in place; moto has none of EC2's quotas."""
    ServiceQuotasResponse.get_service_quota = _answer  # type: ignore[method-assign,assignment]


def _answer(request: Any) -> str:
    if not current.state.tells_quotas:
        raise JsonRESTError(
            "AccessDeniedException", "not authorized to perform servicequotas:GetServiceQuota"
        )
    code = str(json.loads(request.body)["QuotaCode"])
    if code not in QUOTAS:
        raise NoSuchResource
    name, limited = QUOTAS[code]
    value = ADDRESSES if code == ELASTIC_IPS else PLENTY
    if limited is not None:
        value = current.state.quotas.get(limited, PLENTY)
    return json.dumps({"Quota": {"QuotaCode": code, "QuotaName": name, "Value": float(value)}})

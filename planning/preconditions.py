"""Keys that a plan needs before it may cost anything; without them it can be shown all the same."""

from collections.abc import Iterator

from nodectl.common.redaction import shown
from planning.roles import engine_kind
from planning.sizing.cost import Cost, over_limit
from planning.sizing.fit import shape
from planning.values import Plan
from settings.encrypted import SET_TOKEN, TOKEN_KEY
from settings.problems import Problem


def unmet_preconditions(plan: Plan, cost: Cost | None) -> list[Problem]:
    """Return why `plan` may not be brought up at that cost (`planning.sizing.cost.cost`)."""
    return [*_token(plan), *_limit(plan, cost)]


def _token(plan: Plan) -> Iterator[Problem]:
    settings = plan.settings
    model_shape = shape(settings.model)
    if settings.model.source != "hub" or settings.hugging_face_token is not None or model_shape is None:
        return
    if model_shape.gated and not settings.target.on_this_machine and engine_kind(settings) == "vllm":
        yield Problem(
            TOKEN_KEY,
            f"missing: {settings.model.name} is gated; ask for access on its page of the hub, then run "
            f"{SET_TOKEN}",
        )


def _limit(plan: Plan, cost: Cost | None) -> Iterator[Problem]:
    if cost is not None and (message := over_limit(plan, cost)):
        yield Problem("cost.maxHourly", message, shown(plan.settings.cost.max_hourly))

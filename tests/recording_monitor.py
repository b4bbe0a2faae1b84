"""Pulumi's engine replaced by a record of what a program registers, as it goes over the wire."""

from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from pulumi.runtime import mocks


@dataclass
class Registration:
    """A request to register a resource, and the URN that it was given."""

    request: Any
    urn: str = ""


class RecordingMonitor(mocks.MockMonitor):
    """Keeps every request to register a resource, and the outputs that components register."""

    def __init__(self, answers: mocks.Mocks) -> None:
        super().__init__(answers)
        self.registered: list[Registration] = []
        """In the order of the requests."""
        self.outputs: dict[str, Any] = {}
        """By the URN of a component."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's own name
        registration = Registration(request)
        self.registered.append(registration)  # first: requests are answered side by side
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        registration.urn = answer.urn
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's own name
        self.outputs[request.urn] = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

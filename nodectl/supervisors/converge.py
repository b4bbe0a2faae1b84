"""Stops services in the order that they need, and starts those that are idle."""

from collections.abc import Collection, Mapping

from nodectl.common.steps import say
from nodectl.runtime import container
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import Supervisor


def stop(supervisor: Supervisor, services: Collection[str], launches: Mapping[str, Launch]) -> None:
    """Stop services; what others wait for (etcd, NATS) goes last, since workers deregister as they end."""
    dependent = {service for service in services if service in launches and launches[service].after}
    for wave in (dependent, set(services) - dependent):
        if wave:
            say(f"stopping {', '.join(sorted(wave))}")
            supervisor.stop(wave)
            container.remove(launches[service].container for service in wave if service in launches)


def start_idle(supervisor: Supervisor) -> set[str]:
    """Start every loaded service that does not run, such as one that a killed nodectl had stopped."""
    idle = {service for service, state in supervisor.states().items() if state.idle}
    if idle:
        say(f"starting {', '.join(sorted(idle))}")
        supervisor.start(idle)
    return idle

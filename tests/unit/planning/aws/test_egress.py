"""With `egress: endpoints` all that nodes fetch lies on S3 of the region or on their image, or is refused."""

from itertools import product
from typing import Any

import pytest

from planning import describe, plan
from planning.aws.egress import is_s3
from settings import Settings
from settings.proxy import ProxySettings
from tests.unit.plan_examples import AWS, real, refusals

OWN_IMAGE = "ami-0123456789abcdef0"
REGION = "us-east-1"
S3 = f"https://files.s3.{REGION}.amazonaws.com"
AWAY = "https://files.example.org"

MODELS: dict[str, dict[str, Any]] = {
    "hub": {"name": "someone/model"},
    "s3": {"name": "m", "source": "s3", "uri": "s3://models/m"},
    "path": {"name": "m", "source": "path", "path": "/models/m"},
}
ENGINES: dict[str, dict[str, Any]] = {
    "venv": {"kind": "venv"},
    "preinstalled": {"kind": "preinstalled", "path": "/opt/dynamo"},
    "container": {"kind": "container", "image": "registry.example.org/dynamo:9"},
}
PACKAGES: dict[str, dict[str, Any]] = {
    "anywhere": {},
    "wheels": {"wheels": "/srv/wheels"},
    "index on S3": {"index": f"{S3}/simple"},
    "index away": {"index": f"{AWAY}/simple"},
}


def archive(site: str) -> dict[str, str]:
    return {"url": f"{site}/x.tar.gz", "sha256": "ab" * 32}


STORES: dict[str, dict[str, Any]] = {
    "default": {},
    "bundled": {"source": "bundled"},
    "distribution": {"source": "distribution"},
    "release": {"source": "release"},
    "both on S3": {"etcd": archive(S3), "nats": archive(S3)},
    "etcd alone on S3": {"etcd": archive(S3)},
    "nats away": {"etcd": archive(S3), "nats": archive(AWAY)},
}


def stack(
    model: str, engine: str, packages: str, stores: str, *, ami: str | None, egress: str = "endpoints"
) -> Settings:
    runtime = ENGINES[engine] | PACKAGES[packages] | {"stores": STORES[stores]}
    target = AWS | {"network": {"egress": egress}, "access": "ssm"} | ({"ami": ami} if ami else {})
    role = {"aggregated": {"replicas": 2}}
    return real("agg", role, target=target, model=MODELS[model], runtime=runtime)


def out_of_reach(model: str, engine: str, packages: str, stores: str, *, ami: str | None) -> set[str]:
    """Return the keys of what is neither on S3 nor, as far as can be known, on the image."""
    model_key = {"hub": "model.source"}.get(model, "")
    package_key = {"anywhere": "runtime.kind", "index away": "runtime.index"}.get(packages, "")
    image_key = "runtime.image" if engine == "container" and ami is None else ""
    store_key = {
        "default": "runtime.stores.source",
        "release": "runtime.stores.source",
        "etcd alone on S3": "runtime.stores.source",
        "nats away": "runtime.stores.nats.url",
        "distribution": "" if ami else "runtime.stores.source",
    }.get(stores, "")
    return {model_key, package_key, image_key, store_key} - {""}


@pytest.mark.parametrize("ami", [None, OWN_IMAGE], ids=["the default image", "an own image"])
@pytest.mark.parametrize(("model", "engine"), list(product(MODELS, ENGINES)))
def test_every_runtime_and_store_is_looked_at(model: str, engine: str, ami: str | None) -> None:
    for packages, stores in product(PACKAGES, STORES):
        told = refusals(stack(model, engine, packages, stores, ami=ami))
        assert told.keys() == out_of_reach(model, engine, packages, stores, ami=ami), (packages, stores)
        assert all("leaves no way to" in text and "`egress: nat`" in text for text in told.values())
        assert refusals(stack(model, engine, packages, stores, ami=ami, egress="nat")) == {}


def test_several_frontends_need_a_balancer_on_the_image() -> None:
    roles = {"frontend": {"replicas": 2}, "aggregated": {"replicas": 2}}
    runtime = {"kind": "venv", "wheels": "/srv/wheels", "stores": {"source": "bundled"}}
    target = AWS | {"network": {"egress": "endpoints"}, "access": "ssm"}
    of = real("agg", roles, target=target, model=MODELS["s3"], runtime=runtime)
    assert "haproxy" in refusals(of)["roles.frontend.replicas"]
    own = real("agg", roles, target=target | {"ami": OWN_IMAGE}, model=MODELS["s3"], runtime=runtime)
    assert refusals(own) == {}


def test_what_only_an_own_image_can_hold_is_noted_where_awss_is_booted() -> None:
    told = describe(plan(stack("path", "preinstalled", "wheels", "bundled", ami=None)))
    assert "model.path, runtime.path, runtime.wheels: AWS's image has no such thing" in told
    own = describe(plan(stack("path", "preinstalled", "wheels", "bundled", ami=OWN_IMAGE)))
    assert "AWS's image" not in own


@pytest.mark.parametrize(
    ("host", "region", "reached"),
    [
        ("b.s3.us-east-1.amazonaws.com", "us-east-1", True),
        ("s3.us-east-1.amazonaws.com", "us-east-1", True),
        ("b.s3.dualstack.us-east-1.amazonaws.com", "us-east-1", True),
        ("b.s3-us-west-2.amazonaws.com", "us-west-2", True),
        ("b.s3.cn-north-1.amazonaws.com.cn", "cn-north-1", True),
        ("b.s3.amazonaws.com", "us-east-1", True),
        ("b.s3.amazonaws.com", "us-west-2", False),
        ("b.s3.us-west-2.amazonaws.com", "us-east-1", False),
        ("b.s3-website-us-east-1.amazonaws.com", "us-east-1", False),
        ("b.s3.us-east-1.amazonaws.com.example.org", "us-east-1", False),
        ("s3xus-east-1.amazonaws.com", "us-east-1", False),
        ("d-1.d.codeartifact.us-east-1.amazonaws.com", "us-east-1", False),
        ("packages.example.org", "us-east-1", False),
    ],
)
def test_the_gateway_endpoint_leads_to_s3_of_the_region_alone(host: str, region: str, reached: bool) -> None:
    assert is_s3(f"https://{host}/simple", region) is reached


def test_what_a_proxy_fetches_needs_no_way_of_its_own() -> None:
    of = stack("hub", "venv", "anywhere", "default", ami=None)
    behind = of.model_copy(update={"proxy": ProxySettings(https="http://proxy.example.org:3128")})
    assert refusals(of) != {}
    assert refusals(behind) == {}

"""Every key of a stack file is checked by its form: known wrong forms are told, right ones are taken.

The table names every key that takes text, with forms of it that people write wrongly and rightly; numbers,
truth values and words of a list are drawn from the schema.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from settings.aws.regions import PARTITIONS, REGIONS
from settings.loader import read_stack_file
from settings.problems import StackFileError
from settings.schema import at, properties, settings_schema
from tests.unit.complete_files import FILES, edited, paths

PUBLIC_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
DIGEST = "sha256:" + "ab" * 32
KMS_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ACCOUNT = "arn:aws:kms:us-east-1:123456789012"


class Form(NamedTuple):
    """A key by its place in one of the complete files, with texts that are wrong, each with what is said."""

    place: str
    wrong: dict[Any, str]
    right: tuple[Any, ...] = ()


_FOLDER = {
    "models/llama": "absolute path",
    "~/models": "absolute path",
    "$HOME/models": "absolute path",
    "/home/$USER/models": "`$`",
    "/models/../etc": "without `..`",
    "/models/./llama": "without `..`",
    "/": "below /",
    "//": "below /",
    "/models//llama": "doubled slashes",
    "gpu-1:/models": "absolute path",
    "/models:ro": "`:`",
    "C:\\models": "absolute path",
    "/models\\llama": "`\\`",
    "-/models": "leading dash",
    "s3://models/llama": "absolute path",
    "file:///models": "absolute path",
}
_URL = {
    "packages.example.org/simple": "http or https",
    "ftp://packages.example.org": "http or https",
    "file:///srv/wheels": "http or https",
    "https://": "http or https",
    "https:///simple": "http or https",
    "https://https://packages.example.org": "http or https",
    "https://packages.example.org:port/simple": "http or https",
    "https://packages.example.org:99999/simple": "http or https",
    "https://pack ages.example.org": "http or https",
    "https://[2001:db8::1/simple": "http or https",
    "https://me@packages.example.org/simple": "~/.netrc",
    "https://me:kitchen@packages.example.org/simple": "~/.netrc",
    "https://packages.example.org/simple?token=kitchen": "~/.netrc",
    "https://packages.example.org/simple?X-Amz-Signature=9f86": "~/.netrc",
}
_URLS = (
    "http://127.0.0.1:3141/root/pypi",
    "https://packages.example.org./simple/",
    "https://[2001:db8::1]:8443/simple",
    "https://mirror_1.example.org/get?file=etcd.tar.gz",
)
_PROXY = {
    "proxy.example.org:3128": "scheme, host and port",
    "socks5://proxy.example.org:1080": "scheme, host and port",
    "http://": "scheme, host and port",
    "http://proxy.example.org:port": "scheme, host and port",
    "http://proxy.example.org:99999": "scheme, host and port",
    "http://proxy.example.org:3128/path": "scheme, host and port",
    "http://proxy.example.org:3128?x": "scheme, host and port",
    "http://pro xy:3128": "scheme, host and port",
    "http://me@proxy.example.org:3128": "user and password may not stand here",
    "http://me:kitchen@proxy.example.org:3128": "have the proxy let the nodes in by address",
    "me:kitchen@proxy.example.org:3128": "have the proxy let the nodes in by address",
}
_PROXIES = (
    "http://proxy.example.org:3128",
    "https://[2001:db8::1]:3128",
    "http://10.0.0.1:3128/",
    "http://proxy",
)
_USER = {
    "two words": "name of a user",
    "-l": "name of a user",
    "$(id)": "name of a user",
    "": "name of a user",
    "1ops": "name of a user",
}
_USERS = ("root", "ops", "first.last", "_svc", "user@realm")
_BASTION = {
    "https://bastion": "user@[IPv6]:port",
    "ssh://ops@bastion": "user@[IPv6]:port",
    "ops:kitchen@bastion": "no password",
    "ops@bastion:ssh": "1 to 65535",
    "ops@bastion:0": "1 to 65535",
    "ops@bastion:70000": "1 to 65535",
    "ops@bastion:": "1 to 65535",
    "ops@": "user@[IPv6]:port",
    "@bastion": "user@[IPv6]:port",
    "ops@[2001:db8::zz]:22": "user@[IPv6]:port",
    "ops@[bastion]:22": "user@[IPv6]:port",
    "ops@2001:db8::1:99999": "user@[IPv6]:port",
    "ops@0.0.0.0": "no machine has",
    "ops@10.0.0.300": "four numbers",
    "ops@::": "no machine has",
    "bastion one": "user@[IPv6]:port",
    "-oProxyCommand=reboot": "user@[IPv6]:port",
    "bastion-": "user@[IPv6]:port",
    "bastion..example.org": "user@[IPv6]:port",
}
_BASTIONS = (
    "bastion",
    "ops@bastion.example.org.",
    "ops@bastion:2222",
    "ops@[2001:db8::1]:2222",
    "[2001:db8::1]",
    "2001:db8::1",
    "ops@2001:db8::1",
    "ops@198.51.100.7:22",
)
_RANGE = {
    "office": "203.0.113.0/24",
    "203.0.113": "203.0.113.0/24",
    "203.0.113.7/24": "write 203.0.113.0/24",
    "203.0.113.7/33": "203.0.113.0/24",
    "203.0.113.1-203.0.113.9": "203.0.113.0/24",
    "fe80::1%eth0": "without the scope",
    "fe80::%eth0/64": "without the scope",
    "fe80::1%x; drop": "without the scope",
    "0.0.0.0": "write 0.0.0.0/0",
    "::": "write ::/0",
    "224.0.0.0/4": "nobody connects from",
    "255.255.255.255": "nobody connects from",
    "240.0.0.0/4": "nobody connects from",
    "ff02::/16": "nobody connects from",
    "https://203.0.113.7": "203.0.113.0/24",
    "203.0.113.7:443": "203.0.113.0/24",
}
_RANGES = ("203.0.113.7", "203.0.113.0/24", "10.0.0.0/8", "100.64.0.0/10", "198.51.100.0/255.255.255.0")
_ID = {
    "{}-": "such as",
    "{}-123": "such as",
    "{}-0123456789abcdeg0": "such as",
    "{}_0123456789abcdef0": "such as",
}


def _id(prefix: str, place: str) -> Form:
    wrong = {text.format(prefix): "such as" for text in _ID} | {
        "i-0123456789abcdef0": f"such as {prefix}-",
        f"{prefix}-0123456789abcdef01": "such as",
        f"arn:aws:ec2:us-east-1:123456789012:x/{prefix}-0123456789abcdef0": "such as",
    }
    return Form(place, wrong, (f"{prefix}-01234567", f"{prefix}-0123456789abcdef0"))


FORMS = {
    # the model
    "ModelSettings.name": Form(
        "hosts model.name",
        {
            "https://huggingface.co/someone/model": "a hub id",
            "/models/llama": "write `source: path`",
            "someone/model/main": "a hub id",
            "someone model": "a hub id",
            "s3://models/llama": "a hub id",
        },
        ("someone/model", "gpt2", "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8"),
    ),
    "ModelSettings.servedName": Form(
        "local model.servedName", {"": "1 to 255", " a": "spaces around"}, ("a b",)
    ),
    "ModelSettings.revision": Form(
        "hosts model.revision",
        {
            "main..next": "a branch, a tag or a commit",
            "main~1": "a branch, a tag or a commit",
            "two words": "a branch, a tag or a commit",
            "/main": "a branch, a tag or a commit",
            "main/": "a branch, a tag or a commit",
            "a//b": "a branch, a tag or a commit",
            "https://huggingface.co/x/y/tree/main": "a branch, a tag or a commit",
            "main.lock": "a branch, a tag or a commit",
        },
        ("main", "v1.0", "refs/pr/7", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", "1.10"),
    ),
    "ModelSettings.path": Form("local model.path", _FOLDER, ("/models/llama", "/models/llama/", "/m/a b")),
    "ModelSettings.uri": Form(
        "aws model.uri",
        {
            "https://models.s3.amazonaws.com/llama": "s3://bucket/folder",
            "s3://models": "s3://bucket/folder",
            "s3://Models/llama": "s3://bucket/folder",
            "s3://models//llama": "s3://bucket/folder",
            "s3://models/../llama": "s3://bucket/folder",
            "arn:aws:s3:::models/llama": "s3://bucket/folder",
            "models/llama": "s3://bucket/folder",
        },
        ("s3://models/llama", "s3://models/llama/", "s3://my.models/a/b=1"),
    ),
    # machines
    "HostEntry.name": Form(
        "hosts target.inventory.0.name",
        {
            "GPU-1": "a-z",
            "gpu_1": "a-z",
            "gpu-1.example.org": "a-z",
            "-gpu": "a-z",
            "": "a-z",
            "a" * 64: "a-z",
        },
        ("gpu-9", "a", "10"),
    ),
    "HostEntry.address": Form(
        "hosts target.inventory.0.address",
        {
            "gpu-1": "such as 10.0.0.11",
            "10.0.0": "such as 10.0.0.11",
            "10.0.0.256": "such as 10.0.0.11",
            "010.0.0.1": "such as 10.0.0.11",
            "10.0.0.1/24": "such as 10.0.0.11",
            "10.0.0.1:22": "such as 10.0.0.11",
            "2001:db8::1": "such as 10.0.0.11",
            "0.0.0.0": "0.0.0.0/8",
            "0.1.2.3": "0.0.0.0/8",
            "127.0.0.1": "loopback",
            "224.0.0.1": "multicast",
            "239.255.255.255": "multicast",
            "240.0.0.1": "240.0.0.0/4",
            "255.255.255.255": "the broadcast address",
            "169.254.169.254": "clouds",
            "10.0.0.0": "the network 10.0.0.0/8 itself",
            "10.255.255.255": "broadcast address of 10.0.0.0/8",
            "172.16.0.0": "the network 172.16.0.0/12 itself",
            "192.168.0.0": "the network 192.168.0.0/16 itself",
            "192.168.255.255": "broadcast address of 192.168.0.0/16",
            "100.64.0.0": "the network 100.64.0.0/10 itself",
        },
        ("10.0.0.1", "100.64.0.1", "172.31.255.254", "203.0.113.9", "10.0.1.0", "169.254.3.4"),
    ),
    "HostEntry.host": Form(
        "hosts target.inventory.0.host",
        {
            "gpu-1:2222": "write a port as `port`",
            "10.0.0.11:22": "write a port as `port`",
            "[2001:db8::1]:22": "write a port as `port`",
            "[2001:db8::1]": "without brackets",
            "ops@gpu-1": "as `user`",
            "ssh://gpu-1": "no URL",
            "gpu-1/x": "no URL",
            "10.0.0.300": "four numbers",
            "10.1": "four numbers",
            "0x7f000001": "four numbers",
            "2130706433": "four numbers",
            "0.0.0.0": "0.0.0.0/8",
            "::": "no machine has",
            "ff02::1": "no machine has",
            "255.255.255.255": "the broadcast address",
            "gpu..example.org": "host name",
            "gpu-1,gpu-2": "host name",
            "gpu 1": "host name",
            "-oProxyCommand=reboot": "host name",
            "a" * 64 + ".example.org": "host name",
        },
        (
            "gpu-1",
            "gpu_1.example.org",
            "GPU-1.example.org.",
            "10.0.0.11",
            "2001:db8::1",
            "127.0.0.1",
            "localhost",
        ),
    ),
    "HostEntry.user": Form("hosts target.inventory.0.user", _USER, _USERS),
    "HostEntry.bastion": Form("hosts target.inventory.0.bastion", _BASTION, _BASTIONS),
    "HostEntry.hostKey": Form(
        "hosts target.inventory.0.hostKey",
        {
            "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU": "ssh_host_ed25519_key.pub",
            PUBLIC_KEY: "type and key",
            f"gpu-1 ssh-ed25519 {PUBLIC_KEY}": "the first two words",
            f"ssh-ed25519 {PUBLIC_KEY} root@gpu-1": "the first two words",
            f"ssh-ed25519 {PUBLIC_KEY[:-4]}": "cut off or mistyped",
            f"ssh-ed25519 {PUBLIC_KEY[:-1]}": "cut off or mistyped",
            f"ssh-ed25519 {PUBLIC_KEY[4:]}": "cut off or mistyped",
            "ssh-ed25519 AAAA": "cut off or mistyped",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5": "no key of type",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAA2Zvbw==": "no key of type",
            f"ssh-rsa {PUBLIC_KEY}": "no key of type ssh-rsa",
            f"ssh-ed2551 {PUBLIC_KEY}": "type and key",
            "ssh-dss AAAAB3NzaC1kc3M=": "type and key",
            "/etc/ssh/ssh_host_ed25519_key.pub": "type and key",
        },
        (f"ssh-ed25519 {PUBLIC_KEY}",),
    ),
    "HostsTarget.user": Form("hosts target.user", _USER, _USERS),
    "HostsTarget.bastion": Form("hosts target.bastion", _BASTION, _BASTIONS),
    "FirewallSettings.clients": Form(
        "hosts target.firewall.clients.0",
        _RANGE,
        (*_RANGES, "2001:db8::/32", "fe80::/10", "0.0.0.0/0", "::/0"),
    ),
    # AWS
    "AwsTarget.instanceType": Form(
        "aws target.instanceType",
        {
            "H100": "such as",
            "P5.48xlarge": "such as",
            "p5": "such as",
            "p5.48xlarge ": "such as",
            "": "such as",
        },
        ("p5.48xlarge", "u-6tb1.metal"),
    ),
    "AwsTarget.headInstanceType": Form(
        "aws target.headInstanceType", {"big": "such as", "M7i.2xlarge": "such as"}, ("c7i.large",)
    ),
    "AwsTarget.region": Form(
        "aws target.region",
        {
            "virginia": "such as us-east-1",
            "us-east-1a": "did you mean us-east-1?",
            "us-east-9": "did you mean us-east-",
            "US-EAST-1": "did you mean us-east-1?",
            "us_east_1": "did you mean us-east-1?",
            "us-east": "did you mean us-east-",
            "aws-global": "such as us-east-1",
        },
        ("us-east-1",),
    ),
    "AwsTarget.zone": Form(
        "aws target.zone",
        {
            "us-east-1": "such as us-east-1a",
            "a": "such as us-east-1a",
            "use1-az1": "the zone's name",
            "us-west-2a": "a zone of us-east-1",
            "us-west-2-lax-1a": "a zone of us-east-1",
            "us-east-1-lax": "such as us-east-1a",
        },
        ("us-east-1f", "us-east-1-bos-1a", "us-east-1-wl1-bos-wlz-1"),
    ),
    "PurchaseSettings.reservationId": _id("cr", "aws target.purchase.reservationId"),
    "AwsTarget.placementGroup": Form(
        "aws target.placementGroup",
        {
            "pg-0123456789abcdef0": "its id or ARN",
            "arn:aws:ec2:us-east-1:123456789012:placement-group/near": "its id or ARN",
            "nähe": "ASCII",
            "": "1 to 255",
        },
        ("near", "my group"),
    ),
    "NetworkSettings.vpcId": _id("vpc", "aws target.network.vpcId"),
    "NetworkSettings.subnetId": _id("subnet", "aws target.network.subnetId"),
    "NetworkSettings.cidr": Form(
        "aws target.network.cidr",
        {
            "10.1.0.0": "/16 to /28",
            "10.1.0.7/24": "write 10.1.0.0/24",
            "10.1.0.0/29": "/16 to /28",
            "10.0.0.0/8": "/16 to /28",
            "2001:db8::/64": "an IPv4 range",
            "10.1.0.0-10.1.0.255": "an IPv4 range",
            "224.0.0.0/24": "no subnet has this one",
            "127.0.0.0/24": "no subnet has this one",
            "169.254.0.0/24": "no subnet has this one",
        },
        ("10.1.0.0/24", "10.1.0.0/28", "100.64.8.0/22", "198.19.0.0/20", "11.0.0.0/24"),
    ),
    "AwsTarget.adminRanges": Form(
        "aws target.adminRanges.0", {**_RANGE, "2001:db8::/32": "no IPv6"}, _RANGES
    ),
    "AwsTarget.clientRanges": Form(
        "aws target.clientRanges.0", {**_RANGE, "2001:db8::/32": "no IPv6"}, _RANGES
    ),
    "AmiSettings.id": _id("ami", "aws target.ami.id"),
    "AmiSettings.release": Form(
        "aws target.ami.release", {"": "1 to 255", "-x": "leading dash"}, ("2026-11",)
    ),
    "AmiSettings.user": Form("aws target.ami.user", _USER, ("ec2-user",)),
    "AwsTarget.keyPair": Form(
        "aws target.keyPair",
        {
            "key-0123456789abcdef0": "this is its id",
            "~/.ssh/id_ed25519": "no file and no key",
            "/home/me/mine.pem": "no file and no key",
            "mine.pem": "no file and no key",
            f"ssh-ed25519 {PUBLIC_KEY}": "no file and no key",
            "schlüssel": "ASCII",
        },
        ("mine", "my key", "team-2026"),
    ),
    "AwsTarget.instanceProfile": Form(
        "aws target.instanceProfile",
        {
            "arn:aws:iam::123456789012:instance-profile/nodes": "the last part of its ARN",
            "arn:aws:iam::123456789012:role/nodes": "the last part of its ARN",
            "path/nodes": "name of an instance profile",
            "two words": "name of an instance profile",
            "n" * 129: "name of an instance profile",
        },
        ("nodes", "team+nodes=1,@x.y-z_"),
    ),
    "AwsTarget.kmsKeyId": Form(
        "aws target.kmsKeyId",
        {
            "mine": "alias/NAME",
            KMS_ID[:-1]: "alias/NAME",
            "alias/": "alias/NAME",
            "mrk-123": "alias/NAME",
            "arn:aws:kms:us-east-1:123456789012:mine": "alias/NAME",
            f"arn:aws:s3:us-east-1:123456789012:key/{KMS_ID}": "alias/NAME",
            f"arn:aws:kms:us-east-1:12345:key/{KMS_ID}": "alias/NAME",
            f"arn:aws:kms:eu-west-1:123456789012:key/{KMS_ID}": "is a key of eu-west-1",
            f"arn:aws-cn:kms:us-east-1:123456789012:key/{KMS_ID}": "expected `aws`",
            "key-0123456789abcdef0": "alias/NAME",
        },
        (KMS_ID, "mrk-" + "0" * 32, "alias/aws/ebs", f"{ACCOUNT}:key/{KMS_ID}", f"{ACCOUNT}:alias/mine"),
    ),
    "AwsTarget.tags": Form(
        "aws target.tags.team",
        {"a;b": "as IAM takes", "{x}": "as IAM takes", "x" * 257: "256"},
        ("", "search", "R+D", "größe 1", "a:b/c=d@e"),
    ),
    # where things come from
    "VenvRuntime.index": Form("local runtime.index", _URL, _URLS),
    "ModelSettings.endpoint": Form("hosts model.endpoint", _URL, _URLS[:-1]),
    "ProxySettings.https": Form("hosts proxy.https", _PROXY, _PROXIES),
    "ProxySettings.no": Form(
        "hosts proxy.no.0",
        {
            "*.example.org": "a domain",
            "http://example.org": "a domain",
            "example.org/": "a domain",
            "10.0.0.1/8": "a range",
            "10.0.0.0/40": "a range",
            "a b": "a domain",
            "": "",
            "a,b": "a domain",
        },
        ("localhost", ".example.org", "packages.example.org", "10.0.0.0/8", "10.0.0.1", "fd00::/8", "::1"),
    ),
    "PreinstalledRuntime.wheels": Form("hosts runtime.wheels", _FOLDER, ("/srv/wheels",)),
    "PreinstalledRuntime.path": Form(
        "hosts runtime.path",
        {
            **_FOLDER,
            "/opt/dynamo/bin": "the folder that holds `bin/python`",
            "/opt/dynamo/bin/python": "the folder that holds `bin/python`",
        },
        ("/opt/dynamo", "/opt/dynamo/venv/"),
    ),
    "StoreDownload.url": Form(
        "local runtime.stores.etcd.url",
        {
            **_URL,
            "https://mirror.example.org/nats.zip": "of tar",
            "https://mirror.example.org/etcd.deb": "of tar",
        },
        (*_URLS, "https://mirror.example.org/etcd-v3.6.14-linux-amd64.tar.gz"),
    ),
    "StoreDownload.sha256": Form(
        "local runtime.stores.etcd.sha256",
        {
            "ab" * 31: "64 of 0-9 and a-f",
            "AB" * 32: "64 of",
            DIGEST: "64 of",
            "zz" * 32: "64 of",
            "": "64 of",
        },
        ("0" * 64,),
    ),
    "ContainerRuntime.image": Form(
        "local runtime.image",
        {
            "docker://registry.example.org/vllm:1": "without docker://",
            "https://registry.example.org/vllm": "without https://",
            "registry.example.org//vllm": "such as",
            "registry.example.org/vllm/": "such as",
            "/vllm": "such as",
            "vllm:": "such as",
            "vllm:1:2": "such as",
            "Vllm:1": "such as",
            "vllm@sha256:abc": "such as",
            "vllm@md5:" + "0" * 32: "such as",
            "registry.example.org:port/vllm": "such as",
            "ops:kitchen@registry.example.org/vllm": "such as",
            "vllm --privileged": "such as",
            "vllm/-x": "such as",
            "a..b/vllm": "such as",
            "": "1 to 255",
        },
        (
            "vllm",
            "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.0-efa",
            "registry.example.org:5000/team/vllm_runtime:1.6.0",
            "localhost/vllm__x:1",
            "127.0.0.1:5000/vllm",
            "[2001:db8::1]:5000/vllm",
            f"vllm@{DIGEST}",
            f"registry.example.org/vllm:1@{DIGEST}",
            "Registry.Example.org/vllm",
        ),
    ),
}
"""Section and key -> forms of its text."""

ELSEWHERE = {
    "flags": "tests/unit/planning/commands/test_flags.py",
    "env": "tests/unit/settings/test_wrong_stack_files.py",
    "huggingFaceToken": "tests/unit/settings/test_wrong_stack_files.py",
    "inventory": "its entries, and tests/unit/planning/placement/test_inventories.py",
    "secure": "Pulumi's own",
}
"""Keys whose values are other than text, a number, a truth value or a word of a list."""


def _kind(schema: dict[str, Any]) -> str:
    """Return what the values of a key are: `text`, `section` or what the schema draws."""
    branches = [branch for branch in (schema, *schema.get("anyOf", ())) if branch.get("type") != "null"]
    if any("$ref" in branch or "oneOf" in branch for branch in branches):
        return "section"
    if any("enum" in branch or "const" in branch for branch in branches):
        return "word"
    types = {branch["type"] for branch in branches if "type" in branch}
    if "array" in types:
        items = next(branch["items"] for branch in branches if "items" in branch)
        return _kind(items)
    kind = str(*types)
    return {"string": "text", "object": "text"}.get(kind, kind)


def _keys() -> Iterator[tuple[str, str]]:
    """Yield every key of every section, with what its values are."""
    for name, section in {"Settings": settings_schema(), **settings_schema()["$defs"]}.items():
        for key, schema in properties(section).items():
            yield f"{name}.{key}", _kind(dict(schema))


TOP_LEVEL = {"pattern", "engine", "proofSeconds"}
"""Told in tests/unit/settings/test_wrong_stack_files.py."""

SAME = {
    "VenvRuntime.wheels": "PreinstalledRuntime.wheels",
    "ContainerRuntime.index": "VenvRuntime.index",
    "ProxySettings.http": "ProxySettings.https",
    "ContainerRuntime.wheels": "PreinstalledRuntime.wheels",
    "PreinstalledRuntime.index": "VenvRuntime.index",
}
"""Keys of one model that several sections have."""


def test_the_table_names_every_key_that_takes_text() -> None:
    texts = {key for key, kind in _keys() if kind == "text" and key.rpartition(".")[2] not in ELSEWHERE}
    assert texts - SAME.keys() == FORMS.keys()


def _place(place: str) -> tuple[str, tuple[Any, ...]]:
    file, _, path = place.partition(" ")
    first, *rest = path.split(".")
    return file, ("config", f"dynamo:{first}", *(int(part) if part.isdecimal() else part for part in rest))


def _problems(place: str, value: Any, folder: Path) -> list[str]:
    """Return what is wrong with one of the complete files with another value at a place."""
    file, path = _place(place)

    def put(parent: Any, key: Any) -> Any:
        changed = dict(parent) if isinstance(parent, dict) else list(parent)
        changed[key] = value
        return changed

    stack = folder / "Pulumi.forms.yaml"
    stack.write_text(json.dumps(edited(FILES[file], path, put)), encoding="utf-8")
    try:
        read_stack_file(stack)
    except StackFileError as error:
        return str(error).splitlines()[:-1]
    return []


def _told(place: str, value: Any, says: str, folder: Path) -> bool:
    """Return whether a value gives one problem, at its key, that says what it must."""
    problems = _problems(place, value, folder)
    key = place.partition(" ")[2].removesuffix(".0")
    return len(problems) == 1 and problems[0].strip().startswith(key) and says in problems[0]


@pytest.mark.parametrize("key", FORMS)
def test_a_wrong_form_is_told_once_at_its_key(key: str, tmp_path: Path) -> None:
    place, wrong, _ = FORMS[key]
    assert wrong
    untold = [value for value, says in wrong.items() if not _told(place, value, says, tmp_path)]
    assert {value: _problems(place, value, tmp_path) for value in untold} == {}


@pytest.mark.parametrize("key", FORMS)
def test_a_right_form_is_taken(key: str, tmp_path: Path) -> None:
    place, _, right = FORMS[key]
    assert right
    found = {value: _problems(place, value, tmp_path) for value in right}
    assert {value: problems for value, problems in found.items() if problems} == {}


def _typed(place: tuple[Any, ...]) -> dict[str, Any]:
    """Return the schema of the key at a place, or an empty one where users name the keys."""
    path = [str(place[1]).removeprefix("dynamo:"), *place[2:]]
    return dict(at(_with_kinds(path)))


def _with_kinds(path: list[Any]) -> list[Any]:
    """Return a path with the kind of its target or runtime in it, which the schema branches at."""
    kinds = {"target": ("local", "hosts", "aws"), "runtime": ("venv", "preinstalled", "container")}
    for kind in kinds.get(path[0], ()):
        if properties(at([path[0], kind])).get(str(path[1])):
            return [path[0], kind, *path[1:]]
    return path


def _out_of_bounds(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values that a number, a truth value or a word of a list cannot have."""
    branches: list[dict[str, Any]] = [schema, *schema.get("anyOf", ())]
    branch = next((candidate for candidate in branches if candidate.get("type") not in (None, "null")), {})
    if branch.get("type") == "integer":
        least, most = branch["minimum"], branch["maximum"]
        yield from (least - 1, most + 1, str(least), 1.5, True, "many", [])
    elif branch.get("type") == "number":
        yield from (0, -1, "1", True, [])
    elif branch.get("type") == "boolean":
        yield from (0, 1, "true", "yes", [])
    elif "enum" in branch:
        word = branch["enum"][0]
        yield from (word.upper(), f"{word}s", f" {word}", 1, True, [])


TYPED = {
    f"{name} {'.'.join(map(str, path[1:]))}".replace("dynamo:", ""): list(_out_of_bounds(_typed(path)))
    for name, file in FILES.items()
    for path in paths(file)
    if len(path) > 2 and not {"flags", "env", "kind"} & set(path)
}


def test_numbers_truth_values_and_words_are_drawn_from_the_schema() -> None:
    drawn = {place.rpartition(".")[2] for place, values in TYPED.items() if values}
    expected = {
        key.rpartition(".")[2]
        for key, kind in _keys()
        if kind in ("integer", "number", "boolean", "word") and not key.endswith(".kind")
    }
    assert expected - drawn == TOP_LEVEL | {"openPorts"}


@pytest.mark.parametrize("place", [place for place, values in TYPED.items() if values])
def test_a_value_out_of_bounds_is_told_once_at_its_key(place: str, tmp_path: Path) -> None:
    untold = [value for value in TYPED[place] if not _told(place, value, "expected", tmp_path)]
    assert [(value, _problems(place, value, tmp_path)) for value in untold] == []


def test_the_regions_are_those_of_botocore() -> None:
    import botocore.session

    session = botocore.session.get_session()
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    listed = {
        entry["id"]: tuple(region for region in entry["regions"] if not region.endswith("-global"))
        for entry in partitions
    }
    assert dict(PARTITIONS) == listed
    assert "us-east-1" in REGIONS

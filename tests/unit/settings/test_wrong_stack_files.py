"""Every wrong stack file gives one clear error that names key, value and remedy."""

from pathlib import Path
from typing import NamedTuple

import pytest

import planning
from settings.loader import MAX_BYTES, read_stack_file
from settings.problems import StackFileError

RIGHT = {
    "target": "{kind: local, nodes: 2}",
    "pattern": "agg",
    "model": "{name: tiny, source: generated}",
    "roles": "{aggregated: {replicas: 2}}",
}
AWS = "{kind: aws, instanceType: p5.48xlarge, region: us-east-1, adminRanges: [203.0.113.7]}"
LLAMA = "{name: meta-llama/Llama-3.3-70B-Instruct}"
HUB_TOKEN = "hf_" + "x" * 34


def stack(**config: str) -> str:
    """A stack file that is right but for the keys given."""
    lines = [f"  dynamo:{key}: {value}" for key, value in (RIGHT | config).items()]
    return "\n".join(["config:", *lines, ""])


def role(settings: str) -> str:
    return stack(roles=f"{{aggregated: {settings}}}")


class Wrong(NamedTuple):
    """A stack file's text, the key that its one problem names, and what is said of it."""

    text: str
    key: str
    phrases: tuple[str, ...]


def wrong(text: str, key: str, *phrases: str) -> Wrong:
    return Wrong(text, key, phrases)


CASES = {
    # not a stack file at all
    "empty file": wrong("", "config", "empty", "expected `config:`"),
    "only comments": wrong("# nothing\n", "config", "empty"),
    "a list": wrong("- config\n", "config", "missing", "expected"),
    "a word": wrong("hello\n", "config", "missing", "expected"),
    "no config": wrong("encryptionsalt: v1:x\n", "config", "missing", "`dynamo:` keys below"),
    "empty config": wrong("config:\n", "config", "missing", "`dynamo:` keys below"),
    "config is text": wrong("config: agg\n", "config", "expected"),
    "config is misspelt": wrong("confg: {}\n", "confg", "unknown key; did you mean config?"),
    "keys beside config": wrong(stack() + "dynamo:engine: vllm\n", "dynamo:engine", "below `config:`"),
    "unknown key beside config": wrong(stack() + "secretprovider: x\n", "secretprovider", "secretsprovider?"),
    "two documents": wrong(stack() + "---\na: 1\n", "line 6, column 1", "not YAML", "another document"),
    "not YAML": wrong("config: [\n", "line 2, column 1", "not YAML", "check indentation"),
    "tab": wrong("config:\n\tdynamo:pattern: agg\n", "line 2, column 1", "not YAML", "'\\t'"),
    "unclosed quote": wrong('config: "agg\n', "line 2, column 1", "not YAML", "end of stream", "quotes"),
    "repeated key": wrong(
        stack() + "config: {}\n", "line 6, column 1", '"config" is written twice', "remove"
    ),
    "with and without prefix": wrong(stack() + "  pattern: agg\n", "pattern", "written twice", "remove one"),
    "alias": wrong(stack(head="*where"), "line 6, column 16", "aliases", "write the values out"),
    "tag": wrong(stack(head="!!python/object:os.system {}"), "line 6, column 16", "tags", "remove"),
    "key that is a number": wrong(role("{8: 1}"), "line 5, column 31", "not text", "quotes"),
    "hexadecimal": wrong(role("{replicas: 0x2}"), "line 5, column 41", "`0x2`", "decimal number", "quotes"),
    "octal": wrong(role("{replicas: 010}"), "line 5, column 41", "`010`", "decimal number", "quotes"),
    "infinity": wrong(role("{replicas: .inf}"), "line 5, column 41", "`.inf`", "decimal number"),
    "date": wrong(stack(engine="2026-11-23"), "line 6, column 18", "`2026-11-23`", "quotes"),
    "number beyond all bounds": wrong(role(f"{{replicas: {'9' * 5000}}}"), "line 5, column 41", "too large"),
    "escape beyond Unicode": wrong(stack(head='"\\U00110000"'), "file", "escape", "remove"),
    "half a character": wrong(stack(head='"\\ud800"'), "line 6, column 16", "half of a character"),
    "control character": wrong(stack(head="a\x07b"), "line 6", "control character", "remove"),
    "endless nesting": wrong("[" * 5000, "file", "nested too deeply", "remove levels"),
    "huge file": wrong("#" * (MAX_BYTES + 1), "Pulumi.wrong.yaml", "larger than", "a few thousand"),
    # unknown and missing keys
    "unknown key": wrong(stack(enigne="vllm"), "enigne", "unknown key; did you mean engine?"),
    "misspelt required key": wrong(
        stack().replace("dynamo:model", "dynamo:modle"), "modle", "unknown key; did you mean model?"
    ),
    "misspelt role": wrong(
        stack(pattern="disagg", roles="{prefill: {}, decodes: {}}"), "roles.decodes", "did you mean decode?"
    ),
    "snake case": wrong(stack(proof_seconds="60"), "proof_seconds", "did you mean proofSeconds?"),
    "unknown key far from all": wrong(stack(rollout="{zzz: 1}"), "rollout.zzz", "expected maxUnavailable or"),
    "unknown key of another target": wrong(
        stack(target="{kind: local, instanceType: p5.48xlarge}"), "target.instanceType", "unknown", "nodes"
    ),
    "unknown key in head": wrong(stack(head="{plcement: dedicated}"), "head.plcement", "placement?"),
    "missing pattern": wrong(
        stack().replace("  dynamo:pattern: agg\n", ""),
        "pattern",
        "missing",
        "agg or disagg",
        "`pattern: agg`",
    ),
    "missing model name": wrong(stack(model="{}"), "model.name", "missing", "for example `name: "),
    "missing kind": wrong(stack(target="{nodes: 2}"), "target.kind", "missing", "aws or hosts or local"),
    "missing instance type": wrong(stack(target="{kind: aws}"), "target.instanceType", "p5.48xlarge"),
    "null": wrong(stack(engine=""), "engine", "is empty", "remove the key"),
    "null role": wrong(role(""), "roles.aggregated", "is empty", "write a value"),
    # types and values
    "unknown pattern": wrong(stack(pattern="aggg"), "pattern", '"aggg"', "expected agg or disagg"),
    "list for a word": wrong(stack(pattern="[agg]"), "pattern", "[…]", "expected agg or disagg"),
    "unknown engine": wrong(stack(engine="sglang"), "engine", '"sglang"', "vllm or mocker"),
    "unknown kind": wrong(stack(target="{kind: gcp}"), "target.kind", '"gcp"', "aws or hosts or local"),
    "mapping for a kind": wrong(
        stack(target="{kind: {a: b}}"), "target.kind", "{…}", "aws or hosts or local"
    ),
    "number for a kind": wrong(stack(target="{kind: 1}"), "target.kind", "1", "aws or hosts or local"),
    "word for a target": wrong(stack(target="local"), "target", '"local"', "a mapping", "`target: {kind: "),
    "unknown head": wrong(stack(head="dedicatd"), "head", '"dedicatd"', "colocated or dedicated"),
    "unknown device": wrong(
        stack(target="{kind: local, device: tpu}"), "target.device", '"tpu"', "cpu or cuda"
    ),
    "quoted number": wrong(
        role('{replicas: "8"}'), "roles.aggregated.replicas", '"8"', "write 8 without quotes"
    ),
    "quoted truth": wrong(
        role('{parallelism: {expert: "false"}}'),
        "roles.aggregated.parallelism.expert",
        "write false without quotes",
    ),
    "yes for true": wrong(
        role("{parallelism: {expert: yes}}"),
        "roles.aggregated.parallelism.expert",
        '"yes"',
        "expected true or false",
    ),
    "truth for a number": wrong(
        role("{replicas: true}"), "roles.aggregated.replicas", "true", "a whole number"
    ),
    "fraction": wrong(role("{replicas: 1.5}"), "roles.aggregated.replicas", "1.5", "a whole number"),
    "zero": wrong(role("{replicas: 0}"), "roles.aggregated.replicas", "0", "from 1 to 16384"),
    "negative": wrong(stack(proofSeconds="-1"), "proofSeconds", "-1", "from 1 to 86400"),
    "huge count": wrong(
        role("{replicas: 1000000}"), "roles.aggregated.replicas", "1000000", "from 1 to 16384"
    ),
    "huge drain": wrong(stack(rollout="{drainSeconds: 9e9}"), "rollout.drainSeconds", "from 1 to 86400"),
    "list for roles": wrong(stack(roles="[aggregated]"), "roles", "[…]", "a mapping", "`roles: {aggregated"),
    "data parallel": wrong(
        role("{parallelism: {data: 2}}"), "roles.aggregated.parallelism.data", "2", "not built", "replicas"
    ),
    "expert parallel": wrong(
        role("{parallelism: {expert: true}}"), "roles.aggregated.parallelism.expert", "not built", "remove"
    ),
    "instance type": wrong(
        stack(target="{kind: aws, instanceType: p5; reboot}"),
        "target.instanceType",
        '"p5; reboot"',
        "such as p5.48xlarge",
    ),
    # the model
    "shell in a hub id": wrong(
        stack(model='{name: "x/$(reboot)"}'), "model.name", "$(reboot)", "expected a hub id", "source: path"
    ),
    "folder as a hub id": wrong(stack(model="{name: /models/x}"), "model.name", "source: path"),
    "way out of the cache": wrong(
        stack(model="{name: ../../etc, source: generated}"), "model.name", '"../../etc"', "a plain name"
    ),
    "name like a flag": wrong(
        stack(model="{name: tiny, source: generated, servedName: --x}"), "model.servedName", '"--x"', "dash"
    ),
    "line break in a name": wrong(
        stack(model='{name: tiny, source: generated, servedName: "a\\nb"}'), "model.servedName", "line break"
    ),
    "endless name": wrong(
        stack(model=f"{{name: tiny, source: generated, servedName: {'x' * 300}}}"),
        "model.servedName",
        "(300 characters)",
        "1 to 255 characters",
    ),
    "source s3 without uri": wrong(
        stack(model="{name: x, source: s3}"), "model.uri", "missing", "add `uri: s3://bucket/folder`"
    ),
    "uri without source": wrong(
        stack(model="{name: org/x, uri: s3://models/x}"), "model.uri", "does not go with `source: hub`"
    ),
    "uri of a bucket alone": wrong(
        stack(model="{name: x, source: s3, uri: s3://models}"),
        "model.uri",
        '"s3://models"',
        "s3://bucket/folder",
    ),
    "uri that leads elsewhere": wrong(
        stack(model="{name: x, source: s3, uri: s3://models/a/../../b}"), "model.uri", "s3://bucket/folder"
    ),
    "revision of a model in s3": wrong(
        stack(model="{name: x, source: s3, uri: s3://models/x, revision: main}"),
        "model.revision",
        "remove it",
    ),
    "source path without path": wrong(
        stack(model="{name: x, source: path}"), "model.path", "missing", "add `path: /models/llama`"
    ),
    "path without source": wrong(
        stack(model="{name: x, path: /models/x}"), "model.path", '"/models/x"', "write `source: path`"
    ),
    "relative path": wrong(
        stack(model="{name: x, source: path, path: models/../x}"), "model.path", "absolute", "/models/llama"
    ),
    "revision without hub": wrong(
        stack(model="{name: x, source: generated, revision: main}"), "model.revision", '"main"', "remove it"
    ),
    # flags and environment
    "flag with dashes": wrong(
        role("{flags: {--enforce-eager: true}}"),
        "roles.aggregated.flags.--enforce-eager",
        "write `enforce-eager`",
    ),
    "flag with underscores": wrong(
        role("{flags: {max_model_len: 8}}"), "roles.aggregated.flags.max_model_len", "write `max-model-len`"
    ),
    "flag with its value": wrong(
        role('{flags: {"max-model-len=8": true}}'),
        'roles.aggregated.flags."max-model-len=8"',
        "write `max-model-len`",
    ),
    "shell in a flag name": wrong(
        role('{flags: {"x; rm -rf /": 1}}'), 'roles.aggregated.flags."x; rm -rf /"', "expected a flag name"
    ),
    "line break in a flag": wrong(
        role('{flags: {x: ["a\\nb"]}}'), "roles.aggregated.flags.x.0", "line break", "on one line"
    ),
    "nested flag": wrong(
        role("{flags: {x: " + "[" * 30 + "]" * 30 + "}}"),
        "roles.aggregated.flags.x" + ".0" * 17,
        "deeper than 20 levels",
    ),
    "digit before an env name": wrong(
        role('{env: {1X: "1"}}'), "roles.aggregated.env.1X", "environment variable", "no digit first"
    ),
    "shell in an env name": wrong(
        role('{env: {"A=$(x)": "1"}}'), 'roles.aggregated.env."A=$(x)"', "environment variable"
    ),
    "number in env": wrong(role("{env: {A: 1}}"), "roles.aggregated.env.A", "1", 'write "1" in quotes'),
    "truth in env": wrong(role("{env: {A: true}}"), "roles.aggregated.env.A", 'write "true" in quotes'),
    "flags of a list": wrong(role("{flags: [x]}"), "roles.aggregated.flags", "a mapping", "`flags: {"),
    # keys that do not go together
    "no roles": wrong(
        stack(roles="{}"),
        "roles.aggregated",
        "missing",
        "pattern agg needs it",
        "`aggregated: {replicas: 1}`",
    ),
    "prefill without decode": wrong(
        stack(pattern="disagg", roles="{prefill: {}}"), "roles.decode", "missing", "`decode: {replicas: 1}`"
    ),
    "decode without prefill": wrong(
        stack(pattern="disagg", roles="{decode: {}}"), "roles.prefill", "missing", "pattern disagg needs it"
    ),
    "a role too many": wrong(
        stack(roles="{aggregated: {}, prefill: {}}"),
        "roles.prefill",
        "does not belong to pattern agg",
        "write `pattern: disagg`",
    ),
    "roles of disagg": wrong(
        stack(roles="{prefill: {}, decode: {}}"), "pattern", '"agg"', "write `pattern: disagg`"
    ),
    "roles of agg": wrong(stack(pattern="disagg"), "pattern", '"disagg"', "write `pattern: agg`"),
    # what cannot be planned
    "head beyond the nodes": wrong(stack(head="{node: 3}"), "head.node", "3", "expected 1 to 2"),
    "dedicated head among the workers": wrong(
        stack(head="{placement: dedicated, node: 2}"), "head.node", "2", "remove it"
    ),
    "tensor parallel size that fits no node": wrong(
        stack(target=AWS, model=LLAMA, roles="{aggregated: {parallelism: {tensor: 6}}}"),
        "roles.aggregated.parallelism.tensor",
        "6",
        "8 GPUs",
        "64 attention heads",
        "use 1, 2, 4, 8",
    ),
    "engine over nodes of unequal share": wrong(
        stack(target=AWS, model=LLAMA, roles="{aggregated: {parallelism: {tensor: 12}}}"),
        "roles.aggregated.parallelism.tensor",
        "12",
        "use 1, 2, 4, 8, 16",
    ),
    "more GPUs than there are": wrong(role("{replicas: 3}"), "target.nodes", "2", "cannot hold", "write 3"),
    "more nodes than can be": wrong(
        stack(target="{kind: local}", roles="{aggregated: {replicas: 3000}}"),
        "roles",
        "at most 2048",
        "lower",
    ),
    "more local nodes than can be": wrong(
        stack(target="{kind: local, nodes: 3000}"), "target.nodes", "3000", "from 1 to 2048"
    ),
    "more frontends than can be": wrong(
        stack(roles="{aggregated: {}, frontend: {replicas: 257}}"), "roles.frontend.replicas", "from 1 to 256"
    ),
    "more frontends than nodes": wrong(
        stack(roles="{aggregated: {}, frontend: {replicas: 5}}"), "roles.frontend.replicas", "5", "at most 2"
    ),
    "instance type that nobody knows": wrong(
        stack(target=AWS.replace("p5", "p9")), "target.instanceType", "p9.48xlarge", "p5.48x"
    ),
    "flag that is not known": wrong(
        role("{flags: {max-modl-len: 4}}"), "roles.aggregated.flags", "did you mean `max-model-len`?"
    ),
    "environment that planning owns": wrong(
        role("{env: {NATS_SERVER: x}}"), "roles.aggregated.env.NATS_SERVER", "planned from", "remove it"
    ),
    # secrets
    "secret in clear": wrong(
        stack(huggingFaceToken=HUB_TOKEN), "huggingFaceToken", "scripts/secret", "revoke"
    ),
    "token that is a number": wrong(stack(huggingFaceToken="1234"), "huggingFaceToken", "must be encrypted"),
    "token in env": wrong(
        role(f"{{env: {{HF_TOKEN: {HUB_TOKEN}}}}}"), "roles.aggregated.env.HF_TOKEN", "scripts/secret"
    ),
    "password in env": wrong(
        role("{env: {NATS_AUTH_PASSWORD: abc}}"), "roles.aggregated.env.NATS_AUTH_PASSWORD", "secrets may not"
    ),
    "token in flags": wrong(
        role(f"{{flags: {{hf-token: {HUB_TOKEN}}}}}"), "roles.aggregated.flags.hf-token", "remove it"
    ),
    "token by another name": wrong(stack(hub_token=HUB_TOKEN), "hub_token", "scripts/secret"),
    "token in some text": wrong(
        role(f"{{env: {{URL: 'https://{HUB_TOKEN}@x'}}}}"),
        "roles.aggregated.env.URL",
        "secret in clear",
        "revoke",
    ),
    "token as pattern": wrong(stack(pattern=HUB_TOKEN), "pattern", "secret in clear", "revoke"),
    "encrypted value in a structure": wrong(
        role("{env: {A: {secure: v1:abc}}}"), "roles.aggregated.env.A", "may not be encrypted"
    ),
    "encrypted structure": wrong(stack(target="{secure: v1:abc}"), "target", "may not be encrypted"),
    "encrypted word": wrong(stack(pattern="{secure: v1:abc}"), "pattern", "may not be encrypted", "in clear"),
}


def problems(text: str, folder: Path) -> StackFileError:
    path = folder / "Pulumi.wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StackFileError) as caught:
        planning.plan(read_stack_file(path))
    return caught.value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_wrong_stack_file_gives_one_error_with_key_value_and_remedy(case: Wrong, tmp_path: Path) -> None:
    error = problems(case.text, tmp_path)
    [problem] = error.problems
    assert problem.key == case.key
    line = str(error).splitlines()[0]
    assert [phrase for phrase in case.phrases if phrase not in line] == []
    assert str(error).splitlines()[1:] == ["1 problem, nothing was created"]
    assert HUB_TOKEN not in str(error)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = stack(
        pattern="disagg",
        target="{kind: local, nodes: many}",
        roles='{prefill: {replicas: "2"}, aggregated: {}}',
        enigne="vllm",
        huggingFaceToken="abc",
    )
    assert {problem.key for problem in problems(text, tmp_path).problems} == {
        "enigne",
        "huggingFaceToken",
        "roles.aggregated",
        "roles.decode",
        "roles.prefill.replicas",
        "target.nodes",
    }


def test_a_stack_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.local.yaml").touch()
    with pytest.raises(StackFileError, match=r"no such stack file; there are local in"):
        read_stack_file(tmp_path / "Pulumi.lcal.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.x.yaml").write_bytes(b"config: \xff\xfe")
    with pytest.raises(StackFileError, match="not UTF-8 text at byte 8"):
        read_stack_file(tmp_path / "Pulumi.x.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match="cannot be read: Is a directory"):
        read_stack_file(tmp_path)

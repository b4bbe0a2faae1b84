"""Fit of models on GPUs, computed by hand from their published `config.json`."""

from dataclasses import replace
from typing import Any

import pytest

from planning.checks import before_placement
from planning.sizing.fit import Fit, Shape, attention_heads, fit, shape, summary
from planning.targets import target_planning
from planning.values import Machine
from settings import Settings
from settings.models import ModelSettings, RoleSettings
from tests.unit.plan_examples import AWS, LLAMA, real

GIB = 1024**3
H100 = Machine("p5.48xlarge", 8, "H100 80 GiB", 80 * GIB, 32)


def role(tensor: int = 8, pipeline: int = 1, **flags: Any) -> RoleSettings:
    split = {"tensor": tensor, "pipeline": pipeline}
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    return RoleSettings.model_validate({"parallelism": split, "flags": named})


def stack(model: str | dict[str, Any] = LLAMA, **target: Any) -> Settings:
    named = {"name": model} if isinstance(model, str) else model
    return real("agg", {"aggregated": {}}, target=AWS | target, model=named)


def computed(of: RoleSettings, model: str | dict[str, Any] = LLAMA, on: Machine = H100) -> Fit:
    found = fit(stack(model), of, on)
    assert isinstance(found, Fit), found
    return found


def known(name: str) -> Shape:
    found = shape(ModelSettings(name=name))
    assert found is not None
    return found


def test_the_model_of_the_guide_on_the_machines_of_the_guide() -> None:
    found = computed(role(8))
    assert found.shape.weights == 2 * 70_553_706_496
    assert f"{found.shape.weights / 1e9:.0f} GB" == "141 GB"
    assert f"{found.weights_gpu / 1e9:.1f} GB" == "17.6 GB"
    assert found.shape.kv_token() == 320 * 1024
    assert found.kv_gpu == 40 * 1024
    assert found.memory == int(80 * GIB * 0.92)
    # (79,027,398,246 - 17,638,426,624) / 40,960
    assert found.tokens == 1_498_754
    assert found.ok


def attention(hidden: int, heads: int, kv_heads: int, head_size: int) -> int:
    """Return the parameters of queries, keys, values and output of one layer."""
    return 2 * hidden * heads * head_size + 2 * hidden * kv_heads * head_size


def test_llama_3_3_70b_by_hand() -> None:
    hidden, inner, vocabulary, layers = 8192, 28672, 128256, 80
    layer = attention(hidden, 64, 8, 128) + 3 * hidden * inner + 2 * hidden
    parameters = layers * layer + 2 * vocabulary * hidden + hidden
    assert known(LLAMA).weights == 2 * parameters
    assert known(LLAMA).kv_token() == 2 * layers * 8 * 128 * 2
    assert known(LLAMA).gated


def test_a_mixture_of_experts_keeps_all_experts_in_memory() -> None:
    hidden, layers, experts, inner, vocabulary = 2048, 48, 128, 768, 151936
    norms = 2 * hidden + 2 * 128  # of both blocks, and of each head's queries and keys
    layer = attention(hidden, 32, 4, 128) + experts * 3 * hidden * inner + experts * hidden + norms
    parameters = layers * layer + 2 * vocabulary * hidden + hidden
    assert parameters == 30_532_122_624
    moe = known("Qwen/Qwen3-30B-A3B")
    assert moe.weights == 2 * parameters
    assert moe.kv_token() == 96 * 1024
    found = computed(role(2), "Qwen/Qwen3-30B-A3B")
    assert f"{found.weights_gpu / 1e9:.1f} GB" == "30.5 GB"
    assert found.kv_gpu == 48 * 1024


def test_quantised_weights_are_small_and_the_cache_is_not() -> None:
    hidden, inner, vocabulary, layers = 5120, 25600, 151936, 64
    linear = layers * (attention(hidden, 64, 8, 128) + 3 * hidden * inner)
    rest = 2 * vocabulary * hidden + layers * (2 * hidden + 2 * 128) + hidden
    # 4 bits each, and for every 128 of them a scale of 16 bits and a zero of 4
    weights = linear * 4 // 8 + linear // 128 * 2 + linear // 128 // 2 + 2 * rest
    awq = known("Qwen/Qwen3-32B-AWQ")
    assert awq.weights == weights
    assert f"{weights / 1e9:.1f} GB" == "19.3 GB"
    assert awq.kv_token() == known("Qwen/Qwen3-32B").kv_token() == 256 * 1024


def test_fp8_keeps_embeddings_and_scales_wide() -> None:
    hidden, inner, layers = 8192, 28672, 80
    linear = layers * (attention(hidden, 64, 8, 128) + 3 * hidden * inner)
    scales = layers * (2 * hidden + 2 * 1024 + 2 * inner + hidden)  # one a channel, 16 bits
    found = known("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic")
    assert found.weights == linear + 2 * (known(LLAMA).weights // 2 - linear) + 2 * scales
    assert f"{found.weights / 1e9:.1f} GB" == "72.7 GB"


def test_latent_attention_is_kept_whole_by_every_gpu() -> None:
    found = known("deepseek-ai/DeepSeek-R1")
    assert found.kv_token() == 61 * (512 + 64) * 2
    assert found.kv_token(tensor=8) == found.kv_token()


def test_with_more_gpus_than_kv_heads_several_keep_the_same_head() -> None:
    assert known(LLAMA).kv_token(tensor=16) == known(LLAMA).kv_token(tensor=8)


def test_stages_of_a_pipeline_keep_their_own_layers() -> None:
    assert known(LLAMA).kv_token(tensor=8, pipeline=2) == known(LLAMA).kv_token(tensor=8) // 2
    assert computed(role(8, 2)).weights_gpu == computed(role(16)).weights_gpu


@pytest.mark.parametrize(
    ("flags", "change"),
    [
        ({"kv_cache_dtype": "fp8"}, {"kv": 20 * 1024}),
        ({"max_model_len": 8192}, {"context": 8192}),
        ({"max_model_len": "8k"}, {"context": 8000}),
        ({"max_model_len": "8K"}, {"context": 8192}),
        ({"max_model_len": "auto"}, {"context": 0}),
        ({"max_num_seqs": 4}, {"sequences": 4}),
        ({"gpu_memory_utilization": 0.5}, {"memory": 40 * GIB}),
        ({"gpu_memory_utilization": "0.5"}, {"memory": 40 * GIB}),
    ],
)
def test_flags_that_change_the_arithmetic_are_counted(flags: dict[str, Any], change: dict[str, int]) -> None:
    found = computed(role(**flags))
    seen = {
        "kv": found.kv_gpu,
        "context": found.context,
        "sequences": found.sequences,
        "memory": found.memory,
    }
    before = {"kv": 40 * 1024, "context": 131072, "sequences": 1, "memory": computed(role()).memory}
    assert seen == before | change


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"quantization": "fp8"}, "`quantization`"),
        ({"dtype": "float32"}, "`dtype`"),
        ({"kv_cache_dtype": "nvfp4"}, "`kv-cache-dtype`"),
        ({"max_model_len": "long"}, "`max-model-len`"),
        ({"gpu_memory_utilization": "most"}, "`gpu-memory-utilization`"),
        ({"gpu_memory_utilization": 3}, "`gpu-memory-utilization`"),
        ({"cpu_offload_gb": 10}, "`cpu-offload-gb`"),
    ],
)
def test_what_other_flags_change_is_said_to_be_not_counted(flags: dict[str, Any], named: str) -> None:
    assert fit(stack(), role(**flags), H100) == f"what {named} changes is not counted"


def test_a_model_that_is_not_known_is_said_to_be_so_with_what_to_write() -> None:
    assert fit(stack("someone/model"), role(), H100) == (
        "someone/model is no model that is known here; write its `model.shape`"
    )
    assert attention_heads(ModelSettings(name="someone/model")) is None


SHAPE = {
    "weightsGb": 16.1,
    "layers": 32,
    "attentionHeads": 32,
    "kvHeads": 8,
    "headSize": 128,
    "context": 131072,
}


def test_a_shape_in_the_stack_file_is_taken_whether_the_model_is_known_or_not() -> None:
    for name in ("someone/model", LLAMA):
        found = computed(role(1), {"name": name, "shape": SHAPE})
        assert found.shape.weights == 16_100_000_000
        assert found.shape.kv_token() == 128 * 1024
    model = ModelSettings.model_validate({"name": "someone/model", "shape": SHAPE})
    assert attention_heads(model) == 32


def refused(of: Settings) -> list[str]:
    return [f"{found.subject} {found.message}" for found in before_placement(target_planning(of))]


def sized(instance: str, tensor: int, **flags: Any) -> Settings:
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    roles = {"aggregated": {"parallelism": {"tensor": tensor}, "flags": named}}
    return real("agg", roles, target=AWS | {"instanceType": instance})


def test_weights_that_do_not_fit_are_refused_with_the_sizes_that_do() -> None:
    [told] = refused(sized("p5.48xlarge", 1))
    assert told == (
        "roles.aggregated.parallelism.tensor: 1 does not fit: weights of 141.1 GB over 1 GPU = 141.1 GB, and "
        "1 sequence of 131,072 tokens x 320 KiB of KV cache = 42.9 GB, are 184.1 GB a GPU, more than the "
        "79.0 GB that vLLM takes of each H100 80 GiB; use 4 or 8 or 16"
    )


def test_a_context_that_does_not_fit_is_refused_with_the_one_that_does() -> None:
    [told] = refused(sized("p5.48xlarge", 2))
    assert told.endswith("use 4 or 8 or 16, or set `max-model-len` to at most 51719")
    assert refused(sized("p5.48xlarge", 2, max_model_len=51719)) == []
    assert refused(sized("p5.48xlarge", 2, max_model_len=51720)) != []


def test_sequences_that_do_not_fit_are_refused_with_how_many_do() -> None:
    [told] = refused(sized("p5.48xlarge", 8, max_num_seqs=64))
    assert "64 sequences of 131,072 tokens x 40 KiB of KV cache = 343.6 GB" in told
    assert told.endswith("set `max-model-len` to at most 23418, or set `max-num-seqs` to at most 11")
    assert refused(sized("p5.48xlarge", 8, max_num_seqs=11)) == []


def test_where_no_size_fits_larger_gpus_are_the_remedy() -> None:
    found = known(LLAMA)
    huge = {**SHAPE, "weightsGb": found.weights * 100 / 1e9}
    of = stack({"name": "someone/huge", "shape": huge})
    [told] = refused(of)
    assert told.endswith("use GPUs with more memory")


def test_a_context_beyond_the_models_own_is_refused() -> None:
    [told] = refused(sized("p5.48xlarge", 8, max_model_len=200000))
    assert told == (
        "roles.aggregated.flags.max-model-len: 200000 the model takes at most 131,072 tokens; "
        "lower it or remove it"
    )


def test_simulated_engines_fit_anywhere() -> None:
    of = real("agg", {"aggregated": {"parallelism": {"tensor": 1}}}, engine="mocker")
    assert refused(of) == []


def test_what_fits_is_said_on_one_line() -> None:
    assert summary(computed(role(8))) == (
        "weights 141 GB → 17.6 GB a GPU · KV 320 KiB a token → at most 1.5 M tokens"
        " · context 131,072 × 11 sequences"
    )
    small = replace(computed(role(8)), memory=18 * 10**9)
    assert summary(small).endswith("at most 8,827 tokens · context 131,072 × 0 sequences")
    assert summary(replace(small, context=0)).endswith("context 8,827 × 1 sequence")

"""Facts about GPUs that EC2 does not describe: compute capability, and where EFA reads their memory.

Sources: NVIDIA's list of CUDA GPUs (https://developer.nvidia.com/cuda-gpus), and EC2's pages of instance
types, which name GPUDirect RDMA for p4d and the P families after it. A GPU that is new to
`scripts/generate-catalogue` gets its line here first.
"""

from typing import Final

Capability = tuple[int, int]

COMPUTE_CAPABILITY: Final[dict[str, Capability]] = {
    "V100": (7, 0),
    "T4": (7, 5),
    "A100": (8, 0),
    "A10G": (8, 6),
    "L4": (8, 9),
    "L40S": (8, 9),
    "H100": (9, 0),
    "H200": (9, 0),
    "B200": (10, 0),
    "B300": (10, 3),
    "RTX PRO 4500": (12, 0),
    "RTX PRO Server 6000": (12, 0),
}
"""By the name that EC2 gives a GPU."""

RDMA_FAMILIES: Final = ("p4d", "p4de", "p5", "p5e", "p5en", "p6")
"""Families with GPUDirect RDMA over EFA, `p6-…` among the last; NIXL's LIBFABRIC backend needs it."""

DRIVER_FROM: Final[Capability] = (7, 5)
"""The open driver of the Deep Learning AMI begins with Turing, and CUDA 13 dropped what is older."""

BFLOAT16_FROM: Final[Capability] = (8, 0)
"""vLLM refuses `dtype: bfloat16` on less, and with `auto` computes a bfloat16 model in float16."""

VALUES_FROM: Final[dict[str, dict[str, Capability]]] = {
    "dtype": {"bfloat16": BFLOAT16_FROM},
    "kv-cache-dtype": {
        "bfloat16": BFLOAT16_FROM,
        **dict.fromkeys(("fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla"), (8, 0)),
    },
    "attention-backend": {"FLASH_ATTN": (8, 0), "FLASHINFER": (8, 0)},
    "quantization": {
        "experts_int8": (8, 0),
        "fbgemm_fp8": (8, 0),
        "fp_quant": (10, 0),
        "gpt_oss_mxfp4": (8, 0),
        "modelopt": (8, 0),
        "modelopt_mxfp8": (8, 0),
        "mxfp4": (8, 0),
    },
}
"""Flag of vLLM -> value -> what it needs, where that is more than `DRIVER_FROM`.

Sources: vLLM's `get_min_capability` of each quantization, `supports_compute_capability` of each attention
backend; below 8.0 there is Triton's alone, which then has neither bfloat16 nor fp8 in its KV cache.
"""


def has_rdma(family: str) -> bool:
    """Return whether the GPUs of a family's types can be read over EFA."""
    return family.split("-", maxsplit=1)[0] in RDMA_FAMILIES


def text(capability: Capability) -> str:
    """Return a compute capability as NVIDIA writes it: `8.9`."""
    return ".".join(map(str, capability))

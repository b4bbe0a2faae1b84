"""Writes the generated model: a random, tiny Llama that real vLLM serves, for nodes that reach no model hub.

The same bytes on every machine: prefill and decode nodes each write their own
copy, and NIXL pairs only workers whose models agree.
"""

import array
import json
import random
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
"""Part of the folder's name: raise it when the written bytes change."""

HIDDEN: Final = 256
HEADS: Final = 4
LAYERS: Final = 2
INTERMEDIATE: Final = 512
CONTEXT: Final = 8192

SPECIAL: Final = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
VOWELS: Final = "aeiou"
CONSONANTS: Final = "tnshrdlcm"

CHAT_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def write(folder: Path) -> None:
    """Write the model's files into `folder`, which must exist."""
    vocabulary, merges = _byte_pairs()
    tokens = [*vocabulary, *SPECIAL]
    documents = {
        "config.json": _config(len(tokens)),
        "generation_config.json": {"bos_token_id": _id("<|begin|>"), "eos_token_id": _id("<|end|>")},
        "tokenizer.json": _tokenizer(vocabulary, merges),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|begin|>",
            "eos_token": "<|end|>",
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    _write_weights(folder / "model.safetensors", tokens)


def _id(special: str) -> int:
    vocabulary, _ = _byte_pairs()
    return len(vocabulary) + SPECIAL.index(special)


def _config(vocabulary_size: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary_size,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HIDDEN // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": _id("<|begin|>"),
        "eos_token_id": _id("<|end|>"),
        "torch_dtype": "float32",
    }


def _byte_alphabet() -> list[str]:
    """Return the printable character that byte-level BPE writes for each byte (GPT-2's table)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(0x100)]


def _byte_pairs() -> tuple[list[str], list[tuple[str, str]]]:
    """Return the tokens in the order of their ids, and the merges that make the longer ones.

    More than 2,000, since Dynamo's mocker answers with ids from 1,000 to 1,999: its replies are text, too.
    """
    alphabet = _byte_alphabet()
    letters = string.ascii_lowercase
    space = alphabet[ord(" ")]
    merges = [(space, letter) for letter in letters]
    merges += [(first, second) for first in letters for second in letters]
    merges += [(space + first, second) for first in letters for second in letters]
    merges += [(first + vowel, last) for first in CONSONANTS for vowel in VOWELS for last in CONSONANTS]
    return alphabet + ["".join(pair) for pair in merges], merges


def _tokenizer(vocabulary: list[str], merges: list[tuple[str, str]]) -> dict[str, Any]:
    """Return `tokenizer.json` as the `tokenizers` library reads it."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = [
        {
            "id": _id(token),
            "content": token,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for token in SPECIAL
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(vocabulary)},
            "merges": merges,
        },
    }


def _write_weights(path: Path, tokens: list[str]) -> None:
    """Write the tensors in the safetensors format: length of the header, header, little-endian floats."""
    source = random.Random(0)  # noqa: S311 - weights, no secret
    header: dict[str, Any] = {}
    body = bytearray()
    for name, shape in _shapes(len(tokens)):
        values = _readable(tokens, source) if name == "lm_head.weight" else _values(name, shape, source)
        if sys.byteorder == "big":
            values.byteswap()
        data = values.tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    encoded = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + body)


def _shapes(vocabulary_size: int) -> Iterator[tuple[str, list[int]]]:
    yield "model.embed_tokens.weight", [vocabulary_size, HIDDEN]
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        for projection in "qkvo":
            yield f"{prefix}.self_attn.{projection}_proj.weight", [HIDDEN, HIDDEN]
        yield f"{prefix}.mlp.gate_proj.weight", [INTERMEDIATE, HIDDEN]
        yield f"{prefix}.mlp.up_proj.weight", [INTERMEDIATE, HIDDEN]
        yield f"{prefix}.mlp.down_proj.weight", [HIDDEN, INTERMEDIATE]
        yield f"{prefix}.input_layernorm.weight", [HIDDEN]
        yield f"{prefix}.post_attention_layernorm.weight", [HIDDEN]
    yield "model.norm.weight", [HIDDEN]
    yield "lm_head.weight", [vocabulary_size, HIDDEN]


def _values(name: str, shape: list[int], source: random.Random) -> "array.array[float]":
    if name.endswith("norm.weight"):
        return array.array("f", [1.0]) * shape[0]
    return _row(shape[0] * shape[1], source)


def _readable(tokens: list[str], source: random.Random) -> "array.array[float]":
    """Return output weights that leave every token out that a terminal could not show.

    Zero rows score 0 and some of some hundred random ones score more, so replies are letters, if no words.
    """
    space = _byte_alphabet()[ord(" ")]
    values = array.array("f")
    for token in tokens:
        is_printable = token.removeprefix(space).isascii() and token not in SPECIAL
        values += _row(HIDDEN, source) if is_printable else array.array("f", [0.0]) * HIDDEN
    return values


def _row(length: int, source: random.Random) -> "array.array[float]":
    return array.array("f", ((byte - 127.5) / 1024 for byte in source.randbytes(length)))

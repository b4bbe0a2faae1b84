"""Run Dynamo's modules with a command line, up to the point before they connect to anything."""

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final


def complaint(module: str, arguments: Sequence[str]) -> str | None:
    """Return the error of `module` for `arguments`, or None if it accepts them."""
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            STARTS[module](list(arguments))
    except SystemExit:
        return stderr.getvalue().strip() or "refused without a word"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _start_frontend(arguments: Sequence[str]) -> None:
    """Run the steps of `dynamo.frontend` before its first connection."""
    sys.argv = ["dynamo.frontend", *arguments]
    config = import_module("dynamo.frontend.main").parse_args()[0]
    llm = import_module("dynamo.llm")
    router = import_module("dynamo.common.configuration.groups.router_args").build_router_config(config)
    limits = {"migration_max_seq_len": config.migration_max_seq_len} if config.migration_max_seq_len else {}
    llm.EntrypointArgs(
        llm.EngineType.Dynamic,
        http_host=config.http_host,
        http_port=config.http_port,
        kv_cache_block_size=config.kv_cache_block_size,
        migration_limit=config.migration_limit,
        router_config=router,
        tokenizer_backend=config.tokenizer_backend,
        **limits,
    )
    import_module("dynamo.frontend.main").load_frontend_route_extensions(config.frontend_route_extensions)


def _start_mocker(arguments: Sequence[str]) -> None:
    """Run the steps of `dynamo.mocker` before its first connection, without the model."""
    args = import_module("dynamo.mocker.args").parse_args(arguments)
    args.kv_bytes_per_token = 128 if args.kv_bytes_per_token is None else args.kv_bytes_per_token
    config = import_module("dynamo.mocker.config")
    engine = config.load_mocker_engine_args(args)
    block_size, runtime = config.build_runtime_config(engine)
    import_module("dynamo.mocker.main").compute_stagger_delay(args.num_workers, args.stagger_delay)
    llm = import_module("dynamo.llm")
    llm.EntrypointArgs(
        llm.EngineType.Mocker,
        kv_cache_block_size=block_size,
        mocker_engine_args=engine,
        runtime_config=runtime,
    )


def _parse_vllm(arguments: Sequence[str]) -> None:
    """Parse only: the next steps read the model."""
    import_module("dynamo.vllm.args")._parse_cli_args(list(arguments))


STARTS: Final[Mapping[str, Callable[[Sequence[str]], None]]] = {
    "dynamo.frontend": _start_frontend,
    "dynamo.mocker": _start_mocker,
    "dynamo.vllm": _parse_vllm,
}


def refuse_abbreviations() -> None:
    """Make argparse accept only full option names."""
    parser_class: Any = argparse.ArgumentParser
    parser_class._get_option_tuples = lambda *_: []

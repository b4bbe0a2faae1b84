"""Makes a folder what lies at a place in S3: `s3.py URI FOLDER RECORD`.

`nodectl install` runs it with the Python of an environment that carries `boto3`. Credentials and region come
from where the SDK looks for them: on an instance, its profile. RECORD is the file that remembers what was
fetched: a file with the size and ETag of its object is kept, so that a sync that was cut off goes on where it
was; what is no object any more goes.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import IMDSRegionProvider

FILES: Final = 4
"""Files at a time; each is fetched in parts, `PARTS` at a time."""

PARTS: Final = 16
PART_BYTES: Final = 64 * 1024 * 1024
"""Tens of connections fill the network of a large instance; few large parts keep the requests few."""

_TRIES: Final = 10
_TELL_SECONDS: Final = 5.0

Known = dict[str, dict[str, Any]]
"""Path below the folder -> `size` and `etag` of the object that it was fetched from."""


class Progress:
    """Says now and then how many bytes have come."""

    def __init__(self, total: int, existing: int) -> None:
        self._total = total
        self._done = existing
        self._told = 0.0

    def add(self, count: int) -> None:
        """Count bytes; called by many threads, and an error of some bytes does not matter here."""
        self._done += count
        if time.monotonic() - self._told > _TELL_SECONDS:
            self._told = time.monotonic()
            print(f"{self._done / 1e9:.1f} of {self._total / 1e9:.1f} GB", flush=True)


@dataclass(frozen=True)
class Source:
    """A folder in S3."""

    client: Any
    bucket: str
    prefix: str

    def listed(self) -> Known:
        """Return the objects below the folder; those that stand for a folder are none."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        objects = {}
        for item in (item for page in pages for item in page.get("Contents", ())):
            name = item["Key"].removeprefix(self.prefix)
            if name and not name.endswith("/"):
                if ".." in name.split("/") or name.startswith("/"):
                    _refuse(f"s3://{self.bucket}/{item['Key']}: leads out of the folder; remove it")
                objects[name] = {"size": item["Size"], "etag": item["ETag"]}
        return objects

    def fetch(self, name: str, target: Path, progress: Progress) -> None:
        """Fetch one file; it has its name only when whole. The SDK refuses one that changes meanwhile."""
        partial = target.with_name(f".{target.name}.partial")
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS
        )
        self.client.download_file(
            self.bucket, self.prefix + name, str(partial), Callback=progress.add, Config=parts
        )
        partial.replace(target)


def main(uri: str, folder: str, record: str) -> None:
    """Synchronise, or say in one line why not and what to do: the last line, with EX_UNAVAILABLE."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    try:
        sync(bucket, f"{prefix}/", Path(folder), Path(record))
    except (BotoCoreError, ClientError) as error:
        _refuse(
            f"{uri}: {error}; the instance profile needs s3:ListBucket on the bucket and s3:GetObject on what"
            " is below the folder; in a network without a way out, an endpoint for S3"
        )


def sync(bucket: str, prefix: str, folder: Path, record: Path) -> None:
    """Make `folder` what lies below `prefix`, and remember in `record` what that is."""
    source = Source(client(), bucket, prefix)
    desired = source.listed()
    if not desired:
        _refuse(f"s3://{bucket}/{prefix}: nothing is there; correct `model.uri`")
    recorded = _read(record)
    for name in recorded.keys() - desired.keys():
        (folder / name).unlink(missing_ok=True)
    complete = {
        name: entry
        for name, entry in desired.items()
        if recorded.get(name) == entry and _is_whole(folder / name, entry)
    }
    missing = desired.keys() - complete.keys()
    total = sum(entry["size"] for entry in desired.values())
    progress = Progress(total, sum(entry["size"] for entry in complete.values()))
    with ThreadPoolExecutor(FILES) as pool:
        fetches = {pool.submit(source.fetch, name, folder / name, progress): name for name in sorted(missing)}
        try:
            for future in as_completed(fetches):
                future.result()
                complete[fetches[future]] = desired[fetches[future]]
                _write(record, complete)
        finally:
            pool.shutdown(cancel_futures=True)
    _write(record, complete)
    _check(folder, desired)
    print(f"{len(desired)} files, {total / 1e9:.1f} GB, of which {len(missing)} were fetched", flush=True)


def client() -> Any:
    """Return a client of the region that this runs in: an endpoint within a VPC leads to no other."""
    session = botocore.session.get_session()
    region = session.get_config_variable("region") or IMDSRegionProvider(session).provide()
    config = Config(max_pool_connections=FILES * PARTS, retries={"mode": "standard", "max_attempts": _TRIES})
    return boto3.Session(botocore_session=session).client("s3", region_name=region, config=config)


def _refuse(reason: str) -> NoReturn:
    print(" ".join(reason.splitlines()), flush=True)
    sys.exit(os.EX_UNAVAILABLE)


def _check(folder: Path, desired: Known) -> None:
    """Refuse a folder whose files have not the sizes of their objects."""
    mismatches = [name for name, entry in desired.items() if not _is_whole(folder / name, entry)]
    if mismatches:
        _refuse(f"{folder}: {', '.join(sorted(mismatches)[:5])} changed in S3 meanwhile; run it again")


def _is_whole(path: Path, entry: dict[str, Any]) -> bool:
    return path.is_file() and path.stat().st_size == entry["size"]


def _read(record: Path) -> Known:
    with suppress(FileNotFoundError, ValueError):
        entries: Known = json.loads(record.read_text(encoding="utf-8"))
        return entries
    return {}


def _write(record: Path, entries: Known) -> None:
    draft = record.with_name(f"{record.name}.draft")
    draft.write_text(json.dumps(entries, sort_keys=True, indent=1), encoding="utf-8")
    draft.replace(record)


if __name__ == "__main__":
    main(*sys.argv[1:])

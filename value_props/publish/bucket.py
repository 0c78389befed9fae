"""A prefix of an object store: list, fetch and upload objects. bucket_lock.py locks it.

An address is written s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
Credentials come from the environment or the provider's chain (AWS_*, GOOGLE_*, AZURE_*). Messages
quote only the error code of a store, because its answers may contain credentials.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError, PreconditionError
from obstore.store import ObjectStore, from_url

from value_props.errors import ValuePropsError
from value_props.files import move, replace_text, sha256_of, sync

PARALLEL = 4
PART_BYTES = 8 << 20
# Seconds to wait for a store that does not answer.
TIMEOUT_SECONDS = 60
# Retries of a request. The waits before them double from FIRST_WAIT, within TIMEOUT_SECONDS.
RETRIES = 6
FIRST_WAIT = datetime.timedelta(seconds=0.5)
UNFINISHED = ".part"
_ADDRESS = re.compile(r"(?P<scheme>s3|gs|az)://(?P<bucket>[^/?#@:\s]+)(?:/(?P<prefix>[^?#]*))?")
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>|\"code\":\s*\"?(\w+)")
_INVALID_PATH = re.compile(r'Path "(.*?)"')
# Without credentials, clients ask the metadata service, which has this address in all clouds.
_NO_CREDENTIALS = re.compile(r"169\.254\.\d|metadata\.google|Account must be specified")
NO_BUCKET, NAME_A_BUCKET = "there is no such bucket", "Name a bucket that exists"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Entry:
    """An object as the store lists it.

    Args:
        name: path below the prefix.
        size: bytes.
        etag: the store's version tag, which changes with the content.
    """

    name: str
    size: int
    etag: str

    @property
    def version(self) -> str:
        """A text that changes when the object is overwritten."""
        return f"{self.etag} {self.size}"


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket, which this project calls a bucket for short.

    Args:
        address: such as s3://bucket/prefix.

    Raises:
        ValuePropsError: the address is not valid, or holds credentials.
    """

    address: str
    # Set if an ETag looks like an MD5 and is none, as in buckets with a key of the customer.
    _has_odd_etags: threading.Event = field(
        default_factory=threading.Event, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise ValuePropsError(
                "it is not the address of a bucket"
                if "@" not in self.address
                else "it holds credentials",
                f"Address {_masked(self.address)}",
                "Write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; credentials"
                " come from the environment",
            )

    def __str__(self) -> str:
        return self.address

    @cached_property
    def store(self) -> ObjectStore:
        options: Any = {"timeout": f"{TIMEOUT_SECONDS}s"}
        retries: Any = {
            "max_retries": RETRIES,
            "backoff": {"init_backoff": FIRST_WAIT},
            "retry_timeout": datetime.timedelta(seconds=TIMEOUT_SECONDS),
        }
        config: Any = _endpoint(self.address.partition(":")[0])
        # Local stores and emulators often have no TLS.
        if any(url.startswith("http://") for url in config.values()):
            options["allow_http"] = True
        with self.errors_explained("open it"):
            store: ObjectStore = from_url(
                self.address.rstrip("/"),
                config=config,
                client_options=options,
                retry_config=retries,
            )
        return store

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """List the objects below a prefix, by name."""
        with self.errors_explained("list it"):
            chunks = list(obstore.list(self.store, prefix or None))
        return _entries_of(item for chunk in chunks for item in chunk)

    def files(self) -> dict[str, Entry]:
        """List the objects directly below the prefix, by name. Deeper folders are not listed."""
        with self.errors_explained("list it"):
            return _entries_of(obstore.list_with_delimiter(self.store)["objects"])

    def read(self, name: str) -> bytes:
        """Return the bytes of a small object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        with self.errors_explained(f"read {name}"):
            return bytes(obstore.get(self.store, name).bytes())

    def sha256_of(self, name: str) -> str:
        """Download an object and return its SHA-256 in lower-case hex.

        Raises:
            FileNotFoundError: there is no such object.
        """
        digest = hashlib.sha256()
        with self.errors_explained(f"read {name}"):
            for part in obstore.get(self.store, name).stream(min_chunk_size=PART_BYTES):
                digest.update(part)
        return digest.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Write a small object."""
        with self.errors_explained(f"write {name}"):
            obstore.put(self.store, name, content)

    def remove(self, names: list[str]) -> None:
        """Remove objects. A missing object is no error."""
        for start in range(0, len(names), 1000):
            with self.errors_explained("remove objects"), suppress(FileNotFoundError):
                obstore.delete(self.store, names[start : start + 1000])

    def fetch(self, entry: Entry, target: Path) -> None:
        """Download an object to a file in parts, and resume an earlier attempt.

        If the file does not match an ETag that looks like an MD5, the object is downloaded again.
        If the second download has the same bytes, the ETag is no MD5; this is so for objects
        encrypted with a customer's key.

        Raises:
            ValuePropsError: the object changed meanwhile, arrived damaged, or the store failed.
        """
        draft = _draft_of(target, entry)
        self._fill(draft, entry)
        if not self._has_odd_etags.is_set() and not _is_whole(draft, entry.etag):
            before = sha256_of(draft)
            draft.unlink()
            self._fill(draft, entry)
            if not _is_whole(draft, entry.etag):
                if sha256_of(draft) != before:
                    draft.unlink()
                    raise self._error(
                        f"{entry.name} arrives damaged, with different bytes each time",
                        "Check the network, and run again",
                    )
                self._has_odd_etags.set()
        sync(draft)
        move(draft, target)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload files, several at a time. Each upload is atomic, but not all of them together.

        Args:
            files: paths by object name.

        Raises:
            ValuePropsError: the store failed; some objects may have been uploaded.
        """

        def put(item: tuple[str, Path]) -> None:
            name, path = item
            with self.errors_explained(f"upload {name}"):
                obstore.put(self.store, name, path, chunk_size=PART_BYTES, max_concurrency=PARALLEL)

        in_parallel(put, files.items())
        found = self.entries(os.path.commonpath([Path(name).parent for name in files]) or "")
        for name, path in files.items():
            if name not in found or found[name].size != path.stat().st_size:
                raise self._error(f"{name} was not uploaded completely", "Run again")

    def _fill(self, draft: Path, entry: Entry) -> None:
        """Download the missing end of an object and append it to a file."""
        with draft.open("ab") as file:
            while (start := file.tell()) < entry.size:
                file.write(self._part(entry, start, min(PART_BYTES, entry.size - start)))

    def _part(self, entry: Entry, start: int, length: int) -> bytes:
        with self.errors_explained(f"fetch {entry.name}"):
            try:
                options: Any = {"if_match": entry.etag, "range": (start, start + length)}
                return bytes(obstore.get(self.store, entry.name, options=options).bytes())
            except (PreconditionError, FileNotFoundError) as error:
                raise self._error(
                    f"{entry.name} changed while it was fetched",
                    "Run again when its upload has ended",
                ) from error

    @contextmanager
    def errors_explained(self, what: str) -> Iterator[None]:
        """Context manager that turns a store's error into a ValuePropsError without its text."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except FileNotFoundError as error:
            # Stores also answer "not found" for an object in a missing bucket.
            if "NoSuchBucket" not in str(error):
                raise
            raise self._error(f"could not {what}: {NO_BUCKET}", NAME_A_BUCKET) from None
        except InvalidPathError as error:
            name = _INVALID_PATH.search(str(error))
            raise self._error(
                f"could not {what}: no file can have the name of the object"
                f" {name[1] if name else '?'}",
                "Rename or remove the object: a part of its name is empty or a dot",
            ) from None
        except (BaseError, OSError) as error:
            cause, remedy = _cause_of(str(error), self.address.partition(":")[0])
            raise self._error(f"could not {what}: {cause}", remedy) from None

    def _error(self, what: str, remedy: str) -> ValuePropsError:
        return ValuePropsError(what, f"Bucket {self.address}", remedy)


def mirror(bucket: Bucket, is_wanted: Callable[[str], bool], folder: Path) -> list[Entry]:
    """Make a folder a copy of the wanted objects of a bucket. Only changed ones are downloaded.

    Args:
        bucket: the bucket to read. Objects in deeper folders are left out.
        is_wanted: returns whether to mirror the object of a name.
        folder: created if missing. Files that are not wanted or not in the bucket are removed.

    Returns:
        The objects, sorted by name.

    Raises:
        ValuePropsError: the store failed. The next call resumes the download.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: entry for name, entry in bucket.files().items() if is_wanted(name)}
    inventory = folder / ".etags.json"
    known: dict[str, str] = {}
    with suppress(OSError, ValueError):
        known = json.loads(inventory.read_text(encoding="utf-8"))
    paths = {folder / name: entry for name, entry in wanted.items()}
    kept = {inventory, *paths, *(_draft_of(path, entry) for path, entry in paths.items())}
    for path in folder.iterdir():
        if path not in kept:
            path.unlink()
    known = {
        name: known[name]
        for name, entry in wanted.items()
        if known.get(name) == entry.version and (folder / name).is_file()
    }
    alone = threading.Lock()

    def note(entry: Entry | None) -> None:
        with alone:
            if entry:
                known[entry.name] = entry.version
            replace_text(inventory, json.dumps(known))

    def fetch(entry: Entry) -> None:
        bucket.fetch(entry, folder / entry.name)
        note(entry)

    # Forget changed objects first, so that an interruption does not leave a wrong version.
    note(None)
    in_parallel(fetch, [entry for name, entry in wanted.items() if name not in known])
    return [wanted[name] for name in sorted(wanted)]


def in_parallel(action: Callable[[Any], Result], items: Iterable[Any]) -> list[Result]:
    """Run an action on items in PARALLEL threads. Raise the first error."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(action, items))


def _draft_of(target: Path, entry: Entry) -> Path:
    """Return the path of a partial download. It differs for each version of the object."""
    key = hashlib.sha256(entry.version.encode()).hexdigest()[:16]
    return target.with_name(f"{target.name}.{key}{UNFINISHED}")


def _is_whole(path: Path, etag: str) -> bool:
    """Return whether a file matches an ETag that is an MD5; true for any other ETag.

    Multipart uploads have other ETags. Bucket.fetch has checked the size.
    """
    match = re.fullmatch(r'"?([0-9a-f]{32})"?', etag)
    if not match:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest() == match[1]


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _endpoint(scheme: str) -> dict[str, str]:
    """Return the obstore options for an endpoint set in the environment; empty without one."""
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "gs": ("GOOGLE_BASE_URL",),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    }[scheme]
    if scheme == "gs" and (host := os.environ.get("STORAGE_EMULATOR_HOST")):
        # An emulator accepts any token, but the client must send one.
        url = host if "://" in host else f"http://{host}"
        return {"base_url": url, "bearer_token": "emulator"}  # nosec B105
    option = "base_url" if scheme == "gs" else "endpoint"
    endpoint = next(filter(None, map(os.environ.get, names)), None)
    return {option: endpoint} if endpoint else {}


def _entries_of(found: Iterable[Any]) -> dict[str, Entry]:
    """Return listed objects by name."""
    return {item["path"]: Entry(item["path"], item["size"], item["e_tag"] or "") for item in found}


def _masked(address: str) -> str:
    """Return an address with possible credentials masked."""
    return re.sub(r"[?#].*", "?…", re.sub(r"//.*@", "//…@", address, flags=re.DOTALL))


def _cause_of(text: str, scheme: str) -> tuple[str, str]:
    """Return cause and remedy of a store's error, from the code in its answer."""
    variables = {"s3": "AWS_*", "gs": "GOOGLE_*", "az": "AZURE_*"}[scheme]
    status, code = _STATUS.search(text), _CODE.search(text)
    name = next(filter(None, code.groups()), "") if code else ""
    code_text = f" ({name or status[1]})" if status else ""
    if _NO_CREDENTIALS.search(text):
        return (
            "no credentials were found in the environment or on this machine",
            f"Set {variables}; orchestration/buckets/README.md lists the variables",
        )
    if name == "NoSuchBucket" or (status and status[1] == "404"):
        return f"{NO_BUCKET}{code_text}", NAME_A_BUCKET
    if status and status[1] in ("401", "403"):
        return (
            f"the credentials are refused{code_text}",
            f"Check that {variables} in the environment belong to a user who may read and write it",
        )
    if status and status[1] == "301":
        return f"it is in another region{code_text}", "Name its region in AWS_REGION"
    if status:
        return f"the store answers with status {status[1]}{code_text}", "Try again later"
    return (
        "it does not answer",
        "Check the network, the name of the bucket, and the endpoint if one is set in the"
        " environment, and run again",
    )

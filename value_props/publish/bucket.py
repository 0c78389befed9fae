"""A prefix of an object store: list, fetch, upload, and a lock that ends by itself.

An address is written s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
Credentials come from the environment or the provider's chain (AWS_*, GOOGLE_*, AZURE_*), and
are in no message: what a store answers is told by its error code alone.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import threading
import time
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

from value_props.errors import ExitCode, RefusedError, ValuePropsError
from value_props.files import move, replace_text, sha256_of, sync
from value_props.logs import logger
from value_props.publish.lock import holder_of

PARALLEL = 4
PART_BYTES = 8 << 20
# Of a request that a store does not answer.
TIMEOUT_SECONDS = 60
# Some seconds in all: a store that says that it is busy, or is started anew, is waited for.
RETRIES = 6
FIRST_WAIT = datetime.timedelta(seconds=0.5)
UNFINISHED = ".part"
LOCK = ".lock.json"
# A lock that its holder has not renewed for so long is anybody's.
LOCK_SECONDS = 120
_ADDRESS = re.compile(r"(?P<scheme>s3|gs|az)://(?P<bucket>[^/?#@:\s]+)(?:/(?P<prefix>[^?#]*))?")
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>|\"code\":\s*\"?(\w+)")
_INVALID_PATH = re.compile(r'Path "(.*?)"')
# Where none are set, the machine's own are asked for, at the address that all clouds use.
_NO_CREDENTIALS = re.compile(r"169\.254\.\d|metadata\.google|Account must be specified")
NO_BUCKET, NAME_A_BUCKET = "there is no such bucket", "Name a bucket that exists"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Entry:
    """An object: what the store says of it.

    Args:
        name: below the prefix.
        size: bytes.
        etag: changes with the content.
    """

    name: str
    size: int
    etag: str

    @property
    def version(self) -> str:
        """Tells a content from those that the name had before."""
        return f"{self.etag} {self.size}"


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket.

    Args:
        address: of the prefix.
    """

    address: str
    # Set once an ETag looked like an MD5 and was none.
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
    def _store(self) -> ObjectStore:
        options: Any = {"timeout": f"{TIMEOUT_SECONDS}s"}
        retries: Any = {
            "max_retries": RETRIES,
            "backoff": {"init_backoff": FIRST_WAIT},
            "retry_timeout": datetime.timedelta(seconds=TIMEOUT_SECONDS),
        }
        config: Any = _endpoint(self.address.partition(":")[0])
        # A store of one's own, or an emulator on this machine.
        if any(url.startswith("http://") for url in config.values()):
            options["allow_http"] = True
        with self._errors_explained("open it"):
            store: ObjectStore = from_url(
                self.address.rstrip("/"),
                config=config,
                client_options=options,
                retry_config=retries,
            )
        return store

    def entries(self, prefix: str = "") -> dict[str, Entry]:
        """The objects below a prefix, by name."""
        with self._errors_explained("list it"):
            chunks = list(obstore.list(self._store, prefix or None))
        return _entries_of(item for chunk in chunks for item in chunk)

    def files(self) -> dict[str, Entry]:
        """The objects by name, without those in deeper folders, which are not even listed."""
        with self._errors_explained("list it"):
            return _entries_of(obstore.list_with_delimiter(self._store)["objects"])

    def read(self, name: str) -> bytes:
        """A small object.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._errors_explained(f"read {name}"):
            return bytes(obstore.get(self._store, name).bytes())

    def sha256_of(self, name: str) -> str:
        """The sha256 of an object's bytes as they are there now, in lower-case hex.

        Raises:
            FileNotFoundError: there is none.
        """
        digest = hashlib.sha256()
        with self._errors_explained(f"read {name}"):
            for part in obstore.get(self._store, name).stream(min_chunk_size=PART_BYTES):
                digest.update(part)
        return digest.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Write a small object."""
        with self._errors_explained(f"write {name}"):
            obstore.put(self._store, name, content)

    def remove(self, names: list[str]) -> None:
        """Remove objects; one that is not there is no error."""
        for start in range(0, len(names), 1000):
            with self._errors_explained("remove objects"), suppress(FileNotFoundError):
                obstore.delete(self._store, names[start : start + 1000])

    def fetch(self, entry: Entry, target: Path) -> None:
        """Bring an object to a file, in parts; what an earlier try brought is kept.

        What does not have the MD5 that its ETag says is fetched a second time. Where it is the same
        again, the ETag is no MD5: so it is of objects that a store encrypts with a key of its user.

        Raises:
            ValuePropsError: it changed meanwhile, it arrives damaged, or the store fails.
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
                        f"{entry.name} arrives damaged, and differently each time",
                        "See that the network is right, and run again",
                    )
                self._has_odd_etags.set()
        sync(draft)
        move(draft, target)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Put files under names, several at a time; each object appears whole or not at all.

        Raises:
            ValuePropsError: the store fails; some may be there.
        """

        def put(item: tuple[str, Path]) -> None:
            name, path = item
            with self._errors_explained(f"upload {name}"):
                obstore.put(
                    self._store, name, path, chunk_size=PART_BYTES, max_concurrency=PARALLEL
                )

        in_parallel(put, files.items())
        found = self.entries(os.path.commonpath([Path(name).parent for name in files]) or "")
        for name, path in files.items():
            if name not in found or found[name].size != path.stat().st_size:
                raise self._error(f"{name} did not arrive whole", "Run again")

    @contextmanager
    def locked(self, run_id: str) -> Iterator[Lock]:
        """Hold the lock of the prefix, and renew it while the block runs.

        Raises:
            RefusedError: another run holds it (exit code LOCKED).
            ValuePropsError: the store fails.
        """
        lock = Lock(self, run_id)
        lock.take()
        ended = threading.Event()
        renewal = threading.Thread(target=lock.renew_until, args=(ended,), daemon=True)
        renewal.start()
        try:
            yield lock
        finally:
            ended.set()
            renewal.join()
            lock.release()

    def _fill(self, draft: Path, entry: Entry) -> None:
        """Append to a file what it lacks of an object."""
        with draft.open("ab") as file:
            while (start := file.tell()) < entry.size:
                file.write(self._part(entry, start, min(PART_BYTES, entry.size - start)))

    def _part(self, entry: Entry, start: int, length: int) -> bytes:
        with self._errors_explained(f"fetch {entry.name}"):
            try:
                options: Any = {"if_match": entry.etag, "range": (start, start + length)}
                return bytes(obstore.get(self._store, entry.name, options=options).bytes())
            except (PreconditionError, FileNotFoundError) as error:
                raise self._error(
                    f"{entry.name} changed while it was fetched",
                    "Run again when its delivery is over",
                ) from error

    @contextmanager
    def _errors_explained(self, what: str) -> Iterator[None]:
        """Turn what a store answers into a paragraph without any of its text."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except FileNotFoundError as error:
            # Also what is said of an object where there is no bucket.
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


@dataclass
class Lock:
    """An object that one run at a time may create, and has to renew.

    Args:
        bucket: where it is.
        run_id: of the run that wants it.
        version: of what this run wrote last, as its store tells it; None while it is not held.
    """

    bucket: Bucket
    run_id: str
    version: Any = None
    # The renewal and the run write it, each over what the other wrote.
    _alone: threading.RLock = field(default_factory=threading.RLock)

    def take(self) -> None:
        """Create the object, or take over one that has expired.

        Raises:
            RefusedError: another run holds it (exit code LOCKED).
        """
        with self.bucket._errors_explained("take its lock"):
            try:
                self._put("create")
            except AlreadyExistsError:
                self._take_over()

    def _take_over(self) -> None:
        found = self._read()
        if found is None:
            # It was released just now.
            return self.take()
        holder: dict[str, Any] = {"expires_at": 0}
        with suppress(ValueError):
            holder = json.loads(bytes(found.bytes()))
        if holder["expires_at"] > time.time():
            raise self._held_by(holder)
        try:
            self._put(_version_of(found.meta))
        except PreconditionError as error:
            raise self._held_by({"run_id": "of another process", "host": "?"}) from error
        logger.warning("step=lock problem=the lock of run %s had expired", holder.get("run_id"))
        return None

    def renew_until(self, ended: threading.Event) -> None:
        """Renew it three times before it would expire; give it up where another took it."""
        while not ended.wait(LOCK_SECONDS / 3):
            try:
                self._renew()
            except (ValuePropsError, PreconditionError, FileNotFoundError) as error:
                logger.warning("step=lock problem=the lock could not be renewed: %s", error)
                if not isinstance(error, ValuePropsError):
                    self.version = None
                    return

    def check(self) -> None:
        """Renew it, so that what follows has time.

        Raises:
            ValuePropsError: it is another's by now (exit code NOT_PUBLISHED).
        """
        try:
            self._renew()
        except (PreconditionError, FileNotFoundError) as error:
            self.version = None
            raise ValuePropsError(
                "the lock expired while the run went on, and another run may have taken it",
                f"Bucket {self.bucket.address}",
                "Run again",
                ExitCode.NOT_PUBLISHED,
            ) from error

    def release(self) -> None:
        """Remove it, if it is still this run's."""
        with suppress(ValuePropsError, PreconditionError, FileNotFoundError):
            if self.version:
                self._renew()
                self.bucket.remove([LOCK])

    def _renew(self) -> None:
        with self._alone, self.bucket._errors_explained("renew its lock"):
            if not self.version:
                raise PreconditionError("not held")
            self._put(self.version)

    def _put(self, mode: Any) -> None:
        content = self._content()
        try:
            result = obstore.put(self.bucket._store, LOCK, content, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            # A request whose answer was lost is sent again, and finds what it has written itself.
            found = self._read()
            if found is None or bytes(found.bytes()) != content:
                raise
            result = found.meta
        self.version = _version_of(result)

    def _read(self) -> Any:
        with suppress(FileNotFoundError):
            return obstore.get(self.bucket._store, LOCK)
        return None

    def _content(self) -> bytes:
        holder = {**holder_of(self.run_id), "expires_at": time.time() + LOCK_SECONDS}
        return json.dumps(holder).encode()

    def _held_by(self, holder: Mapping[str, Any]) -> RefusedError:
        return RefusedError(
            f"another run holds the lock: run {holder.get('run_id')} on {holder.get('host')}",
            f"Bucket {self.bucket.address}",
            f"Wait until it is over and run again; a run that died frees it in {LOCK_SECONDS} s",
            ExitCode.LOCKED,
        )


def mirror(bucket: Bucket, names: Callable[[str], bool], folder: Path) -> list[Entry]:
    """Make a folder hold the wanted objects of a bucket; only what changed is fetched.

    Args:
        bucket: to read; objects in deeper folders are left out.
        names: which objects are wanted.
        folder: for the files, made if missing; files that are gone from the bucket go.

    Returns:
        The objects, in the order of their names.

    Raises:
        ValuePropsError: the store fails; what was fetched is used by the next try.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: entry for name, entry in bucket.files().items() if names(name)}
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

    # What is fetched is no longer the version that was known, wherever this ends.
    note(None)
    in_parallel(fetch, [entry for name, entry in wanted.items() if name not in known])
    return [wanted[name] for name in sorted(wanted)]


def in_parallel(action: Callable[[Any], Result], items: Iterable[Any]) -> list[Result]:
    """Do the same with several things at a time; the first error is raised."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(action, items))


def _draft_of(target: Path, entry: Entry) -> Path:
    """Where what was fetched of an object waits for the rest; no other version goes on from it."""
    key = hashlib.sha256(entry.version.encode()).hexdigest()[:16]
    return target.with_name(f"{target.name}.{key}{UNFINISHED}")


def _is_whole(path: Path, etag: str) -> bool:
    """Whether a file has the MD5 that its ETag is; true where the ETag is none.

    An object that was put in several parts has another kind of ETag; its size was checked.
    """
    match = re.fullmatch(r'"?([0-9a-f]{32})"?', etag)
    if not match:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest() == match[1]


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _endpoint(scheme: str) -> dict[str, str]:
    """The store that the environment names in place of the provider's, as obstore takes it."""
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "gs": ("GOOGLE_BASE_URL",),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    }[scheme]
    if scheme == "gs" and (host := os.environ.get("STORAGE_EMULATOR_HOST")):
        # It takes any token.
        url = host if "://" in host else f"http://{host}"
        return {"base_url": url, "bearer_token": "emulator"}  # nosec B105
    option = "base_url" if scheme == "gs" else "endpoint"
    endpoint = next(filter(None, map(os.environ.get, names)), None)
    return {option: endpoint} if endpoint else {}


def _entries_of(found: Iterable[Any]) -> dict[str, Entry]:
    """What a store lists, by name."""
    return {item["path"]: Entry(item["path"], item["size"], item["e_tag"] or "") for item in found}


def _version_of(meta: Any) -> dict[str, str]:
    """What a later write names to be over this one: of S3 and Azure the ETag, of GCS a number."""
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}


def _masked(address: str) -> str:
    """An address without what may be credentials in it."""
    return re.sub(r"[?#].*", "?…", re.sub(r"//.*@", "//…@", address, flags=re.DOTALL))


def _cause_of(text: str, scheme: str) -> tuple[str, str]:
    """What went wrong, and what to do about it, from the code in a store's answer."""
    variables = {"s3": "AWS_*", "gs": "GOOGLE_*", "az": "AZURE_*"}[scheme]
    status, code = _STATUS.search(text), _CODE.search(text)
    name = next(filter(None, code.groups()), "") if code else ""
    code_text = f" ({name or status[1]})" if status else ""
    if _NO_CREDENTIALS.search(text):
        return (
            "no credentials were found, in the environment or of this machine",
            f"Set {variables} as the provider documents them",
        )
    if name == "NoSuchBucket" or (status and status[1] == "404"):
        return f"{NO_BUCKET}{code_text}", NAME_A_BUCKET
    if status and status[1] in ("401", "403"):
        return (
            f"the credentials are refused{code_text}",
            f"See that {variables} in the environment are those of a user that may read and write"
            " it",
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

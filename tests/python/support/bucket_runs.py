"""Publish small files to a bucket as a run does, and read them as a reader does."""

from __future__ import annotations

import json
from pathlib import Path

from support.kills import names_of
from support.s3_server import BUCKET

from value_props.errors import ValuePropsError
from value_props.publish.bucket import Bucket
from value_props.publish.bucket_publisher import BucketPublisher
from value_props.publish.out_path import MANIFEST, REPORT, OutPath
from value_props.publish.places import Place
from value_props.record import history

LAKE = f"s3://{BUCKET}"


def publish(folder: Path, prefix: str, run_id: str, lake: str = LAKE) -> None:
    """Publish as a run does. The folder stands for the machine of the run."""
    bucket = Bucket(f"{lake}/{prefix}")
    remote = BucketPublisher(Place(str(bucket), folder, bucket), OutPath(folder), bucket)
    remote.out.prepare()
    with remote.session(run_id):
        remote.out.sweep()
        files = remote.out.work / "files"
        files.mkdir(parents=True)
        names = [name for name in names_of(REPORT) if name != MANIFEST]
        for name in names:
            (files / name).write_text(run_id, encoding="utf-8")
        outputs = [{"name": name, "path": name} for name in names]
        (files / MANIFEST).write_text(
            json.dumps({"run_id": run_id, "outputs": outputs}), encoding="utf-8"
        )
        record = remote.out.work / history.RECORD
        record.mkdir()
        (record / "runs.parquet").write_text(run_id, encoding="utf-8")
        try:
            remote.add_run(run_id)
            remote.make_current(run_id)
            history.commit(remote.out, run_id)
        except (KeyboardInterrupt, ValuePropsError):
            # Publish the record of the failed run.
            if not history.recover_record(remote.out, run_id):
                history.commit(remote.out, run_id)
            raise
        remote.out.prune()


def published(prefix: str, lake: str = LAKE) -> dict[str, str]:
    """Return the content of each output that the root manifest names; empty without one."""
    bucket = Bucket(f"{lake}/{prefix}")
    try:
        manifest = json.loads(bucket.read(MANIFEST))
    except FileNotFoundError:
        return {}
    return {output["name"]: bucket.read(output["path"]).decode() for output in manifest["outputs"]}

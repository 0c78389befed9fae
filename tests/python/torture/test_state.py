"""Any file that a run left may be damaged: the next run works, or says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.attacks import RUN_DATE, assert_told, assert_whole, dose, draw, record, variant
from support.harness import build, value_props

FILES = dose(5, 70)


def delete(path: Path, _: Path) -> None:
    path.unlink()


def empty(path: Path, _: Path) -> None:
    _write(path, b"")


def cut(path: Path, _: Path) -> None:
    _write(path, path.read_bytes()[: path.stat().st_size // 2])


def replace(path: Path, other: Path) -> None:
    _write(path, other.read_bytes())


DAMAGES: list[Callable[[Path, Path], None]] = [delete, empty, cut, replace]


def _write(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def said_by(command: str, out: Path, raw: Path) -> tuple[int, str]:
    runs = sorted(path.name for path in (out / "runs").iterdir()) if (out / "runs").is_dir() else []
    arguments: dict[str, tuple[str | Path, ...]] = {
        "history": (),
        "report": (),
        "verify": (),
        "diff": (*runs[:1], *runs[-1:]) if runs else ("none", "none"),
        "rollback": (),
        "build": ("--raw", raw, *RUN_DATE, "--make-current"),
    }
    answer = value_props(command, *arguments[command], "--out", out)
    assert_told(answer.returncode, answer.text)
    return answer.returncode, answer.text


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """An out path with two passed runs and a failed one; and its raw folders."""
    folder = tmp_path_factory.mktemp("state")
    raws = [variant(folder / f"raw_{number}", number) for number in (0, 1)]
    for raw in raws:
        assert said_by("build", folder / "out", raw)[0] == 0
    build(folder / "out", "--as-of", "2020-12-31", raw=raws[0], exit_code=1)
    return folder / "out", raws


def test_damage_to_any_file_is_mended_or_told(
    left: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    whole, raws = left
    out = tmp_path / "out"
    # What a run leaves names its folder, so the copies stand where the first one stood.
    kept = whole.rename(whole.with_name("kept"))
    try:
        files = [
            path.relative_to(kept)
            for path in sorted(kept.rglob("*"))
            if path.is_file() and not path.is_symlink()
        ]
        random = draw("state")
        cases = [(file, damage) for file in files for damage in DAMAGES]
        random.shuffle(cases)
        faults = []
        ended: dict[str, int] = {}
        for file, damage in cases[:FILES]:
            other = random.choice([each for each in files if each != file])
            shutil.copytree(kept, whole, symlinks=True)
            out = whole
            name = f"{file} {damage.__name__}{f' {other}' if damage is replace else ''}"
            damage(out / file, out / other)
            try:
                for command in ("history", "report", "verify", "diff"):
                    code, _ = said_by(command, out, raws[0])
                    end = f"{command}, exit {code}"
                    ended[end] = ended.get(end, 0) + 1
                is_rolled_back = random.random() < 0.3
                if is_rolled_back:
                    said_by("rollback", out, raws[0])
                code, said = said_by("build", out, raws[0])
                assert code == 0, said
                assert_whole(out)
                assert said_by("verify", out, raws[0])[0] == 0
            except AssertionError as fault:
                faults.append(f"{name}: {fault}")
            finally:
                shutil.rmtree(out)
        record("state", files=len(files), cases=len(cases[:FILES]), faults=len(faults), **ended)
        assert faults == []
    finally:
        kept.rename(whole)

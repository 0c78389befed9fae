"""Nothing in the Makefile or a script is for Linux alone; mypy judges the command for macOS."""

from __future__ import annotations

import re

import pytest
from support.harness import ROOT

# What the make 3.81, the sed, the awk or the bash 3.2 of macOS lacks, or reads in another way.
NOT_ON_MACOS = re.compile(
    r"override export|export override|^\.ONESHELL|&:|^\w+ *(!|::)=|^(undefine|define \w+ *=)"
    r"|\$\((file|let|intcmp|guile) |(?<!\.)\b(realpath|tac|nproc|setsid|timeout|flock)\b"
    r"|\b(sha256|md5)sum\b|\breadlink -f|\bdate (-d|--)|\bstat (-c|--)|\bgrep -\w*P"
    r"|\bxargs -\w*[rd]|\bcp (-a|--)|\bsed -\w*[irz]|\bsed --|\bsed [^|]*\\t"
    r"|\bmktemp --|/proc/|/dev/shm|\bwait -n|\bmapfile\b|\bdeclare -A|\$\{\w+(,,|\^\^|@)",
    re.MULTILINE,
)


@pytest.mark.parametrize("name", ["Makefile", "orchestration/airflow/up"])
def test_no_line_of_a_shell_or_of_make_is_for_linux_alone(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if not line.lstrip().startswith("#")]
    assert [line for line in code if NOT_ON_MACOS.search(line)] == []

"""The length proof: a file that passes it is read as the rules read it line by line.

Each file is read in both ways, and the parts that are kept of it are compared.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.harness import ingest_in_every_way

HEADER = "pay_date,total,user_id,value_prop"
EVENT = '{"day":"2020-11-01","event_data":{"position":1,"value_prop":"point"},"user_id":100}'
PAYMENT = "2020-11-01,700.00,100,point"
# What is written otherwise than an app writes it. Some of it is shorter than what it spells out,
# some longer, some as long, some of it is right and some is not.
OTHER_EVENTS = [
    EVENT.replace(*change)
    for change in (
        (":100", ":1e2"),
        (":100", ":1E2"),
        (":100", ":10e1"),
        (":100", ":100.0"),
        (":100", ":0100"),
        (":100", ":+100"),
        (":100", ':"100"'),
        (":100", ':" 100"'),
        (":100", ":true"),
        (":100", ":null"),
        (":100", ":-0"),
        (":100", ":[1]"),
        (":100", ":9223372036854775808"),
        ("2020-11-01", "2020-11-1"),
        ("2020-11-01", "2020/11/01"),
        ("2020-11-01", "20-11-01"),
        ("2020-11-01", "2020-11-31"),
        ("2020-11-01", "1999-12-31"),
        ("2020-11-01", "2020-11-1 "),
        ("2020-11-01", " 2020-11-1"),
        ("2020-11-01", "infinity"),
        ("2020-11-01", "epoch"),
        ('"2020-11-01"', "20201101"),
        ('"position":1', '"position":1.7'),
        ('"position":1', '"position":1e0'),
        ('"position":1', '"position":-1'),
        ('"position":1', '"position":true'),
        ('"point"', "true"),
        ('"point"', "false"),
        ('"point"', "12345"),
        ('"point"', "null"),
        ('"point"', '"true"'),
        ('"point"', '"nan"'),
        ('"point"', "NaN"),
        ('"point"', '"infinity"'),
        ('"point"', '""'),
        ('"point"', '" "'),
        ('"point"', '"Point"'),
        ('"point"', '"p\\u006fint"'),
        ('"point"', '"p\\noint"'),
        ('"point"', '"p\\u0000int"'),
        ('"point"', '"p\\"int"'),
        ('"point"', '"{}"'),
        ('"point"', "{}"),
        ('"point"', '["a"]'),
        ('"day"', '"Day"'),
        ('"day"', '"d\\u0061y"'),
        ('"user_id"', '"USER_ID"'),
        ('"value_prop"', '"value_prox"'),
        ("}", ',"a":1}'),
        (":100}", ':100,"user_id":7}'),
        (":100}", ":100,}"),
        (":100}", ":100"),
        (":100}", ":100}}"),
        (":100}", ":100} "),
        (":100}", ":100}x"),
        ('{"day"', ' {"day"'),
        ('{"day"', '\t{"day"'),
        (":", ": "),
        (",", ", "),
        (EVENT, EVENT.replace(":", ": ").replace(",", ", ")),
        (EVENT, '{"user_id":100,' + EVENT[1:].replace(',"user_id":100', "")),
        (
            '"position":1,"value_prop":"point"',
            '"value_prop":"point","position":1',
        ),
        (EVENT, EVENT + EVENT),
        (EVENT, ""),
        (EVENT, " "),
        (EVENT, "[]"),
        (EVENT, f"[{EVENT}]"),
        (EVENT, EVENT[:40]),
        (EVENT, EVENT + "\r"),
        (EVENT, EVENT.replace("point", "po\x00nt")),
        (EVENT, EVENT.replace("point", "po\x01nt")),
        (EVENT, "\ufeff" + EVENT),
    )
]
OTHER_PAYMENTS = [
    PAYMENT.replace(*change)
    for change in (
        ("700.00", "7e2"),
        ("700.00", "700"),
        ("700.00", "700.0"),
        ("700.00", ".50"),
        ("700.00", "0700.00"),
        ("700.00", "+700.00"),
        ("700.00", "-700.00"),
        ("700.00", "-0.00"),
        ("700.00", "700.005"),
        ("700.00", " 700.00"),
        ("700.00", "7_00.0"),
        ("700.00", "1000000000000.001"),
        ("700.00", "9999999999999.00"),
        ("700.00", '"700.00"'),
        (",100,", ",1e2,"),
        (",100,", ",0100,"),
        (",100,", ",+100,"),
        (",100,", ", 100,"),
        (",100,", ",100.0,"),
        (",100,", ",0,"),
        (",100,", ",0x64,"),
        ("2020-11-01", "2020-11-1"),
        ("2020-11-01", "2020/11/01"),
        ("2020-11-01", "20201101"),
        ("2020-11-01", "1999-12-31"),
        ("2020-11-01", "2020-11-31"),
        ("2020-11-01", "today"),
        ("point", '"point"'),
        ("point", 'po"int'),
        ("point", '"po""int"'),
        ("point", '"po,int"'),
        ("point", '"po\nint"'),
        ("point", ""),
        ("point", " "),
        ("point", " point"),
        ("point", "point,"),
        ("point", "po\x00nt"),
        ("point", "po\x01nt"),
        ("point", "point\r"),
        (PAYMENT, ""),
        (PAYMENT, " "),
        (PAYMENT, ",,,"),
        (PAYMENT, HEADER),
        (PAYMENT, "2020-11-01,700.00,100"),
        (PAYMENT, "\ufeff" + PAYMENT),
    )
]
# Unexpected, and as an app writes it all the same.
PLAIN_EVENTS = [EVENT.replace("point", text) for text in ("null", "puñto", "po\x7fnt", "a b: c, d")]
PLAIN_PAYMENTS = [
    PAYMENT.replace(*change)
    for change in (
        ("700.00", "1000000000000.00"),
        ("700.00", "0.00"),
        ("point", "point "),
        ("point", "puñto"),
        ("point", "#point"),
        ("point", "po\\nt"),
        ("point", "true"),
    )
]
# As long as the plain line less as much as another is longer, so that a sum alone may be right.
SHORT_EVENTS = [EVENT.replace("2020-11-01", "2020-11-1"), EVENT.replace(":100", ":1e2")]
SHORT_PAYMENTS = [PAYMENT.replace("700.00", "700.0"), PAYMENT.replace(",100,", ",1e2,")]


def plain_events(count: int) -> list[str]:
    return [EVENT.replace(":100", f":{number}") for number in range(101, 101 + count)]


def read_in_every_way(files: dict[str, bytes]) -> dict[str, bool]:
    """Whether each file was proved whole; all ways have to give the same.

    Args:
        files: content by name. Sources that have none get a file without rows.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = folder / "raw"
        raw.mkdir()
        nothing = {"prints.json": b"", "taps.json": b"", "pays.csv": f"{HEADER}\n".encode()}
        for file_name, content in (nothing | files).items():
            (raw / file_name).write_bytes(content)
        return {
            file.found.path.name: file.content.is_plain
            for file in ingest_in_every_way(raw).files
            if file.found.path.name in files
        }


def lines(*texts: str, end: str = "\n") -> bytes:
    return "".join(text + end for text in texts).encode()


def numbered(name: str, contents: list[bytes]) -> dict[str, bytes]:
    """Files of one source, each with a content of its own."""
    stem, _, ending = name.partition(".")
    distinct = list(dict.fromkeys(contents))
    return {f"{stem}_{number:03}.{ending}": text for number, text in enumerate(distinct)}


def test_plain_files_are_proved() -> None:
    prints = lines(*plain_events(3000))
    payments = [PAYMENT.replace(",100,", f",{number},") for number in range(1, 3000)]
    pays = lines(HEADER, *payments)
    files = {
        "prints.json": prints,
        "prints_2.json.gz": gzip.compress(lines(*plain_events(3))),
        "prints_3.json": lines(*PLAIN_EVENTS),
        "pays.csv": pays,
        "pays_2.csv.gz": gzip.compress(lines(HEADER, PAYMENT)),
        "pays_3.csv": lines(HEADER, *PLAIN_PAYMENTS),
        "taps.json": b"",
    }
    assert read_in_every_way(files) == dict.fromkeys(files, True)


def test_a_last_line_without_an_end_is_proved() -> None:
    files = {}
    for count in (1, 2, 3):
        files[f"prints_{count}.json"] = lines(*plain_events(count)).rstrip(b"\n")
        files[f"pays_{count}.csv"] = lines(HEADER, *[PAYMENT] * count).rstrip(b"\n")
    assert read_in_every_way(files) == dict.fromkeys(files, True)


def test_events_that_are_written_otherwise_are_not_proved() -> None:
    before, after = plain_events(3), plain_events(5)[3:]
    files = numbered(
        "prints.json",
        [
            lines(*before, other, *short, *after)
            for other in OTHER_EVENTS
            for short in ([], [SHORT_EVENTS[0]], [SHORT_EVENTS[1]])
        ],
    )
    assert len(files) > 200
    assert read_in_every_way(files) == dict.fromkeys(files, False)


def test_payments_that_are_written_otherwise_are_not_proved() -> None:
    files = numbered(
        "pays.csv",
        [
            lines(HEADER, PAYMENT, other, *short, PAYMENT)
            for other in OTHER_PAYMENTS
            for short in ([], [SHORT_PAYMENTS[0]], [SHORT_PAYMENTS[1]])
        ],
    )
    assert len(files) > 130
    assert read_in_every_way(files) == dict.fromkeys(files, False)


def test_other_line_ends_headers_and_repeated_events_are_not_proved() -> None:
    ends = ("\r\n", "\r", "\n\n", " \n")
    headers = (
        "total,pay_date,user_id,value_prop",
        f"{HEADER},more",
        f'"pay_date",{HEADER[9:]}',
        f" \n{HEADER}",
    )
    files = numbered(
        "prints.json",
        [
            *(lines(*plain_events(3), end=end) for end in ends),
            lines(EVENT, *plain_events(3), EVENT),
        ],
    ) | numbered(
        "pays.csv",
        [
            *(lines(HEADER, PAYMENT, PAYMENT, end=end) for end in ends[:3]),
            *(lines(header, PAYMENT) for header in headers),
            HEADER.encode(),
        ],
    )
    assert read_in_every_way(files) == dict.fromkeys(files, False)


def test_a_line_at_the_edge_of_a_buffer_is_not_lost() -> None:
    """Lines of many lengths, so that each buffer is cut in the midst of one."""
    prints = [
        EVENT.replace("point", "p" * (1 + number % 997)).replace(":100", f":{number + 1}")
        for number in range(80_000)
    ]
    bad = [*prints[:60_000], EVENT[:-1], *prints[60_000:]]
    found = read_in_every_way({"prints.json": lines(*prints), "prints_2.json": lines(*bad)})
    assert found == {"prints.json": True, "prints_2.json": False}


ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])
some_events = st.lists(
    st.one_of(
        st.integers(1, 10**6).map(lambda number: EVENT.replace(":100", f":{number}")),
        st.sampled_from([*OTHER_EVENTS, *SHORT_EVENTS]),
        st.text(st.characters(codec="utf-8"), max_size=9).map(lambda t: EVENT.replace("point", t)),
    ),
    max_size=6,
)
some_payments = st.lists(
    st.one_of(
        st.decimals(0, 10**9, places=2).map(lambda total: PAYMENT.replace("700.00", str(total))),
        st.sampled_from([*OTHER_PAYMENTS, *SHORT_PAYMENTS]),
        st.text(st.characters(codec="utf-8"), max_size=9).map(
            lambda text: PAYMENT.replace("point", text)
        ),
    ),
    max_size=6,
)


@settings(
    max_examples=int(os.environ.get("VALUE_PROPS_PROOFS", "12")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(st.tuples(some_events, ENDS), min_size=1, max_size=20),
    st.lists(st.tuples(some_payments, ENDS), min_size=1, max_size=20),
)
def test_both_ways_agree_on_any_files(
    events: list[tuple[list[str], str]], payments: list[tuple[list[str], str]]
) -> None:
    prints = [lines(*texts, end=end) for texts, end in events]
    pays = [lines(HEADER, *texts, end=end) for texts, end in payments]
    read_in_every_way(numbered("prints.json", prints) | numbered("pays.csv", pays))

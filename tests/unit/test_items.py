"""JSON as CBOR items: the compact forms, the exact way back, and that foreign CBOR libraries can read them."""

from __future__ import annotations

import ast
from pathlib import Path

import cbor2
import pytest

from ocppress_codecs import cbor, items
from ocppress_codecs.errors import DecodeError
from ocppress_codecs.items import NotExact, read_values, write_values
from ocppress_codecs.names import names
from ocppress_codecs.shapes import Context


def _key(name: str) -> str:
    return cbor.integer(names().key_numbers[name]).hex()


def _back(found: list[bytes]) -> str:
    return read_values(cbor.Reader(b"".join(found)), len(found), Context())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", "a0"),
        ("[]", "80"),
        ("[true,false,null]", "83f5f4f6"),
        ("[0,23,24,-1,65536]", "8500171818201a00010000"),
        ("[1.00]", "81c482211864"),
        ('["230.10"]', "81c782211959e2"),
        ('["16"]', "81c710"),
        ("[-0]", "81cc622d30"),
        ("[2e+01]", "81cc6532652b3031"),
        ('["é"]', "8162c3a9"),
        ('["\\u00e9"]', "81cc68225c753030653922"),
        ('["a\\"b"]', "8163612262"),
        ('["a\\/b"]', "81cc6622615c2f6222"),
        ('["6f1c2f3e-9a51-4c0b-8a7e-2d35c1b7e90f"]', "81d825506f1c2f3e9a514c0b8a7e2d35c1b7e90f"),
        ('["6F1C2F3E-9A51-4C0B-8A7E-2D35C1B7E90F"]', "817824" + b"6F1C2F3E-9A51-4C0B-8A7E-2D35C1B7E90F".hex()),
        ('["00ff10a0"]', "81cb4400ff10a0"),
        ('["00FF10A0"]', "81d74400ff10a0"),
        ('["00fF10A0"]', "8168" + b"00fF10A0".hex()),
        ('["QUJDREVGR0hJSktMTU5PUFE="]', "81d651" + b"ABCDEFGHIJKLMNOPQ".hex()),
        ('["QUJDREVGR0hJSktMTU5PUFF="]', "817818" + b"QUJDREVGR0hJSktMTU5PUFF=".hex()),
        ('["1970-01-01T00:00:07Z","1970-01-01T00:00:08Z"]', "82c807c801"),
        ('["1970-01-01T00:00:00.007Z"]', "81c907"),
        ('["1970-01-01T00:00:07.000+01:00"]', "81ca8307006a" + b".000+01:00".hex()),
    ],
)
def test_forms(body: str, expected: str) -> None:
    found = write_values(body, Context())
    assert b"".join(found).hex() == expected
    assert _back(found) == body


def _docstring() -> str:
    # A compiled module has no docstring; its source lies beside it.
    return ast.get_docstring(ast.parse(Path(items.__file__).with_name("items.py").read_text()), clean=False) or ""


def test_the_example_in_the_module() -> None:
    body = '{"connectorId":1,"status":"Charging","info":"","value":"230.10","readonly":true,"own":1e5}'
    (item,) = write_values(body, Context())
    shown = [line.split("  ") for line in _docstring().splitlines() if line.startswith(("    a6", "       "))]
    coded = "".join("".join(column for column in line if column and set(column) <= set("0123456789abcdef ")) for line in shown)
    assert coded.replace(" ", "") == item.hex()
    assert _back([item]) == body


def test_names_are_integers() -> None:
    status = cbor.head(cbor.TAG, 13) + cbor.integer(names().word_numbers["Charging"])
    heartbeat = bytes((0xE0 + names().word_numbers["Heartbeat"],))
    (first, second) = write_values('"Heartbeat",{"status":"Charging"}', Context())
    assert first == heartbeat
    assert second.hex() == "a1" + _key("status") + status.hex()


@pytest.mark.parametrize("body", ['{"a":1,"a":2}', '{"x":[{"b":1,"c":2,"b":1}]}', "{", '"a'])
def test_what_has_no_exact_form(body: str) -> None:
    with pytest.raises(NotExact):
        write_values(body, Context())


def test_a_foreign_library_reads_the_structure() -> None:
    body = '{"connectorId":1,"mine":[1,"text",true,{"yours":null}],"big":1.5}'
    (item,) = write_values(body, Context())
    read = cbor2.loads(item)
    assert read[names().key_numbers["connectorId"]] == 1
    assert read["mine"] == [1, "text", True, {"yours": None}]
    assert str(read["big"]) == "1.5"


@pytest.mark.parametrize("length", range(12))
def test_every_beginning_is_truncated(length: int) -> None:
    item = bytes.fromhex("a1617883cc62316501c782211959e2")
    with pytest.raises(DecodeError):
        read_values(cbor.Reader(item[:length]), 1, Context())


@pytest.mark.parametrize("number", [0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1])
def test_heads_are_the_shortest(number: int) -> None:
    for value in (number, -1 - number):
        assert cbor.integer(value) == cbor2.dumps(value)
        assert cbor.Reader(cbor.integer(value)).integer() == value

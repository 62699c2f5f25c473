"""A decoder of `adaptive` written from `codecs/SPEC.md` and the files in `data/` alone (`second_adaptive`), against the vectors and recordings.

It knows nothing of the package; only these tests do, to make frames of what isn't in the vectors.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, Final

import pytest

from ocppress_codecs.interface import CodecName
from tests.conformance.second_adaptive import coder, decoder, encoding, skeletons, texts, values
from tests.conformance.second_adaptive.coder import Refused
from tests.conformance.second_adaptive.decoder import SecondDecoder
from tests.support.traces import CodecPair, frames_of, version_of

ROOT: Final = Path(__file__).parents[2]
VECTORS: Final = ROOT / "codecs/vectors"
RECORDINGS: Final = sorted((ROOT / "gateway/ocppress_gateway/workloads/recordings").glob("*.jsonl"))
MODULES: Final = sorted((Path(__file__).parent / "second_adaptive").glob("*.py"))
CONTENT: Final = json.loads((VECTORS / "adaptive.json").read_text())
PARTS: Final = json.loads((VECTORS / "adaptive-parts.json").read_text())
TRACE: Final = json.loads((VECTORS / "adaptive-trace.json").read_text())

Step = dict[str, Any]


def pair() -> dict[str, SecondDecoder]:
    """The decoders of both directions."""
    found = {way: SecondDecoder() for way in ("up", "down")}
    found["up"].other, found["down"].other = found["down"], found["up"]
    return found


def take(decoders: dict[str, SecondDecoder], step: Step) -> None:
    """Decode a frame of the vectors."""
    if step.get("new_epoch"):
        for one in decoders.values():
            one.new_epoch()
    expected = [(message["type"], message["call"], message["body"]) for message in step["messages"]]
    assert decoders[step["direction"]].decode(bytes.fromhex(step["frame"])) == expected
    assert decoders[step["direction"]].saved()[-16:].hex() == step["state"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_it_is_a_second_one(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        assert not [name for name in names if name.startswith(("ocppress", "bench"))]


def test_the_fingerprint_is_as_stated() -> None:
    assert decoder.fingerprint().hex() == CONTENT["fingerprint"] == PARTS["fingerprint"] == TRACE["fingerprint"]


@pytest.mark.parametrize("session", CONTENT["sessions"], ids=lambda session: session["name"])
def test_sessions(session: dict[str, Any]) -> None:
    decoders = pair()
    for step in session["frames"]:
        take(decoders, step)


@pytest.mark.parametrize("case", CONTENT["acceptances"], ids=lambda case: case["name"])
def test_acceptances(case: dict[str, Any]) -> None:
    take(pair(), {"direction": "up"} | case)


@pytest.mark.parametrize("case", CONTENT["rejections"], ids=lambda case: case["name"])
def test_rejections(case: dict[str, Any]) -> None:
    decoders = pair()
    for step in case["after"]:
        take(decoders, step)
    with pytest.raises(Refused) as caught:
        decoders["up"].decode(bytes.fromhex(case["frame"]))
    assert caught.value.code == case["error"]
    take(decoders, case["then"])


def test_decisions_are_those_of_the_trace() -> None:
    session = next(session for session in CONTENT["sessions"] if session["name"] == TRACE["frames"][0]["session"])
    decoders = pair()
    for step, traced in zip(session["frames"], TRACE["frames"], strict=True):
        decided: list[list[int | str]] = []
        assert traced["frame"] == step["frame"]
        decoders[step["direction"]].decode(bytes.fromhex(step["frame"]), lambda *what, decided=decided: decided.append(list(what)))
        assert decided == traced["decisions"]


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_recordings(file: Path) -> None:
    decoders = pair()
    carrier = CodecPair(CodecName.ADAPTIVE, version_of(file))
    for way, text in frames_of(file)[:150]:
        ((kind, _, body),) = decoders[way].decode(carrier.carry(way, text))
        assert text.startswith(f"[{kind},")
        assert text.endswith(f",{body}]")


def test_functions_have_the_values_of_the_parts() -> None:
    for context, value, result in PARTS["mix"]:
        assert coder.mix(context, value) == result
    for text, digits in PARTS["hash"].items():
        assert f"{coder.text_hash(text):08x}" == digits
    assert [655360 // (10 * count + 16) for count in range(64)] == PARTS["rates"]
    assert [values.cost(error) for error in range(256)] == PARTS["cost"]["0 to 255"]
    for error, cost in PARTS["cost"]["others"]:
        assert values.cost(error) == cost
    for x, probability in PARTS["squash"]:
        assert texts.squash(x) == probability
    assert PARTS["stretch"] == texts.STRETCH


@pytest.mark.parametrize("case", PARTS["decisions"], ids=lambda case: case["frame"][:16])
def test_the_range_coder_reads_the_parts(case: dict[str, Any]) -> None:
    reader = coder.Reader(bytes.fromhex(case["frame"]), [(32768, 0)] * 18432)
    for probability, bit, count in case.get("decisions", []):
        assert [reader.decide(probability) for _ in range(count)] == [bit] * count
    if "raw" in case:
        count, value = case["raw"]
        assert reader.raw(count) == value


def test_numerals_read_the_parts() -> None:
    (case,) = PARTS["numerals"]
    reader = coder.Reader(bytes.fromhex(case["frame"]), [(32768, 0)] * 18432)
    for name, *arguments, value in case["steps"]:
        if name == "choice":
            arguments.reverse()
        assert getattr(reader, name)(*arguments) == value


@pytest.mark.parametrize("case", PARTS["skeletons"], ids=lambda case: case["skeleton"][:40])
def test_plans_are_those_of_the_parts(case: dict[str, Any]) -> None:
    shape = skeletons.Shape(case["skeleton"])
    assert shape.order == case["order"]
    assert f"{shape.context:08x}" == case["context"]
    for hole, expected in zip(shape.holes, case["holes"], strict=True):
        found = {name: getattr(hole, name) for name in ("role", "phase", "group", "kilo")}
        found |= {name: f"{getattr(hole, name):08x}" for name in ("name", "field", "measure")}
        assert found == expected


@pytest.mark.parametrize("case", PARTS["skeletons"], ids=lambda case: case["skeleton"][:40])
def test_messages_are_taken_apart_as_in_the_parts(case: dict[str, Any]) -> None:
    assert encoding.taken_apart(case["type"], case["body"]) == (case["skeleton"], case["values"])
    assert encoding.tokens_of(case["skeleton"])[: len(case["tokens"])] == case["tokens"]


@pytest.mark.parametrize(
    "session", [one for one in CONTENT["sessions"] if one["name"].startswith(("worked", "recording"))], ids=lambda session: session["name"]
)
def test_skeletons_of_an_encoder_are_those_that_were_told(session: dict[str, Any]) -> None:
    """After a frame with a single message, its skeleton is the one used last."""
    decoders = pair()
    seen = 0
    for step in session["frames"]:
        decoder = decoders[step["direction"]]
        decoder.decode(bytes.fromhex(step["frame"]))
        shapes = decoder.state.shapes
        if len(step["messages"]) == 1 and decoder.state.subject != 1:
            (message,) = step["messages"]
            assert shapes.slots[shapes.ranked()[0]][1] == encoding.taken_apart(message["type"], message["body"])[0]
            seen += 1
    assert seen


def test_remembered_text_is_that_of_the_parts() -> None:
    case = PARTS["remembered text"]
    text = texts.Text(b"", 4096)
    for number in range(case["texts"]):
        text.remember(f"{number}: {'confirmation configuration '[: 5 + number % 22]}".encode())
    assert len(text.data) == case["bytes"]
    assert {four: text.find(four.encode()) for four in case["find"]} == case["find"]

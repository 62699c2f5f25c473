"""The data that ships with the codecs is what its scripts make."""

from __future__ import annotations

import importlib.metadata

import pytest

from bench.training.dictionary import DICTIONARY_FILE, train_dictionary
from bench.training.names import NAMES_FILE, OCPP_PACKAGE_VERSION, names_text
from ocppress_codecs.cbor_zstd import first_state
from ocppress_codecs.dictionary import shipped
from ocppress_codecs.names import names
from ocppress_codecs.rpc import OcppVersion

# Importing the package's enumerations warns about those that it renamed.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

needs_the_package = pytest.mark.skipif(
    importlib.metadata.version("ocpp") != OCPP_PACKAGE_VERSION, reason=f"made from ocpp {OCPP_PACKAGE_VERSION}, another one is installed"
)


@needs_the_package
def test_names_come_out_again() -> None:
    assert NAMES_FILE.read_text() == names_text()


@needs_the_package
def test_the_dictionary_comes_out_again() -> None:
    assert DICTIONARY_FILE.read_bytes() == train_dictionary().data == shipped().data


def test_names_are_unique_and_need_no_escape() -> None:
    table = names()
    for group in (table.keys, table.words):
        assert len(set(group)) == len(group)
        assert all(name.isascii() and name.isprintable() and not set(name) & set('"\\') for name in group)


@pytest.mark.parametrize(("program", "vendor"), [("microocpp", b"MicroOcpp"), ("vcp", b"Solidstudio"), ("ocppgo", b"Hello world")])
def test_a_dictionary_without_a_program_has_nothing_of_it(program: str, vendor: bytes) -> None:
    assert vendor in train_dictionary().data
    assert vendor not in train_dictionary(program).data


@pytest.mark.parametrize("version", OcppVersion)
def test_an_epoch_begins_with_the_everyday_shapes(version: OcppVersion) -> None:
    context = first_state(shipped().for_version(version)).context
    assert context.rank_of_shape(("3", "{}")) == 0
    assert context.rank_of_shape(("2", '"Heartbeat",{}')) == 1

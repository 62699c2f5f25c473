"""Every action of the three versions, requests and responses of each size the schemas allow, through each codec."""

from __future__ import annotations

import random

import pytest

from ocppress_codecs.interface import CodecName
from ocppress_codecs.rpc import OcppVersion
from tests.support.schema_messages import Kind, Size, actions, payload_text, schema_of
from tests.support.traces import CodecPair


@pytest.mark.parametrize("codec", CodecName)
@pytest.mark.parametrize("version", OcppVersion)
def test_every_action_comes_back(codec: CodecName, version: OcppVersion) -> None:
    pair = CodecPair(codec, version)
    source = random.Random(f"{codec} {version}")
    for action in actions(version):
        for size in Size:
            request, response = (schema_of(version, action, kind) for kind in Kind)
            assert request is not None
            kind = 6 if response is None else 2
            pair.carry("up", f'[{kind},"{action}","{action}",{payload_text(request, source, size)}]')
            if response is not None:
                pair.carry("down", f'[3,"{action}",{payload_text(response, source, size)}]')

"""Write the dictionaries and priors that recordings are measured with, each trained without one station program.

Run from the project's root, after a dictionary or prior has changed: python -m scripts.left_out
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.training.dictionary import train_dictionary
from bench.training.prior import train_prior
from ocppress_codecs.adaptive.prior import packed
from ocppress_gateway.tools.dictionaries import dictionary_file_name, prior_file_name
from ocppress_gateway.workloads import recordings

TARGET: Final = Path("gateway/ocppress_gateway/tools/left_out")


def files() -> dict[str, bytes]:
    """Name and content of each file."""
    programs = {recordings.station_program(name) for name in recordings.names()}
    found: dict[str, bytes] = {}
    for program in sorted(programs):
        found[dictionary_file_name(program)] = train_dictionary(exclude=program).data
        found[prior_file_name(program)] = packed(train_prior(exclude=program))
    return found


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for name, data in files().items():
        (TARGET / name).write_bytes(data)

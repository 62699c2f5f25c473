"""Asks the questions of `questions` of bytes that coverage leads to, by atheris (`pip install atheris`, or this project's extra `fuzz`).

    python -m tests.fuzz.guided adaptive --seconds 600
    python -m tests.fuzz.guided states --seconds 600 --out found

What breaks a promise is written to the folder that `--out` names. Of the rest, inputs that reach code of their own are added to `tests/fuzz/corpus` with
`--keep`; the tests replay them.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["main"]

INPUT_BYTES_MAX: Final = 4096
"""Beyond, inputs are slow and say nothing new."""

INPUT_S_MAX: Final = 60
MEMORY_MIB_MAX: Final = 2048
KEPT_INPUT_BYTES_MAX: Final = 400
"""Inputs that are kept in the tree."""

_INSIDE: Final = "--inside"
"""First argument of the process that libFuzzer runs in, and ends."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    given_arguments = list(sys.argv[1:] if arguments is None else arguments)
    if given_arguments[:1] == [_INSIDE]:
        program, question, *rest = given_arguments[1:]
        return _fuzz(question, [program, *rest])
    from tests.fuzz.corpus import guided_file, read_guided, write_guided
    from tests.fuzz.questions import QUESTIONS, seeds

    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.guided", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="libFuzzer's seed (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("found"), help="folder for what breaks a codec (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="add what reached new code to the corpus")
    options = parser.parse_args(given_arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        grown, least, given = (Path(scratch, name) for name in ("grown", "least", "given"))
        for folder in (grown, least, given):
            folder.mkdir()
        for number, data in enumerate([*seeds(options.question), *read_guided(options.question)]):
            (given / str(number)).write_bytes(data)
        # libFuzzer ends its process, and where it merges starts it again by its first argument; so it has one of its own, and a file to start it.
        command = Path(scratch, "inside")
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz.guided {_INSIDE} "$0" {options.question} "$@"\n')
        command.chmod(0o700)
        limits = [f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_S_MAX}", f"-rss_limit_mb={MEMORY_MIB_MAX}"]
        run = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-artifact_prefix={options.out}/{options.question}-"]
        failed = subprocess.run([str(command), *limits, *run, str(grown), str(given)], check=False).returncode
        if options.keep and not failed:
            subprocess.run([str(command), *limits, "-merge=1", str(least), str(given), str(grown)], check=True)
            kept = [file.read_bytes() for file in least.iterdir()]
            write_guided(options.question, [data for data in kept if len(data) <= KEPT_INPUT_BYTES_MAX])
            print(f"{len(kept)} inputs in {guided_file(options.question)}")
    return 1 if failed else 0


def _fuzz(question: str, arguments: Sequence[str]) -> int:
    import atheris

    # Only what is imported in here is followed: the codecs, and not the tests or libraries.
    with atheris.instrument_imports(include=["ocppress_codecs"]):
        from tests.fuzz.questions import ask

    ask(question, b"\x00")
    atheris.Setup(list(arguments), lambda data: ask(question, data))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

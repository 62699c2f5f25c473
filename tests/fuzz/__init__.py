"""What hostile bytes do to the codecs: messages or a documented error, in bounded time and memory, and no change of state.

sessions      frames of real and invented traffic, for each codec
mutations     bytes made of other bytes, by a seeded source
subject       a decoder under test: what must hold after each frame, and how to look
mutate        `python -m tests.fuzz.mutate`: millions of changed frames at random places of sessions
guided        `python -m tests.fuzz.guided`: the same questions asked by coverage (atheris)
reproducers   what was found, as files; those in `corpus/` are replayed by the tests
"""

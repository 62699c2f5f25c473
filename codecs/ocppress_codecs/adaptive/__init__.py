"""The codec `adaptive`: as few bytes as there are. Both ends learn what a station says, and only surprises cross the link.

    message = skeleton + values        skeletons: what repeats, a choice among the known ones or coded at first sight (`first_sight`, over `successors`)
                                       values:    what varies (`values`), as the error of a prediction (`fields`, `forecasts`, `clocks`)

Every decision is one adaptive bit of a range coder (`coder`), under contexts (`contexts`) in a table of fixed size (`table`), integers only. One
piece of code models for both directions of coding: it runs with a writer or a reader, so the two can't differ. `model` is the state,
undone by a journal; `prior` is what both ends know from the start; `saving` keeps a state across restarts; `frames` is encoder and decoder; `counting` tells
where the bytes went.
"""

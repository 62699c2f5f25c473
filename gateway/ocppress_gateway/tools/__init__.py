"""The commands that put a recorded trace through the codecs, and show what is in frames: `encode`, `decode`, `measure`, `inspect`.

    trace ──conversation──► messages with CALL numbers ──schedule──► batches ──coding──► frames ──frames──► file
                            (ids forgotten)                          (what waits for what)       (and back)

`commands` is their command line. `measure` is the comparison, `breakdown` where the bytes go, `tables` what is shown of both, and `dictionaries` says
which dictionary is fair for which trace. `inspection` is what `inspect` finds, with `places` for values, and `listing` the lines it prints.
"""

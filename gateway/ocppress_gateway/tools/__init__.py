"""The commands that put a recorded trace through the codecs: `encode`, `decode`, `measure`.

    trace ──conversation──► messages with CALL numbers ──schedule──► batches ──coding──► frames ──frames──► file
                            (ids forgotten)                          (what waits for what)       (and back)

`commands` is their command line, `measure` the comparison, `dictionaries` says which dictionary is fair for which trace.
"""

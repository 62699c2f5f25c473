"""Makes what `cbor-zstd` ships as data, and the vectors. Run as `python -m bench.training.<name>`.

`names` makes the table of OCPP's names from the `ocpp` package, `dictionary` the first messages that both ends know, from `corpus`, `vectors` the
test vectors of the codecs. Each gives the same bytes whenever it runs; the tests compare.
"""

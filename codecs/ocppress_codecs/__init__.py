"""Compact frames for OCPP-J messages: pure functions of what was sent before, no I/O, no clock.

`rpc` splits and joins OCPP-J text, over `jsontext`'s exact tokens. `interface` is what all codecs offer; `registry` opens them by name:
`verbatim`, `cbor_zstd`. `SPEC.md` beside this package is normative, `vectors/` shows it byte by byte.
"""

"""Compact frames for OCPP-J messages: pure functions of what was sent before, no I/O, no clock.

`rpc` splits and joins OCPP-J text, over `jsontext`'s exact tokens. `interface` is what all codecs offer; `registry` opens them by name:

    verbatim     the text: `verbatim`
    adaptive     learned shapes, predicted values, a range coder: the package `adaptive`
    cbor-zstd    frames: `cbor_zstd`; the batch in them: `messages`; what both ends remember: `shapes`, of values: `scalars`;
                 a message at first sight: `items`, over `cbor`; what both ends know from the start: `names`, `dictionary`

`carriage` is what all of them share: CALLs are numbered instead of carrying ids, and each frame ends in a checksum over the text. `SPEC.md` beside
this package is normative, `vectors/` shows it byte by byte.
"""

"""ocppress: OCPP over a cellular link for a small fraction of the bytes.

`core` decides (pure), `edge` and `cloud` are the programs around it, `transports` carry link messages between them. `workloads` has recorded and
generated traffic, `cost` what the wire bills for it. `cli` is the command line, `config` its files.
"""

__version__ = "0.1.0"

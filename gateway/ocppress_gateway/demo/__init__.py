"""`ocppress demo`: stations that replay recordings, edge, link, cloud and a small CSMS over real sockets, in one process.

`command` is the command line, `program` one run. `cast` says who plays, `replay` makes a script of a recording, `dialogue` plays it between
the two `ends` (`station`, `csms`) in the `world`. `tally` counts, what passes the link by way of `tapped`; `figures` and `table` show it.
"""

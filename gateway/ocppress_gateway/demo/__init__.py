"""`ocppress demo`: stations that replay recordings, edges, links, cloud and a small CSMS over real sockets, in one process.

`command` is the command line, `program` one run. `cast` says who plays, `replay` makes a script of a recording, `dialogue` plays it between
the two `ends` (`station`, `csms`) in the `world`, whose plan is `compressed` like the time, and `deliveries` checks what reaches the CSMS.
`tally` counts, what passes the links by way of `tapped`; `figures` and `table` show it.
"""

"""`ocppress demo`: stations that replay recordings, edge, link, cloud and a small CSMS over real sockets, in one process.

`command` is the command line.
"""

"""How a running program is asked: a Unix socket in its state folder, one line of JSON each way, and the commands that use it.

`protocol` says what may be asked, `server` answers in the program's event loop, `client` asks, `commands` are `ocppress status`, `dead` and
`edge drain`.
"""

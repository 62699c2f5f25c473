"""The edge's outbox: what the edge has answered itself stays here until the CSMS has answered it.

`base` is the interface; `sqlite` and `memory` keep the messages, and `worker` runs either in a thread beside the event loop.
"""

"""The decisions of edge and cloud: pure, no I/O, no clock.

`events` is the seam to the drivers; `edge` and `cloud` are the two machines. `session` is one connection of the link, `parts` its bytes,
`clock` its deadlines; `channel` and `lanes` are one station's frames and what waits for them. `conversation` follows a station's messages
from socket to link and back, `edge_station` and `cloud_station` what differs at either end, with `calls`, `repeats` and `refusals`;
`policy` says which class and lane a message belongs to, and `limits` has every number.
"""

"""The decisions of edge and cloud: pure, no I/O, no clock.

`events` is the seam to the drivers; `edge` and `cloud` are the two machines; `link` is the protocol they share, `parts` its bytes;
`relay` and
`repeats` follow calls from station to CSMS and back; `limits` has every number.
"""

"""OCPP-J traffic from what other programs log: which program's log it is, and each station's messages as a trace has them.

lines ──shapes──► entries (station, which way, exact text) ──reading──► TraceRecords of one station
        json_lines
"""

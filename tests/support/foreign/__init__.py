"""Programs that others wrote, each behind the same small interface, so that every scenario runs with every pair.

`interface` has the interface; `ocpp_package`, `ocpp_rpc` and `ocpp_csms_package` have the peers; `scenarios` what they say to each other;
`paths` the way between them: direct, or through edge and cloud.
"""

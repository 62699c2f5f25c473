"""What operators see of a running program, over HTTP: health, metrics, a REST interface. Off without the table `admin`.

    request ─► server (limits) ─► access (who asks, may they) ─► routes ─► source ─► the machine, ledger, plan
                                                                   │
               answers are built from snapshots, never from the machine's own objects

`source` is what both programs offer; `source_edge` and `source_cloud` fill it in. `api` is the one table of routes, from which the OpenAPI
description is made, too.
"""

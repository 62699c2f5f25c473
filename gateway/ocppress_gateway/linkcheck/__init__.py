"""`ocppress check-link`: the way from an edge to its cloud, step by step, and how long a silence it stands."""

"""Traffic of stations: recorded (`recordings`), generated (`generator` with `meter`), and the files that hold it (`traces`)."""

"""The end at the stations: `program` runs it."""

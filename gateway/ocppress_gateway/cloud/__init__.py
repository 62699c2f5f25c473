"""The end at the CSMS: `program` runs it."""

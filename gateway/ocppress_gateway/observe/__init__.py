"""`ocppress edge --observe`: stations and CSMS talk as ever, and what ocppress would save is reckoned from what they say."""

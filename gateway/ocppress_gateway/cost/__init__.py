"""What traffic costs: packet by packet (`wire`), as a month on a SIM (`month`), and the baseline of permessage-deflate (`deflate`)."""

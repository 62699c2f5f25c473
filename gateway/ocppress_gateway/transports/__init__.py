"""What carries link messages: `base` says what is asked of it, `websocket` and `memory` do it."""

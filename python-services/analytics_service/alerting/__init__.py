"""From windows to alerts: the evaluator, the relay of its messages, and the thread they run in."""

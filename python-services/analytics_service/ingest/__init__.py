"""From fetched batches to committed flushes: buffering, sessions, positions and the flusher."""

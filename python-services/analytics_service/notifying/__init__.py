"""From alert messages to people: taking transitions in, deciding what is due, sending it, and remembering."""

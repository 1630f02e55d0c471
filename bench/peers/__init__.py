"""The same work done with other means, as their users would write it."""

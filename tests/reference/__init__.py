"""What the product must give, worked out a second time with nothing but the standard library."""

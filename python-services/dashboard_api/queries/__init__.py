"""What the resources read from the database."""

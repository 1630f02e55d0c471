"""The dashboard API: metrics, health and statistics over HTTP, from TimescaleDB, read-only."""

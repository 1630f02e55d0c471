"""TimescaleDB: schema, roles, connections and everything that is read from or written to tables."""

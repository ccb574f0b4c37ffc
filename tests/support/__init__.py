"""What the tests stand on: a real PostgreSQL and real server processes."""

"""The compose stack itself: see conftest.py. Run by `make test-compose`, not by `make test`."""

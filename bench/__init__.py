"""`make bench`: the product and its peers measured in one run, on a real broker and a real database."""

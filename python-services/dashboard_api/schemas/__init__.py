"""The shapes of what the API takes and answers; its description is made from them."""

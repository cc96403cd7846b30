"""The text of nested values, as the writer of a row wrote them."""

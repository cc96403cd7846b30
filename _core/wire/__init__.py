"""Protobuf's wire format, and the items that rows of messages are made of."""

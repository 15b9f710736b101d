"""Clients and servers that are not ours, with the gateway between them."""

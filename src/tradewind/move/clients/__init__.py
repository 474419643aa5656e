"""Connections to systems that data come from and go to: one file a system.

The only place where a system's client library is imported, and where its errors get our names.
"""

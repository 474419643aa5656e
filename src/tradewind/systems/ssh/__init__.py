"""Machines behind SSH: work in job folders."""

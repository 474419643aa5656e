"""Processes of this machine: work in job folders."""

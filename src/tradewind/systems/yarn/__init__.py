"""Hadoop YARN: applications behind its resource manager."""

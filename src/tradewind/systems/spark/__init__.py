"""Spark: applications by ``spark-submit``, on a standalone cluster and on YARN."""

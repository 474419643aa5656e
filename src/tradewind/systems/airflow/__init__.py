"""Apache Airflow as a system that is started on this machine."""

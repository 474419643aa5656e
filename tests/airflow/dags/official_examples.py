"""The example DAGs of the official operators, after changing the import.

From apache/airflow, providers/amazon/tests/system/amazon/aws: example_sql_to_s3.py,
example_mongo_to_s3.py, example_http_to_s3.py, example_s3_to_sql.py, example_s3.py; and
providers/google/tests/system/google/cloud: those from PostgreSQL and MySQL to GCS, whose operators
are one here. Only names of buckets, tables and connections are this test's, and what makes and
removes resources of a cloud is left out.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from tradewind.airflow import (
    HttpToS3Operator,
    MongoToS3Operator,
    S3CopyObjectOperator,
    S3ToSqlOperator,
    SqlToGCSOperator,
    SqlToS3Operator,
)

s3_bucket_name = "airflow-official"
conn_id_name = "postgres_default"
SQL_QUERY = "SELECT * FROM official_fruits ORDER BY 1"
SQL_TABLE_NAME = "official_cocktails"
SQL_COLUMN_LIST = ["cocktail_id", "cocktail_name", "base_spirit"]
START = datetime(2021, 1, 1)

with DAG(dag_id="example_sql_to_s3", schedule="@once", start_date=START, catchup=False):
    sql_to_s3_task = SqlToS3Operator(
        task_id="sql_to_s3_task",
        sql_conn_id=conn_id_name,
        query=SQL_QUERY,
        s3_bucket=s3_bucket_name,
        s3_key="sql_to_s3/fruits.csv",
        replace=True,
    )
    sql_to_s3_task_with_groupby = SqlToS3Operator(
        task_id="sql_to_s3_with_groupby_task",
        sql_conn_id=conn_id_name,
        query=SQL_QUERY,
        s3_bucket=s3_bucket_name,
        s3_key="sql_to_s3/grouped",
        replace=True,
        groupby_kwargs={"by": "color"},
    )
    sql_to_s3_task_with_max_rows = SqlToS3Operator(
        task_id="sql_to_s3_with_max_rows_task",
        sql_conn_id=conn_id_name,
        query=SQL_QUERY,
        s3_bucket=s3_bucket_name,
        s3_key="sql_to_s3/cut.csv",
        replace=True,
        max_rows_per_file=2,
        pd_kwargs={"index": False},
    )
    sql_to_s3_task_parquet = SqlToS3Operator(
        task_id="sql_to_s3_parquet_task",
        sql_conn_id=conn_id_name,
        query=SQL_QUERY,
        s3_bucket=s3_bucket_name,
        s3_key="sql_to_s3/{{ ds }}",
        replace=True,
        file_format="parquet",
    )

with DAG(dag_id="example_mongo_to_s3", schedule=None, start_date=START, catchup=False):
    mongo_to_s3_job = MongoToS3Operator(
        task_id="mongo_to_s3_job",
        mongo_collection="official_orders",
        # Mongo query by matching values
        # Here returns all documents which have "OK" value for the key "status"
        mongo_query={"status": "OK"},
        s3_bucket=s3_bucket_name,
        s3_key="mongo_to_s3/orders.json",
        mongo_db="tradewind",
        replace=True,
    )

with DAG(dag_id="example_http_to_s3", schedule=None, start_date=START, catchup=False):
    http_to_s3_task = HttpToS3Operator(
        task_id="http_to_s3_task",
        http_conn_id="http_default",
        endpoint="/file.txt",
        s3_bucket=s3_bucket_name,
        s3_key="http_to_s3/file.txt",
        replace=True,
    )

with DAG(dag_id="example_s3_to_sql", schedule=None, start_date=START, catchup=False):

    def parse_csv_to_list(filepath):
        import csv

        with open(filepath, newline="") as file:
            return list(csv.reader(file))

    transfer_s3_to_sql = S3ToSqlOperator(
        task_id="transfer_s3_to_sql",
        s3_bucket=s3_bucket_name,
        s3_key="s3_to_sql/cocktails.csv",
        table=SQL_TABLE_NAME,
        column_list=SQL_COLUMN_LIST,
        parser=parse_csv_to_list,
        sql_conn_id=conn_id_name,
    )

    def parse_csv_to_generator(filepath):
        import csv

        with open(filepath, newline="") as file:
            yield from csv.reader(file)

    transfer_s3_to_sql_generator = S3ToSqlOperator(
        task_id="transfer_s3_to_sql_paser_to_generator",
        s3_bucket=s3_bucket_name,
        s3_key="s3_to_sql/cocktails.csv",
        table=SQL_TABLE_NAME,
        column_list=SQL_COLUMN_LIST,
        parser=parse_csv_to_generator,
        sql_conn_id=conn_id_name,
    )

with DAG(dag_id="example_s3", schedule=None, start_date=START, catchup=False):
    copy_object = S3CopyObjectOperator(
        task_id="copy_object",
        source_bucket_name=s3_bucket_name,
        dest_bucket_name=s3_bucket_name,
        source_bucket_key="s3_to_sql/cocktails.csv",
        dest_bucket_key="copied/cocktails.csv",
    )

with DAG(dag_id="example_postgres_to_gcs", schedule="@once", start_date=START, catchup=False):
    get_data = SqlToGCSOperator(
        task_id="get_data",
        postgres_conn_id=conn_id_name,
        sql=SQL_QUERY,
        bucket=s3_bucket_name,
        filename="result.json",
        gzip=False,
    )
    get_data_with_server_side_cursor = SqlToGCSOperator(
        task_id="get_data_with_server_side_cursor",
        postgres_conn_id=conn_id_name,
        sql=SQL_QUERY,
        bucket=s3_bucket_name,
        filename="result_cursor.json",
        gzip=False,
        use_server_side_cursor=True,
    )

with DAG(dag_id="example_mysql_to_gcs", schedule="@once", start_date=START, catchup=False):
    mysql_to_gcs = SqlToGCSOperator(
        task_id="mysql_to_gcs",
        mysql_conn_id="mysql_default",
        sql="SELECT 1 AS id, 'a,b' AS name UNION ALL SELECT 2, NULL",
        bucket=s3_bucket_name,
        filename="mysql/{}.csv",
        export_format="csv",
    )

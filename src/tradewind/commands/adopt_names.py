"""The parameters of Tradewind's operators by name; a test holds them against the signatures."""

from __future__ import annotations

__all__ = ["BASE", "OWN"]

_BASE = """
    task_id owner email email_on_retry email_on_failure retries retry_delay
    retry_exponential_backoff max_retry_delay retry_policy start_date end_date depends_on_past
    ignore_first_depends_on_past wait_for_past_depends_before_skipping wait_for_downstream dag
    params default_args priority_weight weight_rule queue pool pool_slots sla execution_timeout
    on_execute_callback on_failure_callback on_success_callback on_retry_callback
    on_skipped_callback pre_execute post_execute trigger_rule resources run_as_user
    map_index_template max_active_tis_per_dag max_active_tis_per_dagrun executor executor_config
    do_xcom_push multiple_outputs inlets outlets task_group doc doc_md doc_json doc_yaml doc_rst
    task_display_name logger_name allow_nested_operators render_template_as_native_obj
"""

_OWN = {
    "AzureBlobStorageToGCSOperator": """
        wasb_conn_id gcp_conn_id blob_name container_name bucket_name object_name filename gzip
        impersonation_chain return_gcs_uris
    """,
    "AzureBlobStorageToS3Operator": """
        wasb_conn_id container_name prefix delimiter aws_conn_id dest_s3_key dest_verify
        dest_s3_extra_args replace s3_acl_policy wasb_extra_args s3_extra_args
        delete_extra_files
    """,
    "BigQueryInsertJobOperator": """
        deferrable poll_interval result_limit skip_on_exit_code configuration project_id location
        job_id force_rerun reattach_states gcp_conn_id impersonation_chain cancel_on_kill
        result_retry result_timeout
    """,
    "BigQueryToGCSOperator": """
        deferrable poll_interval result_limit skip_on_exit_code source_project_dataset_table
        destination_cloud_storage_uris project_id compression export_format field_delimiter
        print_header gcp_conn_id labels location impersonation_chain result_retry result_timeout
        job_id force_rerun reattach_states
    """,
    "GCSToBigQueryOperator": """
        deferrable poll_interval result_limit skip_on_exit_code bucket source_objects
        destination_project_dataset_table schema_fields schema_object schema_object_bucket
        source_format compression create_disposition skip_leading_rows write_disposition
        field_delimiter max_bad_records quote_character ignore_unknown_values
        allow_quoted_newlines allow_jagged_rows encoding max_id_key gcp_conn_id
        schema_update_options src_fmt_configs external_table time_partitioning cluster_fields
        autodetect encryption_configuration location impersonation_chain labels description
        result_retry result_timeout cancel_on_kill job_id force_rerun reattach_states project_id
        force_delete
    """,
    "GCSToGCSOperator": """
        source_bucket source_object source_objects destination_bucket destination_object
        delimiter move_object replace gcp_conn_id last_modified_time maximum_modified_time
        is_older_than impersonation_chain source_object_required exact_match match_glob
        retain_until_time retention_mode
    """,
    "GCSSynchronizeBucketsOperator": """
        source_bucket destination_bucket source_object destination_object recursive
        delete_extra_files allow_overwrite gcp_conn_id impersonation_chain
    """,
    "GCSToAzureBlobStorageOperator": """
        gcs_bucket container_name blob_prefix prefix gcp_conn_id google_impersonation_chain
        wasb_conn_id replace keep_directory_structure flatten_structure match_glob
        gcp_user_project create_container delete_extra_files
    """,
    "GCSToSFTPOperator": """
        source_bucket source_object destination_path keep_directory_structure
        create_intermediate_dirs move_object gcp_conn_id sftp_conn_id impersonation_chain
    """,
    "SFTPToWasbOperator": """
        sftp_source_path container_name blob_prefix sftp_conn_id wasb_conn_id load_options
        move_object wasb_overwrite_object create_container newer_than stable_seconds done_file
    """,
    "GCSToS3Operator": """
        gcs_bucket prefix gcp_conn_id dest_aws_conn_id dest_s3_key dest_verify replace
        google_impersonation_chain dest_s3_extra_args s3_acl_policy keep_directory_structure
        flatten_structure match_glob gcp_user_project
        delete_extra_files
    """,
    "LocalFilesystemToGCSOperator": """
        src dst bucket gcp_conn_id mime_type gzip chunk_size impersonation_chain
    """,
    "LocalFilesystemToS3Operator": """
        filename dest_key dest_bucket aws_conn_id verify replace encrypt gzip acl_policy
    """,
    "LocalFilesystemToWasbOperator": """
        file_path container_name blob_name wasb_conn_id create_container load_options
    """,
    "S3ToAzureBlobStorageOperator": """
        aws_conn_id wasb_conn_id s3_bucket container_name s3_prefix s3_key blob_prefix blob_name
        create_container replace s3_verify s3_extra_args wasb_extra_args
        delete_extra_files
    """,
    "S3ToGCSOperator": """
        bucket prefix apply_gcs_prefix delimiter aws_conn_id verify gcp_conn_id dest_gcs replace
        gzip google_impersonation_chain deferrable poll_interval apply_wildcard region_name
        botocore_config
        delete_extra_files
    """,
    "S3ToSFTPOperator": """
        s3_bucket s3_key sftp_path sftp_conn_id sftp_remote_host aws_conn_id s3_filenames
        sftp_filenames confirm fail_on_file_not_exist
    """,
    "SFTPToGCSOperator": """
        source_path destination_bucket destination_path gcp_conn_id sftp_conn_id mime_type gzip
        move_object impersonation_chain sftp_prefetch use_stream newer_than stable_seconds
        done_file
    """,
    "SFTPToS3Operator": """
        s3_bucket s3_key sftp_path sftp_conn_id sftp_remote_host sftp_filenames s3_filenames
        use_temp_file fail_on_file_not_exist replace encrypt gzip acl_policy aws_conn_id s3_conn_id
        newer_than stable_seconds done_file
    """,
    "DockerOperator": """
        deferrable poll_interval result_limit skip_on_exit_code image api_version command
        container_name cpus docker_url environment private_environment env_file force_pull
        mem_limit host_tmp_dir network_mode tls_ca_cert tls_client_cert tls_client_key
        tls_verify tls_hostname tls_ssl_version mount_tmp_dir tmp_dir user mounts entrypoint
        working_dir xcom_all docker_conn_id dns dns_search auto_remove shm_size tty hostname
        privileged cap_add extra_hosts retrieve_output retrieve_output_path timeout
        device_requests log_opts_max_size log_opts_max_file ipc_mode port_bindings ulimits
        labels cpu_limit local_log
    """,
    "HttpToS3Operator": """
        endpoint method data headers extra_options http_conn_id log_response auth_type
        tcp_keep_alive tcp_keep_alive_idle tcp_keep_alive_count tcp_keep_alive_interval
        s3_bucket s3_key replace encrypt acl_policy aws_conn_id verify pagination records options
    """,
    "LivyOperator": """
        deferrable poll_interval result_limit skip_on_exit_code file class_name conf jars
        py_files files driver_memory driver_cores executor_memory executor_cores num_executors
        archives name proxy_user livy_conn_id livy_conn_auth_type livy_endpoint_prefix
        polling_interval extra_options extra_headers retry_args
        openlineage_inject_parent_job_info openlineage_inject_transport_info durable
    """,
    "MongoToS3Operator": """
        mongo_conn_id aws_conn_id mongo_collection mongo_query s3_bucket s3_key mongo_db
        mongo_projection replace allow_disk_use compression missing_ok snapshot
    """,
    "S3CopyObjectOperator": """
        source_bucket_key dest_bucket_key source_bucket_name dest_bucket_name source_version_id
        acl_policy meta_data_directive kms_key_id kms_encryption_type aws_conn_id region_name
        verify botocore_config
    """,
    "S3ToSqlOperator": """
        s3_key s3_bucket table parser column_list commit_every schema sql_conn_id
        sql_hook_params aws_conn_id mode slice keys file_format create cascade skip_generated
    """,
    "SSHOperator": """
        deferrable poll_interval result_limit skip_on_exit_code ssh_hook ssh_conn_id remote_host
        command conn_timeout cmd_timeout environment get_pty banner_timeout xcom_all job_folder
    """,
    "SageMakerEndpointOperator": """
        deferrable poll_interval result_limit skip_on_exit_code config aws_conn_id region_name
        verify botocore_config wait_for_completion check_interval max_ingestion_time operation
        keep_superseded
    """,
    "SageMakerProcessingOperator": """
        deferrable poll_interval result_limit skip_on_exit_code config aws_conn_id region_name
        verify botocore_config wait_for_completion check_interval max_ingestion_time print_log
        max_attempts check_if_job_exists action_if_job_exists output_files_to_xcom
    """,
    "SageMakerTrainingOperator": """
        deferrable poll_interval result_limit skip_on_exit_code config aws_conn_id region_name
        verify botocore_config wait_for_completion check_interval max_ingestion_time print_log
        max_attempts check_if_job_exists action_if_job_exists
    """,
    "SageMakerTransformOperator": """
        deferrable poll_interval result_limit skip_on_exit_code config aws_conn_id region_name
        verify botocore_config wait_for_completion check_interval max_ingestion_time print_log
        max_attempts check_if_job_exists action_if_job_exists check_if_model_exists
        action_if_model_exists
    """,
    "SageMakerTuningOperator": """
        deferrable poll_interval result_limit skip_on_exit_code config aws_conn_id region_name
        verify botocore_config wait_for_completion check_interval max_ingestion_time print_log
        max_attempts check_if_job_exists action_if_job_exists
    """,
    "SparkSubmitOperator": """
        deferrable poll_interval result_limit skip_on_exit_code application conf conn_id files
        py_files archives driver_class_path jars java_class packages exclude_packages
        repositories total_executor_cores executor_cores executor_memory driver_memory keytab
        principal proxy_user name num_executors status_poll_interval application_args env_vars
        verbose spark_binary properties_file yarn_queue deploy_mode use_krb5ccache
        post_submit_commands track_driver_via_k8s_api yarn_track_via_rm_api yarn_rm_auth
        openlineage_inject_parent_job_info openlineage_inject_transport_info reconnect_on_retry
        durable job_folder
    """,
    "SqlToGCSOperator": """
        sql bucket filename approx_max_file_size_bytes export_format field_delimiter null_marker
        gzip parameters sql_conn_id postgres_conn_id mysql_conn_id gcp_conn_id
        impersonation_chain upload_metadata exclude_columns write_on_empty
        parquet_row_group_size use_server_side_cursor cursor_itersize schema_filename schema
        partition_columns stringify_dict max_row_bytes
    """,
    "SqlToS3Operator": """
        query sql_conn_id sql_hook_params parameters read_kwargs read_pd_kwargs df_type replace
        file_format max_rows_per_file df_kwargs pd_kwargs groupby_kwargs s3_bucket s3_key
        aws_conn_id verify max_row_bytes
    """,
}
BASE = frozenset(_BASE.split())
"""Of every operator."""

OWN = {name: frozenset(names.split()) for name, names in _OWN.items()}
"""Beside these, by the operator's name."""

package org.apache.spark.api.java;

import org.apache.spark.SparkContext;

/** What Livy's driver asks of a Spark context for its own first job. */
public class JavaSparkContext {
  public JavaSparkContext(SparkContext context) {}

  public void setJobGroup(String id, String description, boolean interrupt) {}

  public void cancelJobGroup(String id) {}

  public void stop() {}
}

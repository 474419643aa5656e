package org.apache.spark;

/** What Livy's driver asks of Spark's configuration. */
public class SparkConf {
  public SparkConf(boolean defaults) {}

  public SparkConf set(String key, String value) {
    return this;
  }
}

package org.apache.spark;

/** What Livy's driver asks of a Spark context. */
public class SparkContext {
  public static SparkContext getOrCreate(SparkConf conf) {
    return new SparkContext();
  }
}

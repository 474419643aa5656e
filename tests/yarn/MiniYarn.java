import java.io.FileWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;
import org.apache.hadoop.yarn.server.applicationhistoryservice.ApplicationHistoryServer;
import org.apache.hadoop.yarn.server.timeline.MemoryTimelineStore;
import org.apache.hadoop.yarn.server.timeline.TimelineStore;
import org.apache.hadoop.yarn.server.timeline.recovery.MemoryTimelineStateStore;
import org.apache.hadoop.yarn.server.timeline.recovery.TimelineStateStore;

/**
 * Hadoop's mini cluster, until its standard input ends: a ResourceManager, a NodeManager and, where
 * "history" is "true", the server that shows aggregated logs.
 *
 * <p>Arguments: the folder for yarn-site.xml, whose appearance says that all is ready; history; then
 * properties, a name and a value each.
 */
public class MiniYarn {
  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    YarnConfiguration conf = new YarnConfiguration();
    for (int at = 2; at + 1 < arguments.length; at += 2) {
      conf.set(arguments[at], arguments[at + 1]);
    }
    if (arguments[1].equals("true")) {
      // Alone: the ResourceManager is not told to tell it of applications.
      YarnConfiguration its = new YarnConfiguration(conf);
      its.setClass(
          YarnConfiguration.TIMELINE_SERVICE_STORE,
          MemoryTimelineStore.class,
          TimelineStore.class);
      its.setClass(
          YarnConfiguration.TIMELINE_SERVICE_STATE_STORE_CLASS,
          MemoryTimelineStateStore.class,
          TimelineStateStore.class);
      ApplicationHistoryServer history = new ApplicationHistoryServer();
      history.init(its);
      history.start();
    }
    MiniYARNCluster cluster = new MiniYARNCluster("tradewind", 1, 1, 1);
    cluster.init(conf);
    cluster.start();
    try (Writer file = new FileWriter(folder.resolve("yarn-site.new").toFile())) {
      cluster.getConfig().writeXml(file);
    }
    Files.move(
        folder.resolve("yarn-site.new"),
        folder.resolve("yarn-site.xml"),
        StandardCopyOption.ATOMIC_MOVE);
    while (System.in.read() >= 0) {}
    Runtime.getRuntime().halt(0);
  }
}

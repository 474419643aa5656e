import java.util.Base64;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.client.api.AMRMClient;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/**
 * An application master that runs a shell script, as Spark's runs a driver in cluster mode: it
 * registers, runs it, and tells the ResourceManager how it has ended in the same words.
 *
 * <p>Arguments: addresses of the ResourceManager's scheduler; the script in base 64.
 */
public class ShellMaster {
  public static void main(String[] arguments) throws Exception {
    YarnConfiguration conf = new YarnConfiguration();
    conf.set("yarn.resourcemanager.scheduler.address", arguments[0]);
    AMRMClient<AMRMClient.ContainerRequest> client = AMRMClient.createAMRMClient();
    client.init(conf);
    client.start();
    client.registerApplicationMaster("localhost", 0, "");
    String script = new String(Base64.getDecoder().decode(arguments[1]), "UTF-8");
    Process process = new ProcessBuilder("sh", "-c", script).inheritIO().start();
    while (!process.waitFor(1, java.util.concurrent.TimeUnit.SECONDS)) {
      client.allocate(0.5f);
    }
    int code = process.exitValue();
    client.unregisterApplicationMaster(
        code == 0 ? FinalApplicationStatus.SUCCEEDED : FinalApplicationStatus.FAILED,
        code == 0 ? "" : "User application exited with status " + code,
        "");
    System.exit(code);
  }
}

package org.apache.livy.repl;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPipeline;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.livy.rsc.BaseProtocol;
import org.apache.livy.rsc.RSCConf;
import org.apache.livy.rsc.ReplJobResults;
import org.apache.livy.rsc.driver.RSCDriver;
import org.apache.livy.rsc.driver.SparkEntries;
import org.apache.livy.rsc.driver.Statement;
import org.apache.livy.rsc.driver.StatementState;
import org.apache.livy.rsc.rpc.Rpc;
import org.apache.spark.SparkConf;

/**
 * Stands in for the driver of the same name in livy-repl: numbers statements, and gives one after
 * the other to an interpreter, a process that answers a line of base64 with a line of JSON.
 */
public class ReplDriver extends RSCDriver {
  private final List<Statement> statements = new ArrayList<>();
  private final ExecutorService turn = Executors.newSingleThreadExecutor();
  private volatile String state = "starting";
  private Process interpreter;
  private BufferedReader answers;

  public ReplDriver(SparkConf conf, RSCConf livyConf) throws Exception {
    super(conf, onLoopback(livyConf));
  }

  /** A driver of Livy takes the address of any network there is, and forgets what it was told. */
  private static RSCConf onLoopback(RSCConf given) {
    RSCConf conf =
        new RSCConf(new Properties()) {
          @Override
          public RSCConf set(ConfEntry key, Object value) {
            boolean address = key == RSCConf.Entry.RPC_SERVER_ADDRESS;
            return super.set(key, address ? "127.0.0.1" : value);
          }
        };
    for (Map.Entry<String, String> entry : given) {
      conf.set(entry.getKey(), entry.getValue());
    }
    return conf;
  }

  @Override
  protected SparkEntries initializeSparkEntries() throws Exception {
    String python = System.getenv("TRADEWIND_INTERPRETER");
    String program = System.getenv("TRADEWIND_INTERPRETER_PROGRAM");
    interpreter =
        new ProcessBuilder(python, "-c", program)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    answers =
        new BufferedReader(
            new InputStreamReader(interpreter.getInputStream(), StandardCharsets.UTF_8));
    return new SparkEntries(conf);
  }

  @Override
  protected void onClientAuthenticated(Rpc client) {
    ChannelPipeline pipeline = client.getChannel().pipeline();
    if (pipeline.context(this) != null) {
      pipeline.addBefore(
          pipeline.context(this).executor(),
          pipeline.context(this).name(),
          "whole-messages",
          new WholeMessages());
    }
    if (!state.equals("starting")) {
      send(client, new BaseProtocol.ReplState(state));
    }
  }

  /** All that is sent goes through the thread that answers: see {@link WholeMessages}. */
  @Override
  protected void broadcast(Object message) {
    for (Rpc client : clients) {
      send(client, message);
    }
    if (message instanceof BaseProtocol.JobResult && state.equals("starting")) {
      tell("idle");
    }
  }

  @Override
  protected void shutdownContext() {
    interpreter.destroyForcibly();
    super.shutdownContext();
  }

  public Integer handle(ChannelHandlerContext context, BaseProtocol.ReplJobRequest asked) {
    synchronized (statements) {
      Statement made = new Statement(statements.size(), asked.code, StatementState.Waiting, null);
      statements.add(made);
      turn.submit(() -> run(made));
      return made.id;
    }
  }

  public ReplJobResults handle(ChannelHandlerContext context, BaseProtocol.GetReplJobResults asked) {
    synchronized (statements) {
      List<Statement> found = statements;
      if (!asked.allResults) {
        int from = Math.min(asked.from, statements.size());
        found = statements.subList(from, Math.min(from + asked.size, statements.size()));
      }
      return new ReplJobResults(found.toArray(new Statement[0]));
    }
  }

  private void run(Statement statement) {
    tell("busy");
    statement.compareAndTransit(StatementState.Waiting, StatementState.Running);
    statement.started = System.currentTimeMillis();
    try {
      byte[] code = statement.code.getBytes(StandardCharsets.UTF_8);
      Writer asked = new OutputStreamWriter(interpreter.getOutputStream(), StandardCharsets.UTF_8);
      asked.write(Base64.getEncoder().encodeToString(code) + "\n");
      asked.flush();
      statement.output = answers.readLine();
    } catch (IOException error) {
      statement.output = null;
    }
    if (statement.output == null) {
      System.exit(1);
    }
    statement.completed = System.currentTimeMillis();
    statement.compareAndTransit(StatementState.Running, StatementState.Available);
    tell("idle");
  }

  private void tell(String now) {
    state = now;
    broadcast(new BaseProtocol.ReplState(now));
  }

  private void send(Rpc client, Object message) {
    ChannelHandlerContext context = client.getChannel().pipeline().context(this);
    if (context == null) {
      client.call(message);
    } else {
      context.executor().execute(() -> client.call(message));
    }
  }
}

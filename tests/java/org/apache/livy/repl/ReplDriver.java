package org.apache.livy.repl;

import io.netty.channel.ChannelHandlerContext;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
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
    super(conf, livyConf);
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
    tell("idle");
    return new SparkEntries(conf);
  }

  @Override
  protected void onClientAuthenticated(Rpc client) {
    client.call(new BaseProtocol.ReplState(state));
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
}

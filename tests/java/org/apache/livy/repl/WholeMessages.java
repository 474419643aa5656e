package org.apache.livy.repl;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.util.ArrayList;
import java.util.List;
import org.apache.livy.rsc.BaseProtocol;

/**
 * Puts messages together again that Livy has torn apart: it sends each in two steps, a header and
 * what belongs to it, and where two of its threads do so at once their steps mix. The other side
 * then finds no header and ends the session.
 *
 * <p>What Livy sends is either a call, whose content is one of {@link BaseProtocol}'s classes, or
 * an answer, whose content is not.
 */
class WholeMessages extends ChannelInboundHandlerAdapter {
  private final List<Object> headers = new ArrayList<>();

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) throws Exception {
    if (message.getClass().getSimpleName().equals("MessageHeader")) {
      headers.add(message);
      return;
    }
    boolean call = message.getClass().getEnclosingClass() == BaseProtocol.class;
    for (Object header : headers) {
      if (isCall(header) == call) {
        headers.remove(header);
        context.fireChannelRead(header);
        break;
      }
    }
    context.fireChannelRead(message);
  }

  private static boolean isCall(Object header) throws ReflectiveOperationException {
    var type = header.getClass().getDeclaredField("type");
    type.setAccessible(true);
    return type.get(header).toString().equals("CALL");
  }
}

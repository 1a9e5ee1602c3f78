/**
 * A connection to NATS whose sockets fail in silence once nobody listens.
 *
 * The client takes all listeners off a socket before it destroys it, and between
 * the steps of a handshake. A server that resets the connection in such a moment,
 * as one does that refuses a password, would make the socket's error one that
 * nobody handles, and end the program.
 */

import {
  connect,
  type NatsConnection,
  type NodeConnectionOptions,
  setTransportFactory,
} from "@nats-io/transport-node";
import {
  nodeResolveHost,
  NodeTransport,
} from "@nats-io/transport-node/lib/node_transport.js";
import type { Socket } from "node:net";

const ignore = () => {};

/** Has an error always find a listener. */
function guarded<S extends Socket>(socket: S): S {
  const removeAll = socket.removeAllListeners;
  socket.removeAllListeners = (...names) => {
    removeAll.apply(socket, names);
    return socket.on("error", ignore);
  };
  return socket.on("error", ignore);
}

class GuardedTransport extends NodeTransport {
  override async dial(
    ...args: Parameters<NodeTransport["dial"]>
  ): ReturnType<NodeTransport["dial"]> {
    return guarded(await super.dial(...args));
  }

  override async startTLS(
    ...args: Parameters<NodeTransport["startTLS"]>
  ): ReturnType<NodeTransport["startTLS"]> {
    return guarded(await super.startTLS(...args));
  }

  override async tlsFirst(
    ...args: Parameters<NodeTransport["tlsFirst"]>
  ): ReturnType<NodeTransport["tlsFirst"]> {
    return guarded(await super.tlsFirst(...args));
  }
}

/** Connects as the client's own `connect` does. */
export function connectGuarded(
  options: NodeConnectionOptions,
): Promise<NatsConnection> {
  const connecting = connect(options);
  // It has said what to make sockets with, and has made none yet.
  setTransportFactory({
    factory: () => new GuardedTransport(),
    dnsResolveFn: nodeResolveHost,
  });
  return connecting;
}

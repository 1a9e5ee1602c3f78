/**
 * A connection to NATS that writes once for all that one turn of the event loop
 * has to say, and whose sockets fail in silence once nobody listens.
 *
 * The client writes several times a turn: after each promise that leads to a
 * message. What a write costs, here and where it wakes somebody, is most of what
 * a short call costs.
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
import { nextTick } from "node:process";
import { joined } from "./framing.ts";

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

/** What is larger is not copied for the sake of a write less, in bytes. */
const LARGE = 65_536;

class GuardedTransport extends NodeTransport {
  /** What is to be written at the end of this turn. */
  #unwritten: Uint8Array[] = [];

  override send(frame: Uint8Array): void {
    // The next tick is after all that promises of this one lead to.
    if (this.#unwritten.length === 0) nextTick(() => this.#write());
    this.#unwritten.push(frame);
  }

  #write(): void {
    const small: Uint8Array[] = [];
    const writeSmall = () => {
      if (small.length > 0) super.send(joined(...small.splice(0)));
    };
    for (const frame of this.#unwritten.splice(0)) {
      if (frame.length < LARGE) {
        small.push(frame);
      } else {
        writeSmall();
        super.send(frame);
      }
    }
    writeSmall();
  }

  override close(error?: Error): Promise<void> {
    this.#write();
    return super.close(error);
  }

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

/** Who may know whom: the table of the package's files, held against what they import. */

import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/**
 * What each file may import. Types of `internal/protocol.ts` are free, and so
 * are listed nowhere.
 */
const MAY_IMPORT: Record<string, string[]> = {
  "errors.ts": [],
  // Small parts that know nothing of the rest.
  "internal/own_json.ts": [],
  "internal/timer.ts": [],
  "internal/deque.ts": [],
  "internal/protocol.ts": [],
  "internal/codec.ts": [],
  "internal/reasons.ts": [],
  "internal/early.ts": [],
  "internal/option_names.ts": ["internal/timer.ts"],
  "internal/context.ts": [],
  "internal/statistics.ts": [],
  // What a task can know of itself, and what is moved.
  "internal/worker_globals.ts": [],
  "internal/local_task.ts": [],
  "current_task.ts": ["internal/local_task.ts", "internal/worker_globals.ts"],
  "internal/marks.ts": [],
  "internal/stays.ts": [],
  "transfer.ts": ["internal/marks.ts", "internal/worker_globals.ts"],
  // Self-contained: a worker gets it as its source.
  "internal/clonable.ts": [],
  "future.ts": [
    "errors.ts",
    "internal/context.ts",
    "internal/reasons.ts",
    "internal/timer.ts",
    "internal/stays.ts",
  ],
  "wait.ts": [
    "errors.ts",
    "future.ts",
    "internal/context.ts",
    "internal/timer.ts",
    "internal/stays.ts",
    "internal/option_names.ts",
  ],
  // What may end a call before its time.
  "internal/limits.ts": ["internal/timer.ts", "internal/option_names.ts"],
  // What map gives.
  "internal/backlog.ts": [
    "future.ts",
    "internal/context.ts",
    "internal/deque.ts",
    "internal/timer.ts",
  ],
  "internal/mapping.ts": [
    "errors.ts",
    "internal/backlog.ts",
    "internal/context.ts",
    "internal/timer.ts",
    "internal/stays.ts",
    "internal/option_names.ts",
  ],
  // How the methods of an executor reach what runs the calls.
  "internal/engine.ts": [
    "future.ts",
    "internal/backlog.ts",
    "internal/limits.ts",
    "internal/statistics.ts",
  ],
  "executor.ts": [
    "errors.ts",
    "future.ts",
    "internal/backlog.ts",
    "internal/engine.ts",
    "internal/limits.ts",
    "internal/mapping.ts",
    "internal/statistics.ts",
    "internal/timer.ts",
    "internal/stays.ts",
  ],
  // How an exception travels: a worker gets the other two as their source.
  "internal/error_classes.ts": [],
  "internal/exception.ts": ["internal/error_classes.ts"],
  // What arrives from a worker is checked.
  "internal/arrivals.ts": ["internal/exception.ts"],
  "internal/recording.ts": [
    "internal/clonable.ts",
    "internal/error_classes.ts",
  ],
  "internal/main_module.ts": [],
  // How functions take along what is around them: a parser for names, the
  // runtime's inspector for values, and the program that is made of both.
  "internal/tokens.ts": [],
  "internal/names.ts": [],
  "internal/statements.ts": ["internal/names.ts", "internal/tokens.ts"],
  "internal/effects.ts": [],
  "internal/free_names.ts": [
    "internal/effects.ts",
    "internal/names.ts",
    "internal/statements.ts",
    "internal/tokens.ts",
  ],
  "internal/program_text.ts": ["internal/free_names.ts"],
  "internal/bootstrap.ts": ["internal/program_text.ts"],
  "internal/scopes.ts": [],
  "internal/permissions.ts": ["internal/timer.ts"],
  "internal/lock_file.ts": ["internal/permissions.ts"],
  "internal/imports.ts": ["internal/free_names.ts", "internal/lock_file.ts"],
  "internal/node_functions.ts": [
    "internal/free_names.ts",
    "internal/scopes.ts",
  ],
  "internal/travel.ts": [
    "errors.ts",
    "internal/node_functions.ts",
    "internal/timer.ts",
  ],
  "internal/scripts.ts": ["internal/free_names.ts", "internal/scopes.ts"],
  "internal/own_properties.ts": [],
  "internal/closure_program.ts": [
    "internal/free_names.ts",
    "internal/own_properties.ts",
    "internal/scopes.ts",
  ],
  "internal/object_kinds.ts": ["internal/clonable.ts", "internal/early.ts"],
  "internal/object_records.ts": [
    "internal/object_kinds.ts",
    "internal/own_properties.ts",
  ],
  "internal/function_facts.ts": [
    "internal/closure_program.ts",
    "internal/free_names.ts",
    "internal/own_properties.ts",
    "internal/travel.ts",
  ],
  "internal/class_parts.ts": [
    "internal/closure_program.ts",
    "internal/free_names.ts",
    "internal/function_facts.ts",
    "internal/own_properties.ts",
    "internal/scopes.ts",
  ],
  "internal/plain_data.ts": [
    "internal/object_kinds.ts",
    "internal/object_records.ts",
    "internal/own_properties.ts",
  ],
  "internal/captured_values.ts": [
    "internal/closure_program.ts",
    "internal/free_names.ts",
    "internal/function_facts.ts",
    "internal/object_kinds.ts",
    "internal/object_records.ts",
    "internal/own_properties.ts",
    "internal/plain_data.ts",
  ],
  "internal/needs.ts": [
    "internal/free_names.ts",
    "internal/program_text.ts",
    "internal/scopes.ts",
  ],
  "internal/captured_imports.ts": [
    "internal/free_names.ts",
    "internal/imports.ts",
    "internal/main_module.ts",
    "internal/node_functions.ts",
    "internal/scopes.ts",
    "internal/scripts.ts",
  ],
  "internal/stacks.ts": ["internal/scopes.ts"],
  "internal/shared_variables.ts": [
    "internal/closure_program.ts",
    "internal/own_properties.ts",
    "internal/scopes.ts",
    "internal/scripts.ts",
  ],
  "internal/closures.ts": [
    "internal/own_json.ts",
    "internal/captured_imports.ts",
    "internal/captured_values.ts",
    "internal/class_parts.ts",
    "internal/closure_program.ts",
    "internal/effects.ts",
    "internal/free_names.ts",
    "internal/function_facts.ts",
    "internal/needs.ts",
    "internal/object_kinds.ts",
    "internal/own_properties.ts",
    "internal/scripts.ts",
    "internal/scopes.ts",
    "internal/shared_variables.ts",
    "internal/stacks.ts",
    "internal/travel.ts",
    "internal/worker_globals.ts",
  ],
  // How arguments and options are checked and copied, the same for both pools.
  "internal/packing.ts": [
    "internal/captured_values.ts",
    "errors.ts",
    "internal/clonable.ts",
    "internal/closures.ts",
    "internal/timer.ts",
    "internal/travel.ts",
    "internal/option_names.ts",
  ],
  // How values stand in a stream of bytes, in both directions.
  "internal/frame_writer.ts": ["internal/codec.ts"],
  "internal/messages.ts": ["internal/codec.ts"],
  "internal/framing.ts": ["internal/codec.ts", "internal/messages.ts"],
  "internal/reading.ts": ["internal/framing.ts", "internal/timer.ts"],
  // What a child prints.
  "internal/output.ts": ["internal/framing.ts"],
  // What a child may do, and the configuration that holds in it.
  "internal/config.ts": ["internal/main_module.ts", "internal/permissions.ts"],
  // What functions captured, on its way; workers get these as their source.
  "internal/numbering.ts": [],
  "internal/keeping.ts": ["internal/numbering.ts"],
  "internal/carried.ts": ["internal/numbering.ts"],
  // Self-contained: a worker gets it as its source.
  "internal/rebuild.ts": [],
  // The seam: types, and one function that passes a message on.
  "internal/link.ts": [],
  // What pool and thread share; a thread gets its end as its source.
  "internal/lookout.ts": [],
  "internal/cells.ts": [],
  "internal/lanes.ts": [
    "internal/cells.ts",
    "internal/link.ts",
    "internal/lookout.ts",
    "internal/timer.ts",
  ],
  // What workers print while bars stand on the terminal.
  "internal/printing.ts": [],
  "internal/print_forwarder.ts": [],
  // Whether promises of a worker still give anything.
  "internal/promise_watch.ts": [],
  // What a worker does: it sends these along, and knows nothing else.
  "internal/worker_runtime.ts": [
    "internal/cells.ts",
    "internal/clonable.ts",
    "internal/error_classes.ts",
    "internal/keeping.ts",
    "internal/lanes.ts",
    "internal/lookout.ts",
    "internal/numbering.ts",
    "internal/print_forwarder.ts",
    "internal/program_text.ts",
    "internal/promise_watch.ts",
    "internal/rebuild.ts",
    "internal/recording.ts",
  ],
  // What the two threads of a child share.
  "internal/results.ts": [],
  "internal/tray.ts": ["internal/lookout.ts"],
  // What a child does with its streams.
  "internal/streams.ts": [],
  "internal/calls_line.ts": ["internal/codec.ts", "internal/keeping.ts"],
  "internal/process_worker.ts": [
    "internal/own_json.ts",
    "internal/calls_line.ts",
    "internal/clonable.ts",
    "internal/codec.ts",
    "internal/error_classes.ts",
    "internal/frame_writer.ts",
    "internal/keeping.ts",
    "internal/lookout.ts",
    "internal/numbering.ts",
    "internal/program_text.ts",
    "internal/promise_watch.ts",
    "internal/rebuild.ts",
    "internal/recording.ts",
    "internal/results.ts",
    "internal/streams.ts",
    "internal/tray.ts",
    "internal/worker_runtime.ts",
  ],
  "internal/call.ts": [
    "errors.ts",
    "future.ts",
    "internal/exception.ts",
    "internal/limits.ts",
    "internal/timer.ts",
  ],
  // Many calls as one.
  "internal/chunks.ts": [
    "errors.ts",
    "future.ts",
    "internal/backlog.ts",
    "internal/call.ts",
    "internal/context.ts",
    "internal/carried.ts",
    "internal/deque.ts",
  ],
  "internal/member.ts": [
    "internal/call.ts",
    "internal/carried.ts",
    "internal/chunks.ts",
    "internal/link.ts",
    "internal/travel.ts",
    "internal/timer.ts",
  ],
  "internal/losses.ts": ["internal/call.ts"],
  "internal/crew.ts": [
    "internal/call.ts",
    "internal/exception.ts",
    "internal/link.ts",
    "internal/member.ts",
    "internal/timer.ts",
  ],
  "internal/stalls.ts": [
    "internal/call.ts",
    "internal/crew.ts",
    "internal/member.ts",
    "internal/timer.ts",
  ],
  "internal/endings.ts": [
    "internal/arrivals.ts",
    "internal/call.ts",
    "internal/crew.ts",
    "internal/exception.ts",
    "internal/link.ts",
    "internal/losses.ts",
    "internal/member.ts",
    "internal/stalls.ts",
    "internal/timer.ts",
  ],
  "internal/queue.ts": [
    "internal/call.ts",
    "internal/chunks.ts",
    "internal/deque.ts",
    "internal/timer.ts",
  ],
  // Those who wait for workers, and for room.
  "internal/warming.ts": [
    "errors.ts",
    "internal/exception.ts",
    "internal/timer.ts",
  ],
  "internal/room.ts": ["internal/deque.ts", "internal/timer.ts"],
  // Both see a worker only as a link: neither the workers nor their codec.
  "internal/dispatcher.ts": [
    "internal/call.ts",
    "internal/carried.ts",
    "internal/chunks.ts",
    "internal/crew.ts",
    "internal/endings.ts",
    "internal/exception.ts",
    "internal/link.ts",
    "internal/member.ts",
    "internal/queue.ts",
    "internal/stalls.ts",
    "internal/stacks.ts",
    "internal/statistics.ts",
    "internal/timer.ts",
    "internal/warming.ts",
  ],
  "internal/guard.ts": ["errors.ts"],
  "internal/call_arguments.ts": [
    "internal/call.ts",
    "internal/captured_values.ts",
    "internal/carried.ts",
    "internal/closures.ts",
    "internal/link.ts",
    "internal/packing.ts",
  ],
  "internal/stopping.ts": [
    "errors.ts",
    "internal/call.ts",
    "internal/dispatcher.ts",
    "internal/limits.ts",
    "internal/link.ts",
    "internal/reasons.ts",
    "internal/statistics.ts",
    "internal/travel.ts",
  ],
  "internal/pool.ts": [
    "errors.ts",
    "executor.ts",
    "future.ts",
    "internal/backlog.ts",
    "internal/call.ts",
    "internal/call_arguments.ts",
    "internal/carried.ts",
    "internal/chunks.ts",
    "internal/closures.ts",
    "internal/dispatcher.ts",
    "internal/engine.ts",
    "internal/guard.ts",
    "internal/limits.ts",
    "internal/link.ts",
    "internal/marks.ts",
    "internal/packing.ts",
    "internal/reasons.ts",
    "internal/room.ts",
    "internal/statistics.ts",
    "internal/stopping.ts",
    "internal/timer.ts",
    "internal/travel.ts",
    "internal/option_names.ts",
  ],
  "internal/loop_copies.ts": [
    "internal/clonable.ts",
    "internal/closures.ts",
    "internal/error_classes.ts",
    "internal/marks.ts",
    "internal/packing.ts",
    "internal/recording.ts",
    "internal/travel.ts",
  ],
  // No worker at all: functions stay where they are.
  "event_loop_executor.ts": [
    "current_task.ts",
    "errors.ts",
    "executor.ts",
    "future.ts",
    "internal/context.ts",
    "internal/engine.ts",
    "internal/limits.ts",
    "internal/link.ts",
    "internal/local_task.ts",
    "internal/loop_copies.ts",
    "internal/packing.ts",
    "internal/pool.ts",
    "internal/statistics.ts",
    "internal/travel.ts",
    "transfer.ts",
    "internal/timer.ts",
    "internal/option_names.ts",
  ],
  "thread_pool.ts": [
    "errors.ts",
    "executor.ts",
    "future.ts",
    "internal/arrivals.ts",
    "internal/call.ts",
    "internal/exception.ts",
    "internal/carried.ts",
    "internal/engine.ts",
    "internal/clonable.ts",
    "internal/lanes.ts",
    "internal/limits.ts",
    "internal/main_module.ts",
    "internal/mapping.ts",
    "internal/packing.ts",
    "internal/link.ts",
    "internal/pool.ts",
    "internal/printing.ts",
    "internal/statistics.ts",
    "internal/timer.ts",
    "internal/travel.ts",
    "internal/worker_runtime.ts",
    "internal/early.ts",
    "internal/option_names.ts",
  ],
  // A child as the pool sees it.
  "internal/process_link.ts": [
    "internal/own_json.ts",
    "internal/arrivals.ts",
    "internal/bootstrap.ts",
    "internal/call.ts",
    "internal/carried.ts",
    "internal/codec.ts",
    "internal/exception.ts",
    "internal/framing.ts",
    "internal/link.ts",
    "internal/main_module.ts",
    "internal/output.ts",
    "internal/packing.ts",
    "internal/permissions.ts",
    "internal/process_worker.ts",
    "internal/reading.ts",
    "internal/results.ts",
    "internal/timer.ts",
    "internal/travel.ts",
  ],
  "process_pool.ts": [
    "errors.ts",
    "executor.ts",
    "future.ts",
    "internal/engine.ts",
    "internal/clonable.ts",
    "internal/codec.ts",
    "internal/config.ts",
    "internal/limits.ts",
    "internal/link.ts",
    "internal/mapping.ts",
    "internal/packing.ts",
    "internal/permissions.ts",
    "internal/pool.ts",
    "internal/process_link.ts",
    "internal/process_worker.ts",
    "internal/statistics.ts",
    "internal/timer.ts",
    "internal/travel.ts",
    "internal/early.ts",
    "internal/option_names.ts",
  ],
  // Calls on other machines: nothing that `mod.ts` loads.
  "internal/module_names.ts": [],
  "internal/batches.ts": ["internal/timer.ts"],
  "internal/queue_options.ts": ["internal/timer.ts"],
  "internal/complaints.ts": ["internal/timer.ts"],
  "internal/envelope.ts": ["internal/codec.ts", "internal/own_json.ts"],
  // The doors for what comes over the network.
  "internal/wire.ts": [
    "internal/codec.ts",
    "internal/envelope.ts",
    "internal/exception.ts",
  ],
  // The seam: types alone.
  "internal/transport.ts": ["internal/envelope.ts"],
  // A client of NATS servers, and nothing of queues.
  "internal/redacted.ts": [],
  "internal/nats_credentials.ts": ["internal/timer.ts"],
  "internal/nats_servers.ts": [
    "internal/nats_credentials.ts",
    "internal/redacted.ts",
    "internal/timer.ts",
    "internal/option_names.ts",
  ],
  "internal/nats_errors.ts": [
    "errors.ts",
    "internal/nats_servers.ts",
    "internal/redacted.ts",
  ],
  "internal/nats_wire.ts": [],
  "internal/nats_node_sockets.ts": [
    "internal/nats_servers.ts",
    "internal/nats_wire.ts",
  ],
  "internal/nats_websocket.ts": [
    "internal/framing.ts",
    "internal/nats_wire.ts",
  ],
  "internal/nats_sockets.ts": [
    "internal/framing.ts",
    "internal/nats_errors.ts",
    "internal/nats_node_sockets.ts",
    "internal/nats_servers.ts",
    "internal/nats_websocket.ts",
    "internal/nats_wire.ts",
  ],
  "internal/nats_protocol.ts": ["internal/framing.ts"],
  "internal/nats_link.ts": [
    "internal/framing.ts",
    "internal/nats_servers.ts",
    "internal/nats_wire.ts",
    "internal/timer.ts",
  ],
  "internal/nats_client.ts": [
    "internal/nats_errors.ts",
    "internal/nats_link.ts",
    "internal/nats_protocol.ts",
    "internal/nats_servers.ts",
    "internal/nats_sockets.ts",
    "internal/nats_wire.ts",
    "internal/timer.ts",
  ],
  // What a queue is there.
  "internal/nats_messages.ts": [
    "internal/framing.ts",
    "internal/nats_client.ts",
    "internal/nats_errors.ts",
    "internal/nats_protocol.ts",
    "internal/timer.ts",
    "internal/wire.ts",
  ],
  "internal/nats_api.ts": [
    "internal/nats_errors.ts",
    "internal/nats_protocol.ts",
  ],
  "internal/nats_objects.ts": [
    "internal/framing.ts",
    "internal/nats_api.ts",
    "internal/nats_protocol.ts",
  ],
  "internal/nats_connection.ts": [
    "internal/nats_api.ts",
    "internal/nats_client.ts",
    "internal/nats_errors.ts",
    "internal/nats_messages.ts",
    "internal/nats_objects.ts",
    "internal/nats_protocol.ts",
    "internal/nats_servers.ts",
    "internal/redacted.ts",
    "internal/timer.ts",
    "internal/transport.ts",
  ],
  "internal/nats_pulling.ts": [
    "internal/nats_client.ts",
    "internal/nats_connection.ts",
    "internal/nats_messages.ts",
    "internal/nats_protocol.ts",
    "internal/timer.ts",
    "internal/wire.ts",
  ],
  "internal/nats_submitter.ts": [
    "internal/envelope.ts",
    "internal/nats_connection.ts",
    "internal/nats_errors.ts",
    "internal/nats_messages.ts",
    "internal/nats_protocol.ts",
    "internal/transport.ts",
    "internal/wire.ts",
  ],
  "internal/nats_worker.ts": [
    "internal/batches.ts",
    "internal/envelope.ts",
    "internal/nats_api.ts",
    "internal/nats_connection.ts",
    "internal/nats_errors.ts",
    "internal/nats_messages.ts",
    "internal/nats_protocol.ts",
    "internal/nats_pulling.ts",
    "internal/timer.ts",
    "internal/transport.ts",
    "internal/wire.ts",
  ],
  "internal/nats_transport.ts": [
    "internal/nats_connection.ts",
    "internal/nats_submitter.ts",
    "internal/nats_worker.ts",
    "internal/transport.ts",
  ],
  // These see a server only as a transport.
  "internal/remote_call.ts": [
    "internal/call.ts",
    "internal/envelope.ts",
    "internal/timer.ts",
  ],
  "internal/remote_workers.ts": ["internal/envelope.ts", "internal/timer.ts"],
  "internal/remote_stops.ts": [
    "internal/remote_call.ts",
    "internal/timer.ts",
    "internal/transport.ts",
  ],
  "internal/remote_arbiter.ts": [
    "errors.ts",
    "internal/codec.ts",
    "internal/envelope.ts",
    "internal/remote_call.ts",
    "internal/travel.ts",
    "internal/wire.ts",
  ],
  "internal/remote_watch.ts": [
    "internal/envelope.ts",
    "internal/remote_call.ts",
    "internal/timer.ts",
    "internal/transport.ts",
  ],
  "internal/remote_state.ts": ["errors.ts", "internal/travel.ts"],
  "internal/remote_handing.ts": [
    "internal/remote_call.ts",
    "internal/timer.ts",
    "internal/transport.ts",
  ],
  "internal/remote_targets.ts": [
    "internal/closures.ts",
    "internal/codec.ts",
    "internal/remote_call.ts",
  ],
  "internal/remote_publishing.ts": [
    "errors.ts",
    "internal/codec.ts",
    "internal/deque.ts",
    "internal/envelope.ts",
    "internal/remote_call.ts",
    "internal/remote_handing.ts",
    "internal/timer.ts",
    "internal/transport.ts",
    "internal/travel.ts",
  ],
  "internal/remote.ts": [
    "errors.ts",
    "executor.ts",
    "future.ts",
    "internal/call.ts",
    "internal/codec.ts",
    "internal/complaints.ts",
    "internal/deque.ts",
    "internal/envelope.ts",
    "internal/guard.ts",
    "internal/remote_arbiter.ts",
    "internal/remote_call.ts",
    "internal/remote_handing.ts",
    "internal/remote_state.ts",
    "internal/remote_publishing.ts",
    "internal/remote_stops.ts",
    "internal/remote_targets.ts",
    "internal/remote_watch.ts",
    "internal/remote_workers.ts",
    "internal/backlog.ts",
    "internal/option_names.ts",
    "internal/engine.ts",
    "internal/limits.ts",
    "internal/marks.ts",
    "internal/packing.ts",
    "internal/reasons.ts",
    "internal/room.ts",
    "internal/statistics.ts",
    "internal/stopping.ts",
    "internal/timer.ts",
    "internal/transport.ts",
    "internal/travel.ts",
    "internal/option_names.ts",
  ],
  "internal/node_children.ts": [
    "errors.ts",
    "future.ts",
    "internal/call.ts",
    "internal/codec.ts",
    "internal/envelope.ts",
    "internal/limits.ts",
    "internal/link.ts",
    "internal/pool.ts",
    "internal/travel.ts",
    "internal/wire.ts",
  ],
  "internal/node_absent.ts": ["internal/timer.ts"],
  "internal/node_allowed.ts": ["internal/travel.ts"],
  "internal/node_places.ts": ["internal/timer.ts"],
  "internal/node.ts": [
    "errors.ts",
    "internal/node_places.ts",
    "internal/node_absent.ts",
    "internal/node_allowed.ts",
    "internal/codec.ts",
    "internal/complaints.ts",
    "internal/envelope.ts",
    "internal/node_children.ts",
    "internal/timer.ts",
    "internal/transport.ts",
    "internal/travel.ts",
    "internal/wire.ts",
  ],
  "internal/command.ts": [
    "internal/module_names.ts",
    "internal/nats_credentials.ts",
    "internal/nats_servers.ts",
    "internal/redacted.ts",
    "internal/packing.ts",
    "internal/queue_options.ts",
  ],
  "nats.ts": [
    "executor.ts",
    "future.ts",
    "internal/engine.ts",
    "internal/backlog.ts",
    "internal/clonable.ts",
    "internal/codec.ts",
    "internal/module_names.ts",
    "internal/nats_credentials.ts",
    "internal/nats_servers.ts",
    "internal/nats_transport.ts",
    "internal/packing.ts",
    "internal/process_worker.ts",
    "internal/queue_options.ts",
    "internal/remote.ts",
    "internal/timer.ts",
    "internal/early.ts",
    "internal/option_names.ts",
  ],
  "worker.ts": [
    "internal/command.ts",
    "internal/nats_transport.ts",
    "internal/node.ts",
    "process_pool.ts",
    "thread_pool.ts",
  ],
  "mod.ts": [
    "current_task.ts",
    "errors.ts",
    "event_loop_executor.ts",
    "executor.ts",
    "future.ts",
    "internal/statistics.ts",
    "internal/travel.ts",
    "process_pool.ts",
    "thread_pool.ts",
    "transfer.ts",
    "wait.ts",
  ],
  // The entry point of progress, which knows nothing of the executors.
  "internal/meter.ts": [],
  "internal/lines.ts": ["internal/meter.ts"],
  "internal/bars.ts": [
    "internal/lines.ts",
    "internal/meter.ts",
    "internal/printing.ts",
  ],
  "progress.ts": [
    "internal/bars.ts",
    "internal/lines.ts",
    "internal/meter.ts",
    "internal/timer.ts",
    "internal/stays.ts",
    "internal/option_names.ts",
  ],
};

/** Modules from outside of the package that a file imports on purpose. */
const FROM_OUTSIDE: Record<string, string[]> = {
  "internal/bars.ts": ["npm:cli-progress@^3.12.0"],
  "internal/nats_node_sockets.ts": ["node:net", "node:tls"],
  "internal/nats_link.ts": ["node:process"],
  "internal/command.ts": ["node:url", "node:util"],
};

/** The package of an `npm:` specifier: `@nats-io/obj` of `npm:/@nats-io/obj@3.4.0`. */
function npmPackage(specifier: string): string | undefined {
  return /^npm:\/?(@?[^@]+)/.exec(specifier)?.[1];
}

const NPM_PACKAGES = Object.values(FROM_OUTSIDE).flat().map(npmPackage);

/** How many lines a file may have, comments and empty lines aside. */
const MOST_LINES = 450;

/** Files that may be longer, and why. */
const LONGER: Record<string, string> = {
  "internal/clonable.ts":
    "one self-contained program, which travels as its source",
  "internal/worker_runtime.ts":
    "one self-contained program, which travels as its source",
  "internal/codec.ts":
    "one self-contained factory, which travels as its source",
  "internal/free_names.ts": "one grammar, whose rules call each other",
};

interface Import {
  /** The file that is imported, or the specifier of what is no file of ours. */
  readonly what: string;
  readonly typeOnly: boolean;
}

/** As `deno info --json` has it. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** The package's files. */
function sourceFiles(): string[] {
  const files: string[] = [];
  for (const folder of ["", "internal/"]) {
    for (const entry of Deno.readDirSync(new URL(folder, ROOT))) {
      if (entry.isFile && entry.name.endsWith(".ts")) {
        files.push(folder + entry.name);
      }
    }
  }
  return files.sort();
}

function fileOf(specifier: string): string {
  return specifier.startsWith(ROOT.href)
    ? specifier.slice(ROOT.href.length)
    : specifier;
}

/** What `deno info` knows of a module, and of all that it imports. */
async function infoOf(file: string): Promise<Info> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

let graph: Promise<Map<string, readonly Import[]>> | undefined;

/** What each file imports, as `deno info` sees it. */
function imports(): Promise<Map<string, readonly Import[]>> {
  return graph ??= (async () => {
    const found = new Map<string, readonly Import[]>();
    // A worker's entry is imported by nothing.
    for (const root of ["mod.ts", ...sourceFiles()]) {
      if (found.has(root)) continue;
      for (const module of (await infoOf(root)).modules) {
        const { specifier, error, dependencies = [] } = module;
        assertEquals(error, undefined);
        found.set(
          fileOf(specifier),
          dependencies.map(({ specifier, code, type }) => ({
            what: fileOf(code?.specifier ?? type?.specifier ?? specifier),
            typeOnly: code === undefined,
          })),
        );
      }
    }
    return found;
  })();
}

Deno.test("the architecture knows every file of the package", () => {
  const unknown = sourceFiles().filter((file) => !(file in MAY_IMPORT));
  assertEquals(unknown, []);
});

Deno.test("the architecture lets a file import only what its row names", async () => {
  const problems: string[] = [];
  for (const [file, imported] of await imports()) {
    const allowed = [...MAY_IMPORT[file] ?? [], ...FROM_OUTSIDE[file] ?? []];
    for (const { what, typeOnly } of imported) {
      if (typeOnly && what === "internal/protocol.ts") continue;
      if (!allowed.includes(what)) problems.push(`${file} imports ${what}`);
    }
  }
  assertEquals(problems, []);
});

Deno.test("the architecture has no module from outside of the package", async () => {
  const problems: string[] = [];
  for (const [file, imported] of await imports()) {
    const allowed = FROM_OUTSIDE[file] ?? [];
    for (const { what } of imported) {
      if (what in MAY_IMPORT || allowed.includes(what)) continue;
      problems.push(`${file} imports ${what}`);
    }
    const isNamed = file.startsWith("npm:") &&
      NPM_PACKAGES.includes(npmPackage(file));
    if (!(file in MAY_IMPORT || file.startsWith("node:") || isNamed)) {
      problems.push(`${file} is loaded`);
    }
  }
  assertEquals(problems, []);
});

Deno.test("the architecture has mod.ts load no package, and nothing that is about NATS", async () => {
  const files = (await infoOf("mod.ts")).modules
    .map(({ specifier }) => fileOf(specifier));
  assert(files.includes("mod.ts"), `${files}`);
  assertEquals(files.filter((file) => !(file in MAY_IMPORT)), []);
  assertEquals(files.filter((file) => /nats|remote|transport/.test(file)), []);
});

Deno.test("the architecture has no import that goes in a circle", async () => {
  const graph = await imports();
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) {
      circles.push([...way.slice(way.indexOf(file)), file].join(" → "));
    } else if (!done.has(file)) {
      for (const { what } of graph.get(file) ?? []) visit(what, [...way, file]);
      done.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
  assertEquals(circles, []);
});

Deno.test("the architecture has mod.ts load nothing of the other entry points, nor from outside", async () => {
  const loaded = (await infoOf("mod.ts")).modules.map(({ specifier }) =>
    fileOf(specifier)
  );
  assert(loaded.includes("thread_pool.ts"), loaded.join());
  const apart = ["progress.ts", "bars.ts", "lines.ts", "meter.ts"];
  const wrong = loaded.filter((file) =>
    file.startsWith("npm:") || file.startsWith("node:") ||
    apart.some((name) => file.endsWith(name))
  );
  assertEquals(wrong, []);
});

Deno.test("the architecture has progress.ts load nothing of the executors", async () => {
  const loaded = (await infoOf("progress.ts")).modules
    .map(({ specifier }) => fileOf(specifier))
    .filter((file) => npmPackage(file) === undefined);
  assertEquals(loaded.sort(), [
    "internal/bars.ts",
    "internal/lines.ts",
    "internal/meter.ts",
    "internal/option_names.ts",
    "internal/printing.ts",
    "internal/stays.ts",
    "internal/timer.ts",
    "progress.ts",
  ]);
});

Deno.test("the architecture lets nothing import mod.ts", async () => {
  const importers = [...await imports()]
    .filter(([, imported]) => imported.some(({ what }) => what === "mod.ts"))
    .map(([file]) => file);
  assertEquals(importers, []);
});

Deno.test("the architecture's rows name files, and none that is below in its own", () => {
  const rows = Object.keys(MAY_IMPORT);
  for (const [file, allowed] of Object.entries(MAY_IMPORT)) {
    for (const other of allowed) {
      assert(rows.includes(other), `${other} in the row of ${file}`);
      assert(
        rows.indexOf(other) < rows.indexOf(file),
        `${file} stands above ${other}, which it may import`,
      );
    }
  }
});

Deno.test("the protocol between pool and worker is types alone", async () => {
  assertEquals(Object.keys(await import("../internal/protocol.ts")), []);
});

Deno.test("the architecture has no file that is too long to be one", () => {
  const tooLong: string[] = [];
  for (const file of sourceFiles()) {
    if (file in LONGER) continue;
    const code = Deno.readTextFileSync(new URL(file, ROOT))
      .replace(/^\s*\/\*\*[^]*?\*\//gm, "")
      .replace(/^\s*\/\/.*$/gm, "");
    const lines = code.split("\n").filter((line) => line.trim() !== "").length;
    if (lines > MOST_LINES) tooLong.push(`${file} has ${lines} lines of code`);
  }
  assertEquals(tooLong, []);
});

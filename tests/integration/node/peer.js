// One OCPP peer made of the npm package ocpp-rpc, driven by its parent over stdin and stdout, one JSON object a line.
//
//   node peer.js station '{"url": …, "identity": …, "password": …, "subprotocol": …, "answers": {…}}'
//   node peer.js csms    '{"subprotocols": […], "passwords": {IDENTITY: PASSWORD or null}, "answers": {…}}'
//
// in    {"number": 1, "identity": …, "action": …, "payload": …}             make a CALL
// out   {"number": 1, "answer": …} or {"number": 1, "error": CODE}          what came of it
//       {"ready": {"port": …}}, {"ready": {}} or {"refused": STATUS or null}    once, at the start
//       {"frame": TEXT, "sent": true or false, "identity": …}               every text message, as it is on the wire
//       {"opened": IDENTITY}, {"closed": CODE, "identity": …}
//       {"invalid": REASON, "identity": …}                                  strict validation found something
//
// "answers" has the answers to each action in turn: a payload, or {"error": CODE} for a CALLERROR. The process ends when stdin does.
"use strict";

const readline = require("readline");
const { RPCClient, RPCServer, createRPCError } = require("ocpp-rpc");

const [role, settingsText] = process.argv.slice(2);
const settings = JSON.parse(settingsText);
const clients = new Map();

// Not ocpp2.1: the package looks its schemas of that version up under names that they don't have, and refuses every message.
const STRICT = ["ocpp1.6", "ocpp2.0.1"];

function tell(record) {
  process.stdout.write(JSON.stringify(record) + "\n");
}

function attach(client, identity) {
  const left = JSON.parse(JSON.stringify(settings.answers));
  clients.set(identity, client);
  client.on("message", ({ message, outbound }) => tell({ frame: message.toString(), sent: outbound, identity }));
  client.on("strictValidationFailure", ({ method, error }) => tell({ invalid: `${method}: ${error.message}`, identity }));
  client.on("close", ({ code }) => tell({ closed: code, identity }));
  for (const action of Object.keys(left)) {
    client.handle(action, () => {
      if (left[action].length === 0) throw createRPCError("InternalError", "the test expects no further call");
      const answer = left[action].shift();
      if (answer.error) throw createRPCError(answer.error, "as the test asks");
      return answer;
    });
  }
}

async function station() {
  const client = new RPCClient({
    endpoint: settings.url,
    identity: settings.identity,
    password: settings.password,
    protocols: [settings.subprotocol],
    strictMode: STRICT,
    reconnect: false,
  });
  attach(client, settings.identity);
  try {
    await client.connect();
  } catch (error) {
    tell({ refused: typeof error.code === "number" ? error.code : null, reason: error.message });
    return;
  }
  tell({ ready: {} });
}

async function csms() {
  const server = new RPCServer({ protocols: settings.subprotocols, strictMode: STRICT });
  server.auth((accept, reject, handshake) => {
    if (!(handshake.identity in settings.passwords)) return reject(404);
    const expected = settings.passwords[handshake.identity];
    if (expected !== null && handshake.password?.toString("utf8") !== expected) return reject(401);
    accept();
  });
  server.on("client", (client) => {
    attach(client, client.identity);
    tell({ opened: client.identity });
  });
  const http = await server.listen(0, "127.0.0.1");
  tell({ ready: { port: http.address().port } });
}

async function call({ number, identity, action, payload }) {
  try {
    tell({ number, answer: await clients.get(identity).call(action, payload) });
  } catch (error) {
    tell({ number, error: error.rpcErrorCode ?? String(error) });
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => call(JSON.parse(line)));
lines.on("close", () => process.exit(0));
(role === "csms" ? csms() : station()).catch((error) => {
  console.error(error);
  process.exit(1);
});

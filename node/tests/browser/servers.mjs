// Real nodes of the built program, and something in front of them that stays where it is while they come and go.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const STARTED_WITHIN_MS = 30_000;

const folders = [];
const running = new Set();

// Nothing outlives the test, however it ends.
function cleanUp() {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}
after(async () => {
  const ends = [...running].map((child) => once(child, "close"));
  cleanUp();
  await Promise.all(ends);
});
process.on("exit", cleanUp);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

/** A new folder, removed when the test ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "hubbub-page-"));
  folders.push(folder);
  return folder;
}

/** The value of a variable of the environment that `scripts/test` sets. */
export function given(variable) {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set; run this through scripts/test, which sets it`);
  return value;
}

/**
 * Starts a node on free ports and waits until it is ready. `folder` becomes its `data_dir` and is all that it is told;
 * `keys` are further keys of the configuration. Gives {url, end(signal)}.
 */
export async function startNode(folder, keys = {}) {
  const set = Object.entries(keys).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  const local = ["--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--data-dir", folder];
  // Its own configuration, not that of whoever runs the test.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HUBBUB_")));
  const child = spawn(given("HUBBUB_TEST_NODE"), [...local, ...set], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let [out, log] = ["", ""];
  child.stdout.on("data", (data) => { out += data; });
  child.stderr.on("data", (data) => { log = (log + data).slice(-20_000); });
  const ended = new Promise((resolve) => child.once("close", resolve)).then(() => running.delete(child));
  child.once("error", (error) => { log += error.message; });

  const deadline = Date.now() + STARTED_WITHIN_MS;
  for (;;) {
    const url = out.match(/^listening on (http:\S+)$/m)?.[1];
    if (url && (await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false))) {
      const end = async (signal) => {
        child.kill(signal);
        await ended;
      };
      return { url, end };
    }
    if (!running.has(child)) throw new Error(`the node ended at once:\n${log}`);
    if (Date.now() > deadline) throw new Error(`the node is not ready after ${STARTED_WITHIN_MS} ms:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * A load balancer of the plainest kind: every new connection goes to the node that `to` named last, or is cut off while
 * that is null. Gives {url, to(node), close()}.
 */
export async function startBalancer(node) {
  let target = node;
  const sockets = new Set();
  const server = net.createServer((client) => {
    if (!target) return client.destroy();
    const { hostname, port } = new URL(target.url);
    const upstream = net.connect(Number(port), hostname);
    for (const [socket, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(socket);
      socket.on("error", () => {}); // `close` follows
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    to(next) {
      target = next;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

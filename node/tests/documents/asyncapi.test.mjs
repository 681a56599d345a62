// docs/asyncapi.yaml is valid, and what travels is as it says: every golden frame of the protocol.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Parser } from "@asyncapi/parser";
import Ajv from "ajv";

const root = new URL("../../../", import.meta.url);
const golden = new URL("protocol/tests/golden/", root);
const text = readFileSync(new URL("docs/asyncapi.yaml", root), "utf8");

// The answers to several commands are all called `ok`; some names stand for a command and for something unasked.
const answers = { join: "okJoin", "join-reset": "okJoin", committed: "okCommitted", history: "okHistory", presence: "okPresence" };
const unasked = { presence: "presenceChanged", typing: "someoneTypes", read: "someoneRead" };

/** The message that a file's frame is one of. */
function messageOf(who, file) {
  const [op, kind] = file.split(".");
  if (who === "client") return op;
  if (op === "ok" && kind !== "json") return answers[kind];
  return unasked[op] ?? op;
}

const files = ["client", "server"].flatMap((who) =>
  readdirSync(new URL(`${who}/`, golden))
    .filter((file) => file.endsWith(".json"))
    .map((file) => ({ who, file, frame: JSON.parse(readFileSync(new URL(`${who}/${file}`, golden), "utf8")) })),
);

let document;
const checks = new Map();

before(async () => {
  const parsed = await new Parser().parse(text, { source: fileURLToPath(new URL("docs/asyncapi.yaml", root)) });
  const errors = parsed.diagnostics.filter((found) => found.severity === 0);
  assert.deepEqual(errors, []);
  document = parsed.document;
  const ajv = new Ajv({ strict: false, allErrors: true });
  for (const message of document.components().messages()) {
    const payload = structuredClone(message.payload().json());
    checks.set(message.id(), ajv.compile(withoutExtensions(payload)));
  }
});

/** What the parser adds for itself is no part of a schema. */
function withoutExtensions(schema) {
  if (Array.isArray(schema)) return schema.map(withoutExtensions);
  if (schema === null || typeof schema !== "object") return schema;
  const own = Object.entries(schema).filter(([key]) => !key.startsWith("x-parser-"));
  return Object.fromEntries(own.map(([key, value]) => [key, withoutExtensions(value)]));
}

test("the golden frames conform", () => {
  assert.ok(files.length > 50, `only ${files.length} files`);
  for (const { who, file, frame } of files) {
    const check = checks.get(messageOf(who, file));
    assert.ok(check, `${who}/${file} is no message of the document`);
    assert.ok(check(frame), `${who}/${file}: ${JSON.stringify(check.errors)}`);
  }
});

test("every message has a golden frame", () => {
  const seen = new Set(files.map(({ who, file }) => messageOf(who, file)));
  assert.deepEqual([...checks.keys()].filter((id) => !seen.has(id)), []);
});

test("a frame that lacks something does not conform", () => {
  for (const { who, file, frame } of files) {
    const id = messageOf(who, file);
    for (const field of document.components().messages().get(id).payload().json().required) {
      const { [field]: _, ...less } = frame;
      assert.ok(!checks.get(id)(less), `${who}/${file} without ${field}`);
    }
    assert.ok(!checks.get(id)({ ...frame, op: "other" }), `${who}/${file} with another op`);
  }
});

test("the codes are those of the protocol", () => {
  const source = readFileSync(new URL("protocol/src/codes.rs", root), "utf8");
  const errors = [...source.matchAll(/^ {4}\w+ = "(\w+)", \d+;/gm)].map(([, code]) => code);
  assert.ok(errors.length > 10);
  assert.deepEqual(document.components().schemas().get("ErrorCode").json().enum, errors);
  const closes = [...source.matchAll(/^ {4}\w+ = (\d+), "/gm)].map(([, code]) => code);
  assert.ok(closes.length > 10);
  for (const code of closes) assert.ok(document.info().description().includes(code), `close code ${code}`);
});

// Runs against a real server; MNEME_URL and MNEME_KEY say which. Started by tests/typescript.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import {
  type ChatEvent,
  ConflictError,
  InvalidInputError,
  Mneme,
  MnemeError,
  NotFoundError,
  RefusedError,
  UnavailableError,
} from "mneme-client";

const url = process.env["MNEME_URL"]!;
const key = process.env["MNEME_KEY"]!;
const server = new Mneme({ url: `${url}/`, key });

test("what is added is found, recalled and listed, in its namespace alone", async () => {
  const alice = server.namespace("acme/alice");
  const [cube] = await alice.add("I moved to Oslo in March.", { session: "s1", metadata: { page: 1 } });
  await alice.add([{ role: "user", content: "My sister Ida visits." }, { role: "assistant", content: "Good." }]);
  const [hit] = await alice.search("Where is Oslo?", { limit: 1 });
  assert.equal(hit?.cube.id, cube?.id);
  assert.deepEqual(hit?.cube.metadata, { page: 1 });
  assert.match((await alice.recall("Oslo", { budget_tokens: 200 })).text, /Oslo/);
  assert.ok((await server.namespaces()).includes("acme/alice"));
  assert.deepEqual(await server.namespace("acme/bob").search("Oslo"), []);
  const listed = [];
  for await (const each of alice.list({ limit: 1 })) listed.push(each.text);
  assert.deepEqual(listed, ["I moved to Oslo in March.", "My sister Ida visits.", "Good."]);
});

test("a tag says whether a memory changed, and keeps changes from being lost", async () => {
  const space = server.namespace("tags");
  const id = (await space.add("Tea is green."))[0]!.id;
  const read = (await space.get(id))!;
  assert.equal(read.etag, '"1"');
  assert.equal(await space.get(id, { unless: read.etag }), undefined);
  const changed = await space.update(id, { text: "Tea is black." }, read.etag);
  assert.equal(changed.cube.version, 2);
  await assert.rejects(space.update(id, { text: "Tea is white." }, read.etag), (error) => {
    assert.ok(error instanceof ConflictError);
    assert.equal(error.status, 412);
    assert.equal(error.name, "VersionConflictError");
    return true;
  });
  assert.deepEqual((await space.history(id)).map((each) => each.text), ["Tea is green.", "Tea is black."]);
  assert.equal((await space.get(id, { version: 1 }))?.cube.text, "Tea is green.");
});

test("forgotten is not found, restored is; erased is gone", async () => {
  const space = server.namespace("gone");
  const id = (await space.add("A secret."))[0]!.id;
  assert.equal(await space.forget(id), 1);
  await assert.rejects(space.get(id), NotFoundError);
  assert.equal((await space.restore(id)).id, id);
  await space.erase(id, { dry_run: true, reason: "asked to" });
  assert.equal((await space.get(id))?.cube.id, id);
  await space.erase(id, { reason: "asked to" });
  await assert.rejects(space.get(id), NotFoundError);
});

test("what is refused is a typed error that says why", async () => {
  const space = server.namespace("wrong");
  const refused = async (work: Promise<unknown>): Promise<MnemeError> => {
    try {
      await work;
    } catch (error) {
      if (error instanceof MnemeError) return error;
    }
    throw new Error("it was not refused");
  };
  const missing = await refused(space.get("nothing"));
  assert.equal(missing.name, "CubeNotFoundError");
  assert.equal(missing.problem?.status, 404);
  assert.ok((await refused(space.search("x", { limit: 0 }))) instanceof InvalidInputError);
  const stranger = new Mneme({ url, key: "mneme_000000000000_x" });
  assert.ok((await refused(stranger.namespaces())) instanceof RefusedError);
  const nobody = new Mneme({ url: "http://127.0.0.1:9", key });
  assert.ok((await refused(nobody.namespaces())) instanceof UnavailableError);
});

test("a server that hangs is given up on", async () => {
  const hanging = createServer(() => {}).listen(0, "127.0.0.1");
  await new Promise((done) => hanging.once("listening", done));
  const { port } = hanging.address() as AddressInfo;
  const slow = new Mneme({ url: `http://127.0.0.1:${port}`, key, timeoutMs: 100 });
  await assert.rejects(slow.namespaces(), UnavailableError);
  hanging.closeAllConnections();
  hanging.close();
});

test("a chat streams its pieces, then the whole; the exchange is remembered", async () => {
  const space = server.namespace("chats");
  await space.add("My cat is called Miso.", { session: "pets" });
  const events: ChatEvent[] = [];
  for await (const event of space.chatStream("Who is Miso?")) events.push(event);
  const last = events.at(-1);
  assert.equal(last?.type, "reply");
  const pieces = events.map((event) => (event.type === "token" ? event.text : "")).join("");
  assert.ok(last?.type === "reply" && pieces === last.reply.text && pieces !== "");
  const whole = await space.chat([{ role: "user", content: "Who is Miso?" }]);
  assert.ok(whole.text !== "");
  const texts = [];
  for await (const each of space.list()) texts.push(each.text);
  assert.ok(texts.includes("Who is Miso?"));
});

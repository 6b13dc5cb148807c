import { Mneme, NotFoundError } from "mneme-client";

const server = new Mneme({ url: process.env["MNEME_URL"]!, key: process.env["MNEME_KEY"]! });
const alice = server.namespace("acme/alice");
const [cube] = await alice.add("I moved to Oslo in March.", { session: "s1", at: "2026-03-20" });
for (const hit of await alice.search("Where does Alice live?", { limit: 5 })) console.log(hit.score, hit.cube.text);
console.log((await alice.recall("Where do I live?", { budget_tokens: 800 })).text);
const read = await alice.get(cube!.id);
await alice.update(cube!.id, { text: "I moved to Bergen in March." }, read!.etag); // refused if it changed meanwhile
await alice.get("nothing").catch((error) => console.log(error instanceof NotFoundError, error.message));

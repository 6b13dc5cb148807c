/**
 * A typed client of a Mneme server.
 *
 *     const server = new Mneme({ url: "http://127.0.0.1:8350", key: "mneme_..." });
 *     const alice = server.namespace("acme/alice");
 *     await alice.add("I moved to Oslo in March.");
 *     console.log((await alice.recall("Where do I live?")).text);
 *
 * The types in `schema.ts` are generated from `docs/openapi.json`. `Mneme.http` reaches every route
 * with them; the methods here are those that are called most, with the names of the Python library.
 */

import createClient, { type Client, type Middleware } from "openapi-fetch";

import { MnemeError, UnavailableError, errorOf } from "./errors.js";
import { eventsOf } from "./events.js";
import type { components, paths } from "./schema.js";

export * from "./errors.js";
export type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
export type Cube = Schemas["Cube"];
export type Hit = Schemas["Hit"];
export type Context = Schemas["Context"];
export type Job = Schemas["Job"];
export type Reply = Schemas["Reply"];
export type Message = Schemas["Message"];
export type AddOptions = Omit<Schemas["AddBody"], "content">;
export type SearchOptions = Omit<Schemas["SearchBody"], "query">;
export type RecallOptions = Omit<Schemas["RecallBody"], "query">;
export type Changes = Schemas["UpdateBody"];
export type EraseOptions = { reason?: string; dry_run?: boolean };
export type ChatOptions = Omit<Schemas["ChatBody"], "messages" | "stream">;
type ListQuery = NonNullable<paths["/v1/namespaces/{ns}/memories"]["get"]["parameters"]["query"]>;
export type ListOptions = Omit<ListQuery, "cursor">;

/** What a model says while it answers, and then the whole answer. */
export type ChatEvent = { type: "token"; text: string } | { type: "reply"; reply: Reply };

/** A memory, and the tag that `update` and `forget` can ask for. */
export interface Tagged {
  cube: Cube;
  etag: string;
}

export interface Options {
  /** Where the server answers, such as "http://127.0.0.1:8350". */
  url: string;
  /** A key of the server; `mneme keys add` makes one. */
  key: string;
  /** Milliseconds until an answer begins; a stream may go on. Default: 60,000. */
  timeoutMs?: number;
  /** Another fetch, for proxies and tests. */
  fetch?: (request: Request) => Promise<Response>;
}

/** A server; it holds no connection, so that nothing needs to be closed. */
export class Mneme {
  /** Every route of the server, typed; errors are thrown as by the methods of this class. */
  readonly http: Client<paths>;

  constructor(options: Options) {
    const { timeoutMs = 60_000, fetch: send = (request: Request) => globalThis.fetch(request) } = options;
    this.http = createClient<paths>({
      baseUrl: options.url.replace(/\/+$/, ""),
      headers: { Authorization: `Bearer ${options.key}` },
      fetch: (request) => sent(send, request, timeoutMs),
    });
    this.http.use(refusals);
  }

  /** The memories of one owner, such as "acme/alice". Nothing is asked of the server yet. */
  namespace(path: string): Namespace {
    return new Namespace(this.http, path);
  }

  /** The namespaces that the key may read. */
  async namespaces(): Promise<string[]> {
    const { data } = await this.http.GET("/v1/namespaces");
    return there(data).items;
  }

  /** How far background work has come. */
  async job(id: string): Promise<Job> {
    const { data } = await this.http.GET("/v1/jobs/{id}", { params: { path: { id } } });
    return there(data);
  }
}

/** The verbs on the memories of one owner. */
export class Namespace {
  readonly #http: Client<paths>;
  readonly #ns: string;

  constructor(http: Client<paths>, readonly path: string) {
    this.#http = http;
    this.#ns = path.replaceAll("/", "~");
  }

  /** Keep a text, a message or several; durable once this resolves. */
  async add(content: Schemas["AddBody"]["content"], options: AddOptions = {}): Promise<Cube[]> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/memories", {
      params: { path: { ns: this.#ns } },
      body: { ...options, content },
    });
    return there(data).cubes;
  }

  /** The memories that answer a question best, best first. */
  async search(query: string, options: SearchOptions = {}): Promise<Hit[]> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/search", {
      params: { path: { ns: this.#ns } },
      body: { ...options, query },
    });
    return there(data).hits;
  }

  /** Memory made ready for a prompt, within a budget of tokens. */
  async recall(query: string, options: RecallOptions = {}): Promise<Context> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/recall", {
      params: { path: { ns: this.#ns } },
      body: { ...options, query },
    });
    return there(data);
  }

  /** One version of a memory with its tag; undefined where `unless` is the tag that it still has. */
  async get(id: string, options: { version?: number; unless?: string } = {}): Promise<Tagged | undefined> {
    const { unless, ...query } = options;
    const { data, response } = await this.#http.GET("/v1/namespaces/{ns}/memories/{id}", {
      params: {
        path: { ns: this.#ns, id },
        query,
        ...(unless === undefined ? {} : { header: { "if-none-match": unless } }),
      },
    });
    return response.status === 304 ? undefined : tagged(data, response);
  }

  /** Write a new version; with `etag`, only if the memory is still what that tag says. */
  async update(id: string, changes: Changes, etag?: string): Promise<Tagged> {
    const { data, response } = await this.#http.PATCH("/v1/namespaces/{ns}/memories/{id}", {
      params: { path: { ns: this.#ns, id }, ...asked(etag) },
      body: changes,
    });
    return tagged(data, response);
  }

  /** Hide a memory from every read; the number hidden. `restore` undoes it. */
  async forget(id: string, etag?: string): Promise<number> {
    const { data } = await this.#http.DELETE("/v1/namespaces/{ns}/memories/{id}", {
      params: { path: { ns: this.#ns, id }, ...asked(etag) },
    });
    return there(data).hidden;
  }

  /** Undo `forget`. */
  async restore(id: string): Promise<Cube> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/memories/{id}/restore", {
      params: { path: { ns: this.#ns, id } },
    });
    return there(data);
  }

  /** All versions of a memory, oldest first. */
  async history(id: string): Promise<Cube[]> {
    const { data } = await this.#http.GET("/v1/namespaces/{ns}/memories/{id}/history", {
      params: { path: { ns: this.#ns, id } },
    });
    return there(data).items;
  }

  /** Remove memories and what derives from them for good; with `dry_run` only what would go is told. */
  async erase(target: string | string[], options: EraseOptions = {}): Promise<Schemas["Erasure"]> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/erase", {
      params: { path: { ns: this.#ns } },
      body: { ...options, target },
    });
    return there(data);
  }

  /** All memories in order of writing, a page at a time behind the scenes. */
  async *list(options: ListOptions = {}): AsyncGenerator<Cube> {
    let cursor: string | null | undefined;
    do {
      const { data } = await this.#http.GET("/v1/namespaces/{ns}/memories", {
        params: { path: { ns: this.#ns }, query: { ...options, ...(cursor ? { cursor } : {}) } },
      });
      const page = there(data);
      yield* page.items;
      cursor = page.next_cursor;
    } while (cursor);
  }

  /** Answer from memory with the server's model, and remember the exchange. */
  async chat(messages: Schemas["ChatBody"]["messages"], options: ChatOptions = {}): Promise<Reply> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/chat", {
      params: { path: { ns: this.#ns } },
      body: { ...options, messages },
    });
    return there(data) as Reply; // text comes only where a stream was asked for
  }

  /** The same, piece by piece. If it throws, nothing was remembered. */
  async *chatStream(
    messages: Schemas["ChatBody"]["messages"],
    options: ChatOptions = {},
  ): AsyncGenerator<ChatEvent> {
    const { data } = await this.#http.POST("/v1/namespaces/{ns}/chat", {
      params: { path: { ns: this.#ns } },
      body: { ...options, messages, stream: true },
      parseAs: "stream",
    });
    for await (const { event, data: text } of eventsOf(there(data))) {
      const said: unknown = JSON.parse(text);
      if (event === "token") yield { type: "token", text: (said as { text: string }).text };
      else if (event === "reply") return yield { type: "reply", reply: said as Reply };
      else if (event === "error") throw errorOf((said as Schemas["Problem"]).status, said);
    }
    throw new UnavailableError("the answer broke off; nothing was remembered", 0);
  }
}

/** Whatever is no success is thrown, typed. */
const refusals: Middleware = {
  async onResponse({ response }) {
    if (response.ok || response.status === 304) return undefined;
    const text = await response.text();
    throw errorOf(response.status, parsed(text), response.headers.get("Retry-After"));
  },
};

/** Send a request, and give up on its head when time is up. */
async function sent(
  send: (request: Request) => Promise<Response>,
  request: Request,
  timeoutMs: number,
): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  const signal = AbortSignal.any([request.signal, late.signal]);
  try {
    return await send(new Request(request, { signal }));
  } catch (error) {
    if (request.signal.aborted) throw error;
    const why = late.signal.aborted ? `did not answer in ${timeoutMs} ms` : "cannot be reached";
    throw Object.assign(new UnavailableError(`${new URL(request.url).origin} ${why}`, 0), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asked(etag: string | undefined): { header?: { "if-match": string } } {
  return etag === undefined ? {} : { header: { "if-match": etag } };
}

function tagged(cube: Cube | undefined, response: Response): Tagged {
  return { cube: there(cube), etag: response.headers.get("ETag") ?? "" };
}

/** The body of a success; the middleware has thrown for anything else. */
function there<T>(data: T | undefined | null): T {
  if (data === undefined || data === null) throw new MnemeError("the answer has no body", 200);
  return data;
}

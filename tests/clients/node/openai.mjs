// SPDX-License-Identifier: Apache-2.0
// The official OpenAI SDK for Node: each answer is a member of the object on the last line.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = process.env.MODEL ?? "sim-model";
const messages = [{ role: "user", content: "Where do falcons fly?" }];
const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
const out = { node: process.versions.node };

const counters = async () => (await fetch(process.env.SIM_COUNTERS)).json();
const failed = async (work) => {
  try {
    await work();
    return "no error";
  } catch (error) {
    return { kind: error.constructor.name, code: error.code, status: error.status, message: error.message };
  }
};

out.chat = await client.chat.completions.create({ model, messages });
out.pieces = [];
for await (const chunk of await client.chat.completions.create({
  model, messages, stream: true, stream_options: { include_usage: true } })) {
  out.pieces.push({ text: chunk.choices[0]?.delta?.content ?? "", usage: chunk.usage ?? null });
}
out.tool = (await client.chat.completions.create({ model, messages, tools })).choices[0].message.tool_calls[0];
out.toolStream = (await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion())
  .choices[0].message.tool_calls[0];
out.vectors = (await client.embeddings.create({ model, input: ["a", "b"], sim: { base64: "off", dimensions: 4 } }))
  .data.map((d) => d.embedding);
out.models = (await client.models.list()).data.map((m) => m.id);
out.slash = (await client.models.retrieve("vendor/some-model")).id;
await client.chat.completions.create({ model, messages, extra_body: { top_k: 5, routing: { profile: "cost" } } });
out.unknown = await failed(() => client.chat.completions.create({ model: "nope", messages }));
out.upstream = await failed(() =>
  client.chat.completions.create({ model, messages, sim: { fault: "status", status: 502 } }));
out.middle = await failed(async () => {
  for await (const chunk of await client.chat.completions.create({
    model, messages, stream: true, sim: { fault: "error_event", at: 3 } })) void chunk;
});
out.key = await failed(() => new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "sk-x" }).models.list());
const before = await counters();
out.retried = await failed(() =>
  new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 1 })
    .chat.completions.create({ model, messages, sim: { fault: "status", status: 503 } }));
out.retried.calls = (await counters()).calls - before.calls;
const left = await client.chat.completions.create({
  model, messages, stream: true, sim: { tokens: 100000, tokens_per_second: 50 } });
for await (const chunk of left) {
  void chunk;
  left.controller.abort();
  break;
}
console.log(JSON.stringify(out));

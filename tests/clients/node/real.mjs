// SPDX-License-Identifier: Apache-2.0
// The official OpenAI SDK for Node against real models.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY });
let text = "";
for await (const chunk of await client.chat.completions.create({
  model: "smollm2-135m", stream: true, max_tokens: 16, temperature: 0,
  messages: [{ role: "user", content: "Name three colours." }] })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
const vector = (await client.embeddings.create({ model: "multilingual-e5-small", input: "colours" })).data[0].embedding;
const ask = { model: "smollm2", max_tokens: 4, temperature: 0, messages: [{ role: "user", content: "Name three colours." }] };
const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
const failed = async (more) => {
  try {
    await client.chat.completions.create({ ...ask, ...more });
    return "no error";
  } catch (error) {
    return { status: error.status, code: error.code };
  }
};
const chat = await client.chat.completions.create(ask);
const tool = (await client.chat.completions.create({ ...ask, max_tokens: 8, tools })).choices[0].message;
const unknown = await failed({ model: "nope" });
const wrong = await failed({ temperature: "hot" });
const left = await client.chat.completions.create({ ...ask, max_tokens: 1500, stream: true });
for await (const chunk of left) {
  void chunk;
  left.controller.abort();
  break;
}
console.log(JSON.stringify({ text, vector, chat, tool, unknown, wrong }));

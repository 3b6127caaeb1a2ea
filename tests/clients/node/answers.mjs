// SPDX-License-Identifier: Apache-2.0
// What the official SDK for Node makes of each answer that the model server has in store: streamed and
// whole, in the order of CASES. The last line is an object with a member a case.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const failed = (error) => ({ error: { kind: error.constructor.name, status: error.status, code: error.code,
  message: error.message } });
const out = {};
for (const { name, model } of JSON.parse(process.env.CASES)) {
  const asked = { model, messages: [{ role: "user", content: name }] };
  out[name] = {};
  try {
    const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    const chunks = [];
    stream.on("chunk", (chunk) => chunks.push(structuredClone(chunk)));
    out[name].streamed = await stream.finalChatCompletion();
    out[name].chunks = chunks;
  } catch (error) {
    out[name].streamed = failed(error);
  }
  try {
    out[name].whole = await client.chat.completions.create(asked);
  } catch (error) {
    out[name].whole = failed(error);
  }
}
console.log(JSON.stringify(out));

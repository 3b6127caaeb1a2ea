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
console.log(JSON.stringify({ text, vector }));

// The JS SDKs as clients of a gateway. Takes {url, cases} on standard input and writes one line of JSON for each case.
//
// A client is a class with `ask(model, question, {stream, tools})`, which gives {text, reasoning, calls, finish, usage} of one
// answer and, where there are calls, goes on with `reply(result)`, which sends the results. What an SDK throws is put
// in one form by `told`.

import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import { readFileSync } from 'node:fs'
import OpenAI from 'openai'

const { url, cases, toolName, schema, result } = JSON.parse(readFileSync(0, 'utf8'))
const KEY = 'client-key-1'
const LIMIT = 20_000 // milliseconds for a case
globalThis.AI_SDK_LOG_WARNINGS = false

class Chat {
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 })
  ask(model, question, { stream, tools }) {
    this.request = { model, messages: [{ role: 'user', content: question }] }
    if (tools) this.request.tools = [{ type: 'function', function: { name: toolName, parameters: schema } }]
    this.stream = stream
    return this.send()
  }
  async send() {
    let answer
    let reasoning = ''
    const heard = []
    if (this.stream) {
      const stream = this.client.chat.completions.stream({ ...this.request, stream_options: { include_usage: true } })
      stream.on('chunk', (chunk) => (reasoning += chunk.choices[0]?.delta?.reasoning_content ?? ''))
      stream.on('content', (delta) => heard.push(delta))
      answer = await partly(stream.finalChatCompletion(), heard)
    } else {
      answer = await this.client.chat.completions.create(this.request)
      reasoning = answer.choices[0].message.reasoning_content ?? ''
    }
    const { message, finish_reason } = answer.choices[0]
    this.message = reasoning ? { ...message, reasoning_content: reasoning } : message
    return {
      text: message.content ?? '',
      heard: this.stream ? heard.join('') : message.content ?? '',
      reasoning,
      calls: (message.tool_calls ?? []).map((call) => JSON.parse(call.function.arguments)),
      finish: finish_reason,
      usage: [answer.usage?.prompt_tokens, answer.usage?.completion_tokens],
    }
  }
  reply() {
    const results = this.message.tool_calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: result }))
    this.request = { ...this.request, messages: [...this.request.messages, this.message, ...results] }
    return this.send()
  }
}

class Responses {
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 })
  ask(model, question, { stream, tools }) {
    this.request = { model, input: [{ role: 'user', content: question }], store: false }
    this.request.include = ['reasoning.encrypted_content']
    if (tools) this.request.tools = [{ type: 'function', name: toolName, parameters: schema, strict: false }]
    this.stream = stream
    return this.send()
  }
  async send() {
    let answer
    const heard = []
    if (this.stream) {
      const stream = this.client.responses.stream(this.request)
      stream.on('response.output_text.delta', (event) => heard.push(event.delta))
      answer = await partly(stream.finalResponse(), heard)
    } else {
      answer = await this.client.responses.create(this.request)
    }
    if (answer.status === 'failed') throw Object.assign(new Error(answer.error.message), { heard: heard.join('') })
    this.output = answer.output
    const items = (type) => answer.output.filter((item) => item.type === type)
    return {
      text: answer.output_text,
      heard: this.stream ? heard.join('') : answer.output_text,
      reasoning: items('reasoning').flatMap((item) => item.summary.map((part) => part.text)).join(''),
      calls: items('function_call').map((call) => JSON.parse(call.arguments)),
      finish: answer.status,
      usage: [answer.usage?.input_tokens, answer.usage?.output_tokens],
    }
  }
  reply() {
    const results = this.output
      .filter((item) => item.type === 'function_call')
      .map(({ call_id }) => ({ type: 'function_call_output', call_id, output: result }))
    const output = this.output.map(({ parsed_arguments, ...item }) => item)
    this.request = { ...this.request, input: [...this.request.input, ...output, ...results] }
    return this.send()
  }
}

class Messages {
  client = new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0 })
  ask(model, question, { stream, tools }) {
    this.request = { model, max_tokens: 4096, messages: [{ role: 'user', content: question }] }
    if (tools) {
      this.request.tools = [{ name: toolName, input_schema: schema }]
      this.request.thinking = { type: 'enabled', budget_tokens: 1024 }
    }
    this.stream = stream
    return this.send()
  }
  async send() {
    let answer
    const heard = []
    if (this.stream) {
      const stream = this.client.messages.stream(this.request)
      stream.on('text', (delta) => heard.push(delta))
      answer = await partly(stream.finalMessage(), heard)
    } else {
      answer = await this.client.messages.create(this.request)
    }
    this.content = answer.content
    const blocks = (type) => answer.content.filter((block) => block.type === type)
    const text = blocks('text').map((block) => block.text).join('')
    return {
      text,
      heard: this.stream ? heard.join('') : text,
      reasoning: blocks('thinking').map((block) => block.thinking).join(''),
      calls: blocks('tool_use').map((block) => block.input),
      finish: answer.stop_reason,
      usage: [answer.usage.input_tokens, answer.usage.output_tokens],
    }
  }
  reply() {
    const results = this.content
      .filter((block) => block.type === 'tool_use')
      .map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: result }))
    const turns = [{ role: 'assistant', content: this.content }, { role: 'user', content: results }]
    this.request = { ...this.request, messages: [...this.request.messages, ...turns] }
    return this.send()
  }
}

class Google {
  client = new GoogleGenAI({ apiKey: KEY, vertexai: false, httpOptions: { baseUrl: url } })
  ask(model, question, { stream, tools }) {
    this.request = { model, contents: [{ role: 'user', parts: [{ text: question }] }], config: {} }
    if (tools) {
      this.request.config.tools = [{ functionDeclarations: [{ name: toolName, parametersJsonSchema: schema }] }]
      this.request.config.thinkingConfig = { includeThoughts: true }
    }
    this.stream = stream
    return this.send()
  }
  async send() {
    const heard = []
    let chunks = []
    if (this.stream) {
      const take = async () => {
        for await (const chunk of await this.client.models.generateContentStream(this.request)) {
          chunks.push(chunk)
          for (const part of chunk.candidates?.[0]?.content?.parts ?? []) if (part.text && !part.thought) heard.push(part.text)
        }
      }
      await partly(take(), heard)
    } else {
      chunks = [await this.client.models.generateContent(this.request)]
    }
    const candidates = chunks.map((chunk) => chunk.candidates?.[0]).filter(Boolean)
    const parts = candidates.flatMap((candidate) => candidate.content?.parts ?? [])
    const usage = chunks.findLast((chunk) => chunk.usageMetadata)?.usageMetadata
    this.parts = parts
    const text = parts.filter((part) => part.text && !part.thought).map((part) => part.text).join('')
    return {
      text,
      heard: this.stream ? heard.join('') : text,
      reasoning: parts.filter((part) => part.text && part.thought).map((part) => part.text).join(''),
      calls: parts.filter((part) => part.functionCall).map((part) => part.functionCall.args),
      finish: candidates.findLast((candidate) => candidate.finishReason)?.finishReason,
      usage: [usage?.promptTokenCount, usage?.candidatesTokenCount],
    }
  }
  reply() {
    const results = this.parts
      .filter((part) => part.functionCall)
      .map(({ functionCall: { id, name } }) => ({ functionResponse: { ...(id && { id }), name, response: { result } } }))
    const turns = [{ role: 'model', parts: this.parts }, { role: 'user', parts: results }]
    this.request = { ...this.request, contents: [...this.request.contents, ...turns] }
    return this.send()
  }
}

// The Vercel AI SDK runs the tools itself, so the whole round trip is one call of it.
class AI {
  constructor(provider, providerOptions = {}) {
    this.provider = provider
    this.providerOptions = providerOptions
  }
  async ask(model, question, { stream, tools }) {
    const called = []
    const heard = []
    const failures = []
    const execute = async (input) => (called.push(input), result)
    const options = {
      model: this.provider(model),
      prompt: question,
      maxRetries: 0,
      stopWhen: stepCountIs(2),
      providerOptions: this.providerOptions,
      onError: ({ error }) => failures.push(error),
    }
    if (tools) options.tools = { [toolName]: tool({ description: 'The weather', inputSchema: jsonSchema(schema), execute }) }
    let answer
    if (stream) {
      answer = streamText(options)
      const take = async () => {
        for await (const part of answer.fullStream) {
          if (part.type === 'text-delta') heard.push(part.text)
          if (part.type === 'error') throw part.error
        }
      }
      await partly(take(), heard)
      if (failures.length) throw failures[0]
    } else {
      answer = await generateText(options)
    }
    const [steps, text, finish, usage] = await Promise.all([answer.steps, answer.text, answer.finishReason, answer.usage])
    const first = { reasoning: steps[0].reasoningText ?? '', calls: called, finish: steps[0].finishReason }
    const last = { text, heard: stream ? heard.join('') : text, finish, usage: [usage.inputTokens, usage.outputTokens] }
    if (!tools) return { ...first, ...last }
    this.last = { ...last, calls: [], steps: steps.length, heard: text }
    return { ...first, text: steps[0].text, heard: steps[0].text, usage: [steps[0].usage.inputTokens, steps[0].usage.outputTokens] }
  }
  async reply() {
    if (this.last.steps !== 2) throw new Error(`${this.last.steps} steps`)
    return this.last
  }
}

const settings = { baseURL: `${url}/v1`, apiKey: KEY }
const CLIENTS = {
  'openai chat': () => new Chat(),
  'openai responses': () => new Responses(),
  anthropic: () => new Messages(),
  'google genai': () => new Google(),
  'ai openai chat': () => new AI(createOpenAI(settings).chat),
  'ai openai responses': () =>
    new AI(createOpenAI(settings).responses, {
      openai: { store: false, forceReasoning: true, include: ['reasoning.encrypted_content'] },
    }),
  'ai openai-compatible': () => new AI(createOpenAICompatible({ ...settings, name: 'gateway', includeUsage: true })),
  'ai anthropic': () =>
    new AI(createAnthropic(settings), { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } }),
  'ai google': () =>
    new AI(createGoogleGenerativeAI({ ...settings, baseURL: `${url}/v1beta` }), {
      google: { thinkingConfig: { includeThoughts: true } },
    }),
}

// What was heard before a failure goes with it.
async function partly(promise, heard) {
  try {
    return await promise
  } catch (error) {
    throw Object.assign(error instanceof Error ? error : new Error(JSON.stringify(error)), { heard: heard.join('') })
  }
}

function told(error) {
  const inner = error?.cause ?? error?.lastError ?? error
  const status = error?.status ?? error?.statusCode ?? inner?.status ?? inner?.statusCode
  const message = [error, inner].map((e) => `${e?.message ?? ''} ${e?.responseBody ?? ''}`).join(' ')
  return { type: error?.constructor?.name, status: typeof status === 'number' ? status : null, message, heard: error?.heard ?? '' }
}

async function run({ client: name, model, question, stream, tools }) {
  const client = CLIENTS[name]()
  try {
    const first = await client.ask(model, question, { stream, tools })
    return first.calls.length ? { first, answer: await client.reply() } : { answer: first }
  } catch (error) {
    return { error: told(error) }
  }
}

const late = (ms) => new Promise((_, reject) => setTimeout(() => reject(new Error('no end')), ms).unref())
process.on('unhandledRejection', () => {}) // a stream's other promises fail with it

for (const wanted of cases) {
  const result = await Promise.race([run(wanted), late(LIMIT)]).catch((error) => ({ error: told(error) }))
  process.stdout.write(`${JSON.stringify({ case: wanted.number, ...result })}\n`)
}
process.exit(0)

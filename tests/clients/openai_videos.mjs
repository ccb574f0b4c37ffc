// The official client for Node: a video made from a first frame, polled, downloaded, listed, remixed, deleted.
import OpenAI, { toFile } from 'openai';
import { readFile } from 'node:fs/promises';

const client = new OpenAI({
  baseURL: `${process.env.SAFELIGHT_BASE_URL}/v1`,
  apiKey: process.env.SAFELIGHT_API_KEY,
});
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const settled = async (id) => {
  for (;;) {
    const video = await client.videos.retrieve(id);
    if (video.status === 'completed' || video.status === 'failed') return video;
    await pause(50);
  }
};
const told = {};

told.created = await client.videos.create({
  model: 'sora-2',
  prompt: 'A boat leaves the harbour',
  seconds: '4',
  size: '1280x720',
  input_reference: await toFile(await readFile(process.argv[2]), 'first.png', { type: 'image/png' }),
});
told.completed = await settled(told.created.id);

const content = await client.videos.downloadContent(told.created.id);
const bytes = Buffer.from(await content.arrayBuffer());
told.content = { type: content.headers.get('content-type'), size: bytes.length, box: bytes.toString('latin1', 4, 8) };

told.listed = [];
for await (const video of client.videos.list({ limit: 1 })) told.listed.push(video.id);

told.remixed = await client.videos.remix(told.created.id, { prompt: 'The same in fog' });
await settled(told.remixed.id);
told.deleted = await client.videos.delete(told.created.id);

const failing = await client.videos.create({ model: 'failing-video', prompt: 'A boat', seconds: '4' });
told.failed = await settled(failing.id);

try {
  await client.videos.create({ model: 'sora-2', prompt: 'A boat', seconds: '7' });
} catch (error) {
  told.refused = { name: error.constructor.name, status: error.status, param: error.param, message: error.message };
}
console.log(JSON.stringify(told));

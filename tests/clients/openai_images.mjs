// The official client for Node, configured by its options alone: images made, several at once, edited, streamed, refused.
import OpenAI, { toFile } from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.SAFELIGHT_BASE_URL}/v1`,
  apiKey: process.env.SAFELIGHT_API_KEY,
});
const told = {};

const models = [];
for await (const model of client.models.list()) models.push(model.id);
told.models = models;
told.model = await client.models.retrieve('gpt-image-1');

const made = await client.images.generate({ model: 'gpt-image-1', prompt: 'A red boat', size: '1536x1024' });
told.generated = made;
told.several = await client.images.generate({ model: 'gpt-image-1', prompt: 'A red boat', size: '1024x1024', n: 2 });

const picture = Buffer.from(made.data[0].b64_json, 'base64');
const file = (name) => toFile(picture, name, { type: 'image/png' });
told.edited = await client.images.edit({
  model: 'gpt-image-1', prompt: 'The same at night', image: await file('boat.png'), size: '1024x1024',
  output_format: 'webp',
});
told.edited_of_two = await client.images.edit({
  model: 'gpt-image-1', prompt: 'Both in one', image: [await file('a.png'), await file('b.png')], size: '1024x1024',
});

told.streamed = [];
const stream = await client.images.generate({
  model: 'gpt-image-1', prompt: 'A red boat', size: '1024x1024', stream: true, partial_images: 2,
});
for await (const event of stream) told.streamed.push(event);
told.streamed_edit = [];
const edits = await client.images.edit({
  model: 'gpt-image-1', prompt: 'At night', image: await file('boat.png'), size: '1024x1024', stream: true,
});
for await (const event of edits) told.streamed_edit.push(event);

try {
  await client.images.generate({ model: 'refused-image', prompt: 'A red boat' });
} catch (error) {
  told.refused = { name: error.constructor.name, status: error.status, code: error.code, type: error.type };
}
console.log(JSON.stringify(told));

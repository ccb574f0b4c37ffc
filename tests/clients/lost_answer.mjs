// One call of a client in JavaScript, over a network that loses the first answer; prints what the client got in the end.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { experimental_startVideo as startVideo, generateImage } from 'ai';
import OpenAI, { toFile } from 'openai';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const [call, picturePath, modulePath] = process.argv.slice(2);
const { createSafelightVideo } = await import(pathToFileURL(modulePath));
const where = { baseURL: `${process.env.SAFELIGHT_BASE_URL}/v1`, apiKey: process.env.SAFELIGHT_API_KEY };
const client = new OpenAI(where);
const sdk = createOpenAICompatible({ name: 'safelight', ...where });
const picture = await readFile(picturePath);
const file = () => toFile(picture, 'a.png', { type: 'image/png' });
const once = { headers: { 'Idempotency-Key': crypto.randomUUID() } }; // as the page says
const image = { model: 'gpt-image-1', prompt: 'A boat', size: '1024x1024' };
const video = { model: 'sora-2', prompt: 'A boat', seconds: '4', size: '1280x720' };

const calls = {
  image: async () => (await client.images.generate(image)).data.length,
  four_images: async () => (await client.images.generate({ ...image, n: 4 })).data.length,
  edit: async () => (await client.images.edit({ ...image, image: await file() })).data.length,
  video: async () => (await client.videos.create({ ...video, input_reference: await file() })).id,
  sdk_image: async () =>
    (
      await generateImage({ ...once, model: sdk.imageModel('gpt-image-1'), prompt: 'A boat', size: '1024x1024' })
    ).images.length,
  sdk_edit: async () =>
    (
      await generateImage({
        ...once, model: sdk.imageModel('gpt-image-1'), prompt: { text: 'A boat', images: [picture] }, size: '1024x1024',
      })
    ).images.length,
  sdk_video: async () =>
    (
      await startVideo({
        model: createSafelightVideo(where)('sora-2'), prompt: 'A boat', duration: 4, resolution: '1280x720',
      })
    ).operation,
};
console.log(JSON.stringify(await calls[call]()));

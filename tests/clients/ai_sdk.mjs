// The AI SDK, beyond its recipe: many images of one call, fields of ours, refusals, a failed video, what is repeated.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, experimental_generateVideo as generateVideo, generateImage } from 'ai';
import { pathToFileURL } from 'node:url';

// The page's model object, saved by whoever runs this.
const { createSafelightVideo } = await import(pathToFileURL(process.argv[2]));
const where = { baseURL: `${process.env.SAFELIGHT_BASE_URL}/v1`, apiKey: process.env.SAFELIGHT_API_KEY };

let calls = 0;
const counted = (...arguments_) => {
  calls += 1;
  return fetch(...arguments_);
};
const openai = createOpenAI({ ...where, fetch: counted });
const compatible = createOpenAICompatible({ name: 'safelight', ...where, fetch: counted });
const videos = createSafelightVideo(where);
const told = {};

const of = async (make) => {
  calls = 0;
  const { images, warnings, usage } = await make();
  return { images: images.map((image) => [image.mediaType, image.base64]), warnings, usage, calls };
};
const small = { prompt: 'A red boat', size: '1024x1024' };
told.four = await of(() => generateImage({ ...small, model: compatible.imageModel('gpt-image-1'), n: 4 }));
told.four_of_openai = await of(() => generateImage({ ...small, model: openai.image('gpt-image-1'), n: 4 }));
told.dall_e = await of(() => generateImage({ ...small, model: openai.image('dall-e-3') }));
told.options = await of(() =>
  generateImage({
    ...small,
    model: openai.image('gpt-image-1'),
    providerOptions: { openai: { quality: 'high', outputFormat: 'webp', outputCompression: 80, background: 'auto' } },
  }),
);
const picture = Buffer.from(told.dall_e.images[0][1], 'base64');
told.edited = await of(() =>
  generateImage({
    model: compatible.imageModel('gpt-image-1'),
    prompt: { text: 'Both in one', images: [picture, picture] },
    size: '1024x1024',
  }),
);

calls = 0;
try {
  await generateImage({ prompt: 'A red boat', model: compatible.imageModel('refused-image') });
} catch (error) {
  told.refused = {
    isApiError: APICallError.isInstance(error), status: error.statusCode, message: error.message,
    isRetryable: error.isRetryable, calls,
  };
}

const frame = { prompt: { text: 'It leaves', image: picture }, duration: 4, poll: { intervalMs: 50 } };
const started = await generateVideo({
  ...frame, model: videos('sora-2'), aspectRatio: '9:16', generateAudio: true, seed: 3,
});
told.video = [started.video.mediaType, started.video.base64];
for (const [name, model, duration] of [['failed', 'failing-video', 4], ['seconds', 'sora-2', 7]]) {
  try {
    await generateVideo({ prompt: 'It leaves', model: videos(model), duration, poll: { intervalMs: 50 } });
  } catch (error) {
    told[name] = error.message;
  }
}
console.log(JSON.stringify(told));

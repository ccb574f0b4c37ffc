// LibreChat's tool that makes images, replayed: the client that it uses, with what `OpenAIImageTools.js` hands it.
import OpenAI from 'openai';

const wishes = JSON.parse(process.argv[2]);
const { prompt, background = 'auto', n = 1, output_compression = 100, quality = 'auto', size = 'auto' } = wishes;
const output_format = wishes.output_format ?? 'png'; // of its own settings
const openai = new OpenAI({ apiKey: process.env.IMAGE_GEN_OAI_API_KEY, baseURL: process.env.IMAGE_GEN_OAI_BASEURL });
try {
  const answer = await openai.images.generate(
    {
      model: process.env.IMAGE_GEN_OAI_MODEL || 'gpt-image-1',
      prompt,
      n: Math.min(Math.max(1, n), 10),
      background,
      output_format,
      output_compression: output_format === 'webp' || output_format === 'jpeg' ? output_compression : undefined,
      quality,
      size,
    },
    { signal: null },
  );
  console.log(JSON.stringify({ image: answer.data[0].b64_json }));
} catch (error) {
  console.log(JSON.stringify({ told: error.message }));
}

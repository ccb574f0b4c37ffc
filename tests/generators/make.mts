// An image, a video and a list, through a client whose types openapi-typescript made of the description.
// The compiler sees to it that what need not be given can be left out, and that an answer's kind is told by its fields.

import createClient from "openapi-fetch";
import type { paths } from "./schema.d.ts";

declare const process: { argv: string[] };

const [baseUrl, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

const image = await client.POST("/v2/images/generations", {
  body: { model: "noop-image", prompt: "A mountain at dawn", images: null },
});
if (image.error) throw new Error(image.error.error.message);

const accepted = await client.POST("/v2/videos/generations", {
  body: { model: "noop-video", prompt: "Clouds over a peak", duration: 4 },
});
if (accepted.error) throw new Error(accepted.error.error.message);
const { id } = accepted.data;

let seconds: number | undefined;
while (seconds === undefined) {
  const video = await client.GET("/v2/videos/generations/{id}", { params: { path: { id }, query: { wait: 30 } } });
  if (video.error) throw new Error(video.error.error.message);
  if (video.data.status === "failed") throw new Error(video.data.error.message);
  if (video.data.status === "completed") seconds = video.data.data[0].duration;
}

const page = await client.GET("/v2/generations", { params: { query: { limit: 2 } } });
if (page.error) throw new Error(page.error.error.message);
const listed = page.data.data.map((one) =>
  one.type === "video" ? `${one.id} ${one.data?.[0].fps}` : `${one.id} ${one.data?.[0].mime_type}`,
);

const refused = await client.POST("/v2/images/generations", { body: { model: "noop-image", prompt: " " } });

console.log(
  JSON.stringify({
    image: image.data.id,
    width: image.data.data[0].width,
    cost: image.data.usage.total_cost,
    video: id,
    seconds,
    listed,
    refused: refused.error?.error.param,
  }),
);

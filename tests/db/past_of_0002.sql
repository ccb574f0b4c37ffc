--
-- PostgreSQL database dump
--


-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Data for Name: workspaces; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.workspaces OVERRIDING SYSTEM VALUE VALUES
	(1, 'studio', NULL, NULL, NULL, NULL, NULL, '2026-11-30 02:15:45.8293+00'),
	(2, 'erased-2', NULL, NULL, NULL, NULL, '2026-11-30 02:15:46.129263+00', '2026-11-30 02:15:46.082761+00');


--
-- Data for Name: accounts; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.accounts VALUES
	(2, 98448300000, 0, 0, '2026-11-30 02:15:00+00', 3, '2026-11-30 02:15:00+00', 5, NULL),
	(1, 79093200000, 12700000000, 18, '2026-11-30 02:15:00+00', 14, '2026-11-30 02:15:00+00', 36, NULL);


--
-- Data for Name: api_keys; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.api_keys OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'key', '\x44fa4267890dac7ab12977bc5291e40f60a1ee4810de2e92300a70f77d965376', 'sk_0000', '0000', NULL, 0, '2026-11-30 02:15:45.835484+00', NULL, NULL, NULL),
	(3, 2, 'erased', '\x619879b9b100c5fca4e1253d02deab607dc37394b07aee0924fe3e47d53b2407', '', '', NULL, 0, '2026-11-30 02:15:46.085402+00', NULL, '2026-11-30 02:15:46.121703+00', NULL),
	(2, 1, 'key', '\x92b445e0c322a9bb642534abeecb3c6bd3a5c773cffd2821d232763686397bb1', 'sk_0000', '0000', 50000000000, 9203400000, '2026-11-30 02:15:45.836458+00', NULL, NULL, NULL);


--
-- Data for Name: books_check; Type: TABLE DATA; Schema: public; Owner: postgres
--



--
-- Data for Name: daily_costs; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.daily_costs VALUES
	(1, '2026-11-29', 4103400000),
	(2, '2026-11-29', 1551700000),
	(1, '2026-11-30', 4103400000);


--
-- Data for Name: generations; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.generations VALUES
	('req-01M8N3S7XPGXX684PSZAPRK1ZF', 1, 1, 'image', 'still', NULL, '\x56047f09c0590ad1d1ee8a807ee98df67c2fc10656f7ec21005cdb762a6cc958', 'image', 100000000, 1, 100000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-29 03:15:45.84676+00', 0, '2026-11-29 02:15:45.84676+00', NULL, NULL, NULL, NULL, 'generation_failed', 'It ended so.', false, 3600, true, '2026-11-29 02:15:45.84676+00', '2026-11-29 02:15:45.904645+00', NULL, NULL),
	('req-01M8N3S7YYCNYMBDP09VQZYQFJ', 1, 1, 'image', 'still', NULL, '\x864f77d82f918867ef3fee05c8c9493adfa2ce721b9dd6f56b2f06d07b806dee', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:45.88928+00', 0, '2026-11-29 02:15:45.88928+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, false, '2026-11-29 02:15:45.88928+00', '2026-11-29 02:15:45.961297+00', '2026-11-29 03:15:45+00', NULL),
	('req-01M8N3S7Z20XM27BA23BRQTQT2', 1, 1, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x4f8a108a3bb2ac21b90cc880c071d57f04e98f53692cca88629d0cd9740e9327', 'video_second', 100000000, 5, 500000000, 500000000, 5000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:45.891013+00', 0, '2026-11-29 02:15:45.939517+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-29 02:15:45.891013+00', '2026-11-29 02:15:45.971378+00', '2026-11-29 02:15:46+00', NULL),
	('req-01M8N3S7Z91Q6ZVF36C9Z09W25', 1, 1, 'video', 'clip', NULL, '\x9730d7e97b1d712c9a60c026250ad2ea065976087ad92bf47a203abaa275598e', 'video_second', 100000000, 5, 500000000, 500000000, 5000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:45.897645+00', 0, '2026-11-29 02:15:45.940489+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-29 02:15:45.897645+00', '2026-11-29 02:15:45.981278+00', '2026-11-29 02:15:46+00', NULL),
	('req-01M8N3S85J7287WK820P59J69F', 2, 3, 'video', 'clip', NULL, '\x0359c0c2aed79c5b2d9839e671854873a3638c28511bd4ee25eed4eabbaaa0da', 'video_second', 100000000, 5, 500000000, 351700000, 3517, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.098416+00', 0, '2026-11-29 02:15:46.106306+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-29 02:15:46.098416+00', '2026-11-29 02:15:46.11528+00', '2026-11-29 03:15:46+00', NULL),
	('req-01M8N3S7YWCZWJ062MCFAYTJ22', 1, 1, 'image', 'still', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [{"key": "inputs/0.png", "role": "reference_image", "mime_type": "image/png"}, {"key": "inputs/1.png", "role": "reference_image", "mime_type": "image/png"}], "resolution": "1K", "aspect_ratio": "1:1", "output_format": "jpeg"}', '\x47f8807eed1ee0fd03e8f5f747e58bf87ca2621c56ac79bf3a82948a74bb6723', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:45.884426+00', 0, '2026-11-29 02:15:45.884426+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-29 02:15:45.884426+00', '2026-11-29 02:15:45.957686+00', '2026-11-29 03:15:45+00', 'https://hooks.example.com/ends'),
	('req-01M8N3S7ZEBTTYRXJ0NNHT5817', 1, 1, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\xebfc3f2b1f56edff47d4cf82a5cba4ffb7a8c860b07e8c0c111516825826b8b7', 'video_second', 100000000, 5, 500000000, 351700000, 3517, 'completed', NULL, NULL, 1, '2026-11-29 03:15:45.903093+00', 0, '2026-11-29 02:15:45.941387+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-29 02:15:45.903093+00', '2026-11-29 02:15:45.984047+00', '2026-11-29 03:15:45+00', NULL),
	('req-01M8N3S7Y98QT2616JFYS6W5WK', 1, 1, 'video', 'clip', NULL, '\x39757ee0f96cb6497b090932f15db24703e5d37aafe55a61912e8bdda6dbc42d', 'video_second', 100000000, 5, 500000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-29 03:15:45.865781+00', 0, '2026-11-29 02:15:45.929283+00', '{"job": "a-job-4711"}', NULL, NULL, NULL, 'generation_failed', 'It ended so.', true, 3600, true, '2026-11-29 02:15:45.865781+00', '2026-11-29 02:15:45.941842+00', NULL, 'https://hooks.example.com/ends'),
	('req-01M8N3S82XHWT1BWFXPBHHVACY', 1, 2, 'image', 'still', NULL, '\x38dd72ea43e339f19ba835a50139dee2ba7e34578e1752eebeab8110442f8ff2', 'image', 100000000, 1, 100000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-29 03:15:46.013654+00', 0, '2026-11-29 02:15:46.013654+00', NULL, NULL, NULL, NULL, 'generation_failed', 'It ended so.', false, 3600, true, '2026-11-29 02:15:46.013654+00', '2026-11-29 02:15:46.053917+00', NULL, NULL),
	('req-01M8N3S7YS7HV59AGZNC9MMVQY', 1, 1, 'video', 'clip', NULL, '\x621c99074d9f56dc19dea42858c7e9cbd87f0456bee2db50fa8d57dccbb5ee05', 'video_second', 100000000, 5, 500000000, 0, 0, 'canceled', NULL, NULL, 1, '2026-11-29 03:15:45.881627+00', 0, '2026-11-29 02:15:45.938125+00', '{"job": "a-job-4711"}', NULL, NULL, '2026-11-30 02:15:45.925901+00', 'canceled', 'It ended so.', true, 3600, true, '2026-11-29 02:15:45.881627+00', '2026-11-29 02:15:45.953304+00', NULL, NULL),
	('req-01M8N3S83WHDMSVN7WYJXW3C1B', 1, 2, 'image', 'still', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [{"key": "inputs/0.png", "role": "reference_image", "mime_type": "image/png"}, {"key": "inputs/1.png", "role": "reference_image", "mime_type": "image/png"}], "resolution": "1K", "aspect_ratio": "1:1", "output_format": "jpeg"}', '\x0d6d8f8991ff449365bbac6eb52681ce076eabb8fda0f95bc12fbf3120288187', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.04484+00', 0, '2026-11-29 02:15:46.04484+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-29 02:15:46.04484+00', '2026-11-29 02:15:46.070627+00', '2026-11-29 03:15:46+00', 'https://hooks.example.com/ends'),
	('req-01M8N3S83YS83RWAHMN7XHK74P', 1, 2, 'image', 'still', NULL, '\xf5bb8381e2311af10735081dc5abfd330313ae8f2ff26263e9ab9e4c51dd17ff', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.046169+00', 0, '2026-11-29 02:15:46.046169+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, false, '2026-11-29 02:15:46.046169+00', '2026-11-29 02:15:46.073255+00', '2026-11-29 03:15:46+00', NULL),
	('req-01M8N3S83Z118GDGEHYHDSNR9K', 1, 2, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x404a9e44ffcae806a631ccf2b88cbddd0b9143e2b4c07016dc555624819dd3e4', 'video_second', 100000000, 10, 1000000000, 1000000000, 10000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.047104+00', 0, '2026-11-29 02:15:46.061796+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-29 02:15:46.047104+00', '2026-11-29 02:15:46.074219+00', '2026-11-29 02:15:46+00', NULL),
	('req-01M8N3S8423YX1VZWX7YVTV1TK', 1, 2, 'video', 'clip-short', NULL, '\xd362dbefa8af00ea8f02d2c2713c6bc69c00007e4df4772100543b4c6d6ba266', 'video_second', 100000000, 10, 1000000000, 1000000000, 10000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.050408+00', 0, '2026-11-29 02:15:46.064067+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-29 02:15:46.050408+00', '2026-11-29 02:15:46.077279+00', '2026-11-29 02:15:46+00', NULL),
	('req-01M8N3S843MDK5MDM38ZD9A2CF', 1, 2, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x906ad8a6f3bdd9258b136e16de29eb68007872d4567453daca66388eb0a2776d', 'video_second', 100000000, 10, 1000000000, 351700000, 3517, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.051212+00', 0, '2026-11-29 02:15:46.064958+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-29 02:15:46.051212+00', '2026-11-29 02:15:46.077959+00', '2026-11-29 03:15:46+00', NULL),
	('req-01M8N3S83VZZF1JV2JJDCD9N3M', 1, 2, 'video', 'clip-short', NULL, '\x705f9116ff204d7b8a17f40d91181597179e369609bb84e4b5634a0240efd477', 'video_second', 100000000, 10, 1000000000, 0, 0, 'canceled', NULL, NULL, 1, '2026-11-29 03:15:46.043223+00', 0, '2026-11-29 02:15:46.059388+00', '{"job": "a-job-4711"}', NULL, NULL, '2026-11-30 02:15:46.057848+00', 'canceled', 'It ended so.', true, 3600, true, '2026-11-29 02:15:46.043223+00', '2026-11-29 02:15:46.069537+00', NULL, NULL),
	('req-01M8N3S85H9JDH05ZN0SMSMQHA', 2, 3, 'video', 'clip', NULL, '\xf1890c362ff353415cbff624cf3ca9755336bb02079650e37ae66b9729188f32', 'video_second', 100000000, 5, 500000000, 500000000, 5000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.097724+00', 0, '2026-11-29 02:15:46.105816+00', NULL, 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-29 02:15:46.097724+00', '2026-11-29 02:15:46.114481+00', '2026-11-29 02:15:46+00', NULL),
	('req-01M8N3S85DTDX2AFKWKJJPT2W2', 2, 3, 'video', 'clip', NULL, '\x4a251bdbf644384355d5756d6436bec57e76002cb75eeef08b02a69c7cf2fa03', 'video_second', 100000000, 5, 500000000, 500000000, 5000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.093892+00', 0, '2026-11-29 02:15:46.105292+00', NULL, 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-29 02:15:46.093892+00', '2026-11-29 02:15:46.111494+00', '2026-11-29 02:15:46+00', NULL),
	('req-01M8N3S85DD0TR5CHJ1C2MVQXA', 2, 3, 'image', 'still', NULL, '\xb7715f041e89e183a37d858625775c5a585da1ca9ef9888681f22bd60e6a4025', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.093414+00', 0, '2026-11-29 02:15:46.093414+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, false, '2026-11-29 02:15:46.093414+00', '2026-11-29 02:15:46.11102+00', '2026-11-29 03:15:46+00', NULL),
	('req-01M8N3S85APQGG1YNQTDX9YQY7', 2, 3, 'image', 'still', NULL, '\xcef3fdfefe5a6ebf65851d37a7fbdcbc36bec9869d0d81f6ff4578cf22292db7', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-29 03:15:46.09049+00', 0, '2026-11-29 02:15:46.09049+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-29 02:15:46.09049+00', '2026-11-29 02:15:46.110542+00', '2026-11-29 03:15:46+00', NULL),
	('req-01M8N3S856KA4HVN5BYMJ1DVZV', 2, 3, 'image', 'still', NULL, '\xd357792448e1a40de23ab76fe46cdbfbba0ed1cd520a53f05ae92088210f3451', 'image', 100000000, 1, 100000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-29 03:15:46.086397+00', 0, '2026-11-29 02:15:46.086397+00', NULL, NULL, NULL, NULL, 'generation_failed', 'Erased.', false, 3600, true, '2026-11-29 02:15:46.086397+00', '2026-11-29 02:15:46.099017+00', NULL, NULL),
	('req-01M8N3S83DT7V2KRGPAYJJZ4TN', 1, 2, 'video', 'clip-short', NULL, '\x1009766f59a83d8bf4259ec88cc41c68a1080ffc5d0099bb60230e74c40b47a4', 'video_second', 100000000, 10, 1000000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-29 03:15:46.033323+00', 0, '2026-11-29 02:15:46.058656+00', '{"job": "a-job-4711"}', NULL, NULL, NULL, 'generation_failed', 'It ended so.', true, 3600, true, '2026-11-29 02:15:46.033323+00', '2026-11-29 02:15:46.065315+00', NULL, 'https://hooks.example.com/ends'),
	('req-01M8N3S8599FV68FHGQAYV1WV6', 2, 3, 'video', 'clip', NULL, '\x17c109dca69c6c94f33ec1ed40e0f0c52393c9a2ffa57eb98ec31e78d0d044b4', 'video_second', 100000000, 5, 500000000, 0, 0, 'canceled', NULL, NULL, 1, '2026-11-29 03:15:46.089781+00', 0, '2026-11-29 02:15:46.10432+00', NULL, NULL, NULL, '2026-11-30 02:15:46.100554+00', 'canceled', 'Erased.', true, 3600, true, '2026-11-29 02:15:46.089781+00', '2026-11-29 02:15:46.110123+00', NULL, NULL),
	('req-01M8N3S857XR9VV8XMTBBKP42M', 2, 3, 'video', 'clip', NULL, '\x769612d2af7c4eb645eaa07f53d5cd8f68f45c670e6a30d19ac4efd5ec53bc40', 'video_second', 100000000, 5, 500000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-29 03:15:46.0871+00', 0, '2026-11-29 02:15:46.103607+00', NULL, NULL, NULL, NULL, 'generation_failed', 'Erased.', true, 3600, true, '2026-11-29 02:15:46.0871+00', '2026-11-29 02:15:46.109262+00', NULL, NULL),
	('req-01M8N3S86JB4RQA1C5XST5MRG3', 1, 1, 'image', 'still', NULL, '\x1636814c5d752d215b0931ea1ba85a0421e501e5d33eace20a04c906e2c56769', 'image', 100000000, 1, 100000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-30 03:15:46.131081+00', 0, '2026-11-30 02:15:46.131081+00', NULL, NULL, NULL, NULL, 'generation_failed', 'It ended so.', false, 3600, true, '2026-11-30 02:15:46.131081+00', '2026-11-30 02:15:46.141647+00', NULL, NULL),
	('req-01M8N3S86S5H0VG0MV3XW0K5KB', 1, 1, 'image', 'still', NULL, '\xcbcef68049be97728e8374e3b002109685d549b92b1f56974f5d27e542d52058', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.137755+00', 0, '2026-11-30 02:15:46.137755+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, false, '2026-11-30 02:15:46.137755+00', '2026-11-30 02:15:46.162721+00', '2026-11-30 03:15:46+00', NULL),
	('req-01M8N3S86N1SFZJ7FGKVSHRCW3', 1, 1, 'image', 'still', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [{"key": "inputs/0.png", "role": "reference_image", "mime_type": "image/png"}, {"key": "inputs/1.png", "role": "reference_image", "mime_type": "image/png"}], "resolution": "1K", "aspect_ratio": "1:1", "output_format": "jpeg"}', '\x5bd0d1245923077f0d8e71d1b348263a8af2ec92fd911b8021102eb348148c2c', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.133456+00', 0, '2026-11-30 02:15:46.133456+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-30 02:15:46.133456+00', '2026-11-30 02:15:46.161902+00', '2026-11-30 03:15:46+00', 'https://hooks.example.com/ends'),
	('req-01M8N3S86TBJX0F4RV3SX6WV25', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\xdf30edafc75c320f4bc4e53502b404ee0d0c129caa060029d4bcfdb241138e7c', 'video_second', 100000000, 10, 1000000000, 1000000000, 10000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.138398+00', 0, '2026-11-30 02:15:46.154901+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.138398+00', '2026-11-30 02:15:46.163972+00', '2026-11-30 02:15:46+00', NULL),
	('req-01M8N3S86VJHFFC42S68KX776A', 1, 1, 'video', 'clip-short', NULL, '\x659ee33c79ec15dd3a79d8a8320ace0ecbd25cf6a16fb2f9b70764a9e1599575', 'video_second', 100000000, 10, 1000000000, 1000000000, 10000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.139172+00', 0, '2026-11-30 02:15:46.155412+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.139172+00', '2026-11-30 02:15:46.164617+00', '2026-11-30 02:15:46+00', NULL),
	('req-01M8N3S86VHD1SHQV9R320SDHA', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x704e9b3700e622e3a16ecd3c267f0d27b1a8e07c56a103fad7ed550b2750edd2', 'video_second', 100000000, 10, 1000000000, 351700000, 3517, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.139842+00', 0, '2026-11-30 02:15:46.155958+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-30 02:15:46.139842+00', '2026-11-30 02:15:46.165138+00', '2026-11-30 03:15:46+00', NULL),
	('req-01M8N3S86M7ZX2Z9B905BGQ96V', 1, 1, 'video', 'clip-short', NULL, '\x3fe05204f513474362b7d03bef121d7e621776a82c65601ff7a0a2d9242c7793', 'video_second', 100000000, 10, 1000000000, 0, 0, 'canceled', NULL, NULL, 1, '2026-11-30 03:15:46.132343+00', 0, '2026-11-30 02:15:46.154318+00', '{"job": "a-job-4711"}', NULL, NULL, '2026-11-30 02:15:46.145267+00', 'canceled', 'It ended so.', true, 3600, true, '2026-11-30 02:15:46.132343+00', '2026-11-30 02:15:46.156983+00', NULL, NULL),
	('req-01M8N3S881A05GGJ0QDJW52ENN', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x465d6170e4b13a538dd3f965c31b43459781c21d4469448bb7add4a0b53005d6', 'video_second', 100000000, 5, 500000000, 0, 0, 'canceled', NULL, NULL, 1, '2026-11-30 03:15:46.177939+00', 0, '2026-11-30 02:15:46.190247+00', '{"job": "a-job-4711"}', NULL, NULL, '2026-11-30 02:15:46.186187+00', 'canceled', 'It ended so.', true, 3600, true, '2026-11-30 02:15:46.177939+00', '2026-11-30 02:15:46.192695+00', NULL, NULL),
	('req-01M8N3S8823EMCDF2YBVV3TKRC', 1, 2, 'image', 'still', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [{"key": "inputs/0.png", "role": "reference_image", "mime_type": "image/png"}, {"key": "inputs/1.png", "role": "reference_image", "mime_type": "image/png"}], "resolution": "1K", "aspect_ratio": "1:1", "output_format": "jpeg"}', '\xcc147d74b2a8b8708bea53a7f66d8e41a5f5db18b837433053e19cd3e1007295', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.178778+00', 0, '2026-11-30 02:15:46.178778+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-30 02:15:46.178778+00', '2026-11-30 02:15:46.197366+00', '2026-11-30 03:15:46+00', 'https://hooks.example.com/ends'),
	('req-01M8N3S87WF6NNMMXEECE74HA8', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\xa2352020a3121091eaa3512d062ff2dacac69987322e462875e9dfcba060748d', 'video_second', 100000000, 5, 500000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-30 03:15:46.172355+00', 0, '2026-11-30 02:15:46.189656+00', '{"job": "a-job-4711"}', NULL, NULL, NULL, 'generation_failed', 'It ended so.', true, 3600, true, '2026-11-30 02:15:46.172355+00', '2026-11-30 02:15:46.192049+00', NULL, 'https://hooks.example.com/ends'),
	('req-01M8N3S883N7G5MGZNC8R20GAD', 1, 2, 'image', 'still', NULL, '\x4818b54dd32f47841dc28942c7fedd82eb77e13426f8edba188defabf3466a7c', 'image', 100000000, 1, 100000000, 100000000, 1000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.17949+00', 0, '2026-11-30 02:15:46.17949+00', NULL, 1, NULL, NULL, NULL, NULL, false, 3600, false, '2026-11-30 02:15:46.17949+00', '2026-11-30 02:15:46.198244+00', '2026-11-30 03:15:46+00', NULL),
	('req-01M8N3S884HXTWXNNGQTSB19W3', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x450aaaa539da60426081006f7dbf216ebd14e3b8bc7c222f9638c15518e2de46', 'video_second', 100000000, 5, 500000000, 500000000, 5000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.180274+00', 0, '2026-11-30 02:15:46.190778+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.180274+00', '2026-11-30 02:15:46.198927+00', '2026-11-30 02:15:46+00', NULL),
	('req-01M8N3S885ZJ9XVF0AWPSEJ4H1', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x402d5c0da14bc79db59e1c1dbad310018858e064e8ad7b744079320d2a2351ce', 'video_second', 100000000, 5, 500000000, 351700000, 3517, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.183859+00', 0, '2026-11-30 02:15:46.191768+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-30 02:15:46.183859+00', '2026-11-30 02:15:46.200544+00', '2026-11-30 03:15:46+00', NULL),
	('req-01M8N3S8849V1VAQ4M46GWTWAT', 1, 2, 'video', 'clip', NULL, '\x71b6a707855f638cf80b988690e502f1fecf34ea789ec6d166f0659e8eb28a97', 'video_second', 100000000, 5, 500000000, 500000000, 5000, 'completed', NULL, NULL, 1, '2026-11-30 03:15:46.180967+00', 0, '2026-11-30 02:15:46.191278+00', '{"job": "a-job-4711"}', 1, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.180967+00', '2026-11-30 02:15:46.199532+00', '2026-11-30 02:15:46+00', NULL),
	('req-01M8N3S86KVTWB1JVBDCJY5PRC', 1, 1, 'video', 'clip-short', NULL, '\xce625c9adee08d8a6250ca5702cadbeee4020369ff47badac3485b9bb8a45b8e', 'video_second', 100000000, 10, 1000000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-30 03:15:46.131665+00', 0, '2026-11-30 02:15:46.148918+00', '{"job": "a-job-4711"}', NULL, NULL, NULL, 'generation_failed', 'It ended so.', true, 3600, true, '2026-11-30 02:15:46.131665+00', '2026-11-30 02:15:46.156232+00', NULL, 'https://hooks.example.com/ends'),
	('req-01M8N3S87VQE97JKQFDJ92YNHE', 1, 2, 'image', 'still', NULL, '\xb878de8ed390c83b12619d2801b024ef41d0f0a178223d165c26426eb6ebfe33', 'image', 100000000, 1, 100000000, 0, 0, 'failed', NULL, NULL, 1, '2026-11-30 03:15:46.171564+00', 0, '2026-11-30 02:15:46.171564+00', NULL, NULL, NULL, NULL, 'generation_failed', 'It ended so.', false, 3600, true, '2026-11-30 02:15:46.171564+00', '2026-11-30 02:15:46.185007+00', NULL, NULL),
	('req-01M8N3S892KGGBNWB31V9JYQB8', 1, 1, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\xd9348b5cf5ec4c4f5eeffc8360328aca5e7a3ece677829853393c7282e87443b', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'queued', NULL, NULL, 0, '2026-11-30 03:15:46.211018+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.211018+00', NULL, NULL, NULL),
	('req-01M8N3S895JSCKSTJ2R80RHFJ9', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\xdc841de022515645d1e17554dc76ba972f6979c0dbcd96abf6d78513cf66289c', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'queued', NULL, NULL, 0, '2026-11-30 03:15:46.214019+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.214019+00', NULL, NULL, 'https://hooks.example.com/ends'),
	('req-01M8N3S89H1PPKJN1ZYDKHR1GA', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x8ac61bf8e303cd0ec7e162c49462439ce11b4cf13300773e778eb0271d471696', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'queued', NULL, NULL, 0, '2026-11-30 03:15:46.225535+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.225535+00', NULL, NULL, NULL),
	('req-01M8N3S89JJ94QB2JPM4G4T6C6', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x71a9f7df55700dc6c1bf62e79907e912f0fe415f2684ab69666627e3189f4017', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'queued', NULL, NULL, 0, '2026-11-30 02:15:45.227055+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.227055+00', NULL, NULL, NULL),
	('req-01M8N3S89ZK5NTF2V03GT5PKH3', 1, 2, 'image', 'still', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [{"key": "inputs/0.png", "role": "reference_image", "mime_type": "image/png"}, {"key": "inputs/1.png", "role": "reference_image", "mime_type": "image/png"}], "resolution": "1K", "aspect_ratio": "1:1", "output_format": "jpeg"}', '\xd8506e039385ce17f2ed80d2117aebec25d3acc6f9975eda440ec1ba3af24544', 'image', 100000000, 1, 100000000, NULL, NULL, 'running', '9dd27656-30ad-4252-b34f-f338ada07ad1', '2026-11-30 02:16:16.239304+00', 1, '2026-11-30 03:15:46.239304+00', 0, '2026-11-30 02:15:46.239304+00', NULL, NULL, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-30 02:15:46.239304+00', NULL, NULL, NULL),
	('req-01M8N3S8A02N6F9FNPWX3GD25C', 1, 1, 'image', 'still', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "output_format": "jpeg"}', '\x2dcc85955b02c62555ca64f0b7516cfc2cafe624bb15c733e03bbea570350c93', 'image', 100000000, 1, 100000000, NULL, NULL, 'running', '2c0437c0-46e0-4674-aa99-d4fe2e48c136', '2026-11-30 02:15:45.240303+00', 1, '2026-11-30 03:15:46.240303+00', 0, '2026-11-30 02:15:46.240303+00', NULL, NULL, NULL, NULL, NULL, NULL, false, 3600, true, '2026-11-30 02:15:46.240303+00', NULL, NULL, NULL),
	('req-01M8N3S8A4GX5BV8H8NH3KX3GT', 1, 1, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x1f046f85a5b288daca66e0baab2938998a2171d5ba2505c79959d9999ae70a13', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'running', 'e839eef6-36d8-4409-a3c5-d08ad0cb748e', '2026-11-30 02:16:16.249611+00', 1, '2026-11-30 03:15:46.245299+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.245299+00', NULL, NULL, NULL),
	('req-01M8N3S8AA72GQP3D9Z01HANGM', 1, 2, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x473391bf4f4441d3fd1e03c1c1f220ea7238bfae958720e8185dc18fe0116fdd', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'running', '0209c41c-5471-442d-902f-dee4ff99f8ca', '2026-11-30 02:15:45.258247+00', 1, '2026-11-30 03:15:46.253282+00', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.253282+00', NULL, NULL, NULL),
	('req-01M8N3S8AJXZBGE7BC7Q91DX9A', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\xe7c3f57a86be7feb6b956ed4ac117db14aeafb40ab3cef63c532e3adb69236d2', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'running', '10387666-8288-4747-9417-76fd9dee05d8', '2026-11-30 02:16:16.263799+00', 1, '2026-11-30 03:15:46.258754+00', 0, '2026-11-30 02:15:46.291504+00', NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.258754+00', NULL, NULL, NULL),
	('req-01M8N3S8ARH01RAQC6P264W0RF', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x561950d620b2f2e41f8218b75a21737174788195427418308cae499888ed09b6', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'running', '826705fd-e365-4860-a42f-70ff4ac1dc12', '2026-11-30 02:15:45.267188+00', 1, '2026-11-30 03:15:46.264463+00', 1, '2026-11-30 02:15:46.291718+00', NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.264463+00', NULL, NULL, NULL),
	('req-01M8N3S8AV6HTFAE00CF35Q4Z6', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x6f62d0d1343869679dae5daefec6025aad38ccb32318cfafa23aea0e85d7daeb', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'running', 'e067c90b-a448-48ba-b716-727d411e2954', '2026-11-30 02:15:45.272269+00', 1, '2026-11-30 03:15:46.269285+00', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.269285+00', NULL, NULL, NULL),
	('req-01M8N3S8BAD7KMD4NXRZSPQPSQ', 1, 1, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\x63389bd6c9c4bd3ef04ca2466f68936f308f4289980a14dd6e32f2bde85d00d8', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'running', '336b9b1c-436b-4ca2-9bb5-a71f2c1a9ff3', '2026-11-30 02:15:45.282864+00', 1, '2026-11-30 03:15:46.28219+00', 1, '2026-11-30 02:15:46.302518+00', '{"job": "a-job-4711"}', NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.28219+00', NULL, NULL, NULL),
	('req-01M8N3S8BBDZ2A3TBC6YXG9XX6', 1, 2, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x31226b5f1c5eb5dd2a246d9366dfd53efe26c9afcc49ab380b69a630838b88f2', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'unknown', NULL, NULL, 1, '2026-11-30 03:15:46.283117+00', 0, '2026-11-30 02:15:46.302834+00', NULL, NULL, '2026-11-30 02:25:46.303352+00', NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.283117+00', NULL, NULL, NULL),
	('req-01M8N3S8BCMANQ1QRR6AWRHJ3Z', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\xcf71d0ccfa0056d1dbe41cfc04c811d2fe1be179ce4d62fe9f5ff480d0b4f3d9', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'unknown', NULL, NULL, 0, '2026-11-30 03:15:46.284081+00', 1, '2026-11-30 02:15:46.306406+00', '{"job": "a-job-4711"}', NULL, '2026-11-30 02:15:46.307283+00', NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.284081+00', NULL, NULL, NULL),
	('req-01M8N3S89XTYB3T6VMV20SE6SE', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x8e72e01021376de9f138c349dc23311a1c8f244e6c5d12cecb14e4b80353d7fe', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'queued', NULL, NULL, 0, '2026-11-30 03:15:46.237576+00', 0, NULL, NULL, NULL, NULL, '2026-11-30 02:15:46.308596+00', NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.237576+00', NULL, NULL, NULL),
	('req-01M8N3S8B0XF97GJX4HN1GN6AS', 1, 2, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\x2c85db1fabd47b2cf05bbef23e57ac7268655dbd2943fc61b376d57b9fbf2b73', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'running', '3f02f51d-4c3c-4191-9c8d-3c5af562ac5b', '2026-11-30 02:16:16.281832+00', 1, '2026-11-30 03:15:46.272624+00', 0, '2026-11-30 02:15:46.295876+00', '{"job": "a-job-4711"}', 0.25, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.272624+00', NULL, NULL, NULL),
	('req-01M8N3S8BEYXA12YCHHDAK51YK', 1, 1, 'video', 'clip-short', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 10}', '\xb9de617d6579f91a8770a013136d8577477d543c70ce6a80190b0622001a57f6', 'video_second', 100000000, 10, 1000000000, NULL, NULL, 'queued', NULL, NULL, 0, '2026-11-30 03:15:46.286185+00', 1, '2026-11-30 02:15:46.307808+00', '{"job": "a-job-4711"}', NULL, NULL, NULL, NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.286185+00', NULL, NULL, NULL),
	('req-01M8N3S8BDA9XXDDJ4JR2T1QEC', 1, 2, 'video', 'clip', '{"sound": null, "width": 64, "height": 64, "prompt": "a hill", "references": [], "resolution": "1K", "aspect_ratio": "1:1", "duration_seconds": 5}', '\xfbdab1447928f4753ad773c019c9b0f04f5122ae130d15766718c9663ebd79ea', 'video_second', 100000000, 5, 500000000, NULL, NULL, 'running', 'de4618af-3010-4f7b-993c-df01be87d4e9', '2026-11-30 02:16:16.285948+00', 1, '2026-11-30 03:15:46.285147+00', 0, '2026-11-30 02:15:46.30753+00', '{"job": "a-job-4711"}', NULL, NULL, '2026-11-30 02:15:46.308857+00', NULL, NULL, true, 3600, true, '2026-11-30 02:15:46.285147+00', NULL, NULL, NULL);


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.events VALUES
	('evt_01a22a3c9ff44956b17c4b2a5ccfb176', 1, 'req-01M8N3S7XPGXX684PSZAPRK1ZF', 'generation.failed', '{}', '2026-11-30 02:15:45.904645+00'),
	('evt_01a22a3ca0174d7395ddfcea9801eee1', 1, 'req-01M8N3S7Y98QT2616JFYS6W5WK', 'generation.failed', '{}', '2026-11-30 02:15:45.941842+00'),
	('evt_01a22a3ca0224008bc6356186b125129', 1, 'req-01M8N3S7YS7HV59AGZNC9MMVQY', 'generation.canceled', '{}', '2026-11-30 02:15:45.953304+00'),
	('evt_01a22a3ca02746e89d7a0965dfdf9036', 1, 'req-01M8N3S7YWCZWJ062MCFAYTJ22', 'generation.completed', '{}', '2026-11-30 02:15:45.957686+00'),
	('evt_01a22a3ca02a479aa845e0696420d760', 1, 'req-01M8N3S7YYCNYMBDP09VQZYQFJ', 'generation.completed', '{}', '2026-11-30 02:15:45.961297+00'),
	('evt_01a22a3ca035490a866c0852067d0e9a', 1, 'req-01M8N3S7Z20XM27BA23BRQTQT2', 'generation.completed', '{}', '2026-11-30 02:15:45.971378+00'),
	('evt_01a22a3ca03e454da5e10e110e377fc2', 1, 'req-01M8N3S7Z91Q6ZVF36C9Z09W25', 'generation.completed', '{}', '2026-11-30 02:15:45.981278+00'),
	('evt_01a22a3ca0414051afd20fe8d3f93bb3', 1, 'req-01M8N3S7ZEBTTYRXJ0NNHT5817', 'generation.completed', '{}', '2026-11-30 02:15:45.984047+00'),
	('evt_01a22a3ca08742579ab5284b9e21be4c', 1, 'req-01M8N3S82XHWT1BWFXPBHHVACY', 'generation.failed', '{}', '2026-11-30 02:15:46.053917+00'),
	('evt_01a22a3ca0924ba1a9aff118ecffc621', 1, 'req-01M8N3S83DT7V2KRGPAYJJZ4TN', 'generation.failed', '{}', '2026-11-30 02:15:46.065315+00'),
	('evt_01a22a3ca096487a8597e691a4593338', 1, 'req-01M8N3S83VZZF1JV2JJDCD9N3M', 'generation.canceled', '{}', '2026-11-30 02:15:46.069537+00'),
	('evt_01a22a3ca097454cb3995a86a1805cbf', 1, 'req-01M8N3S83WHDMSVN7WYJXW3C1B', 'generation.completed', '{}', '2026-11-30 02:15:46.070627+00'),
	('evt_01a22a3ca09a4fca839a88b09fe2cda1', 1, 'req-01M8N3S83YS83RWAHMN7XHK74P', 'generation.completed', '{}', '2026-11-30 02:15:46.073255+00'),
	('evt_01a22a3ca09b4ed6a11a37418dbcf8c3', 1, 'req-01M8N3S83Z118GDGEHYHDSNR9K', 'generation.completed', '{}', '2026-11-30 02:15:46.074219+00'),
	('evt_01a22a3ca09e4fbea498ae6f2d784bbf', 1, 'req-01M8N3S8423YX1VZWX7YVTV1TK', 'generation.completed', '{}', '2026-11-30 02:15:46.077279+00'),
	('evt_01a22a3ca09e438a8d4f6f3911c95db1', 1, 'req-01M8N3S843MDK5MDM38ZD9A2CF', 'generation.completed', '{}', '2026-11-30 02:15:46.077959+00'),
	('evt_01a22a3ca0de4cf49354eb912f1a933a', 1, 'req-01M8N3S86JB4RQA1C5XST5MRG3', 'generation.failed', '{}', '2026-11-30 02:15:46.141647+00'),
	('evt_01a22a3ca0ed40feb945ca8a7ae3347a', 1, 'req-01M8N3S86KVTWB1JVBDCJY5PRC', 'generation.failed', '{}', '2026-11-30 02:15:46.156232+00'),
	('evt_01a22a3ca0f148aba4aaf855c85620d0', 1, 'req-01M8N3S86M7ZX2Z9B905BGQ96V', 'generation.canceled', '{}', '2026-11-30 02:15:46.156983+00'),
	('evt_01a22a3ca0f244ffbb25561d5574dc77', 1, 'req-01M8N3S86N1SFZJ7FGKVSHRCW3', 'generation.completed', '{}', '2026-11-30 02:15:46.161902+00'),
	('evt_01a22a3ca0f3443b8b92bcb5925a0a5e', 1, 'req-01M8N3S86S5H0VG0MV3XW0K5KB', 'generation.completed', '{}', '2026-11-30 02:15:46.162721+00'),
	('evt_01a22a3ca0f445e68933e8be763380bc', 1, 'req-01M8N3S86TBJX0F4RV3SX6WV25', 'generation.completed', '{}', '2026-11-30 02:15:46.163972+00'),
	('evt_01a22a3ca0f548d4a53461bcfdab7848', 1, 'req-01M8N3S86VJHFFC42S68KX776A', 'generation.completed', '{}', '2026-11-30 02:15:46.164617+00'),
	('evt_01a22a3ca0f64684a610d316d6e6d46c', 1, 'req-01M8N3S86VHD1SHQV9R320SDHA', 'generation.completed', '{}', '2026-11-30 02:15:46.165138+00'),
	('evt_01a22a3ca1094652add7029c3f00873e', 1, 'req-01M8N3S87VQE97JKQFDJ92YNHE', 'generation.failed', '{}', '2026-11-30 02:15:46.185007+00'),
	('evt_01a22a3ca1104adab140dc856f683dec', 1, 'req-01M8N3S87WF6NNMMXEECE74HA8', 'generation.failed', '{}', '2026-11-30 02:15:46.192049+00'),
	('evt_01a22a3ca1114f278d6daf423be9e887', 1, 'req-01M8N3S881A05GGJ0QDJW52ENN', 'generation.canceled', '{}', '2026-11-30 02:15:46.192695+00'),
	('evt_01a22a3ca116433e81a03cf8b8538d91', 1, 'req-01M8N3S8823EMCDF2YBVV3TKRC', 'generation.completed', '{}', '2026-11-30 02:15:46.197366+00'),
	('evt_01a22a3ca117451ab597d0f43d65bd89', 1, 'req-01M8N3S883N7G5MGZNC8R20GAD', 'generation.completed', '{}', '2026-11-30 02:15:46.198244+00'),
	('evt_01a22a3ca1174d69a5f18c594e348ef0', 1, 'req-01M8N3S884HXTWXNNGQTSB19W3', 'generation.completed', '{}', '2026-11-30 02:15:46.198927+00'),
	('evt_01a22a3ca1184a2f8907aa301eae5705', 1, 'req-01M8N3S8849V1VAQ4M46GWTWAT', 'generation.completed', '{}', '2026-11-30 02:15:46.199532+00'),
	('evt_01a22a3ca119446ebadadd3e3116a749', 1, 'req-01M8N3S885ZJ9XVF0AWPSEJ4H1', 'generation.completed', '{}', '2026-11-30 02:15:46.200544+00');


--
-- Data for Name: webhook_endpoints; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.webhook_endpoints OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'https://hooks.example.com/', NULL, 'whsec_a', NULL, NULL, '2026-11-30 02:15:45.837004+00', NULL, NULL),
	(2, 1, NULL, NULL, 'whsec_a', NULL, NULL, '2026-11-30 02:15:45.845686+00', NULL, NULL);


--
-- Data for Name: deliveries; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.deliveries OVERRIDING SYSTEM VALUE VALUES
	(1, 'evt_01a22a3c9ff44956b17c4b2a5ccfb176', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.904645+00', NULL, NULL, NULL, '2026-11-30 02:15:45.904645+00', NULL),
	(2, 'evt_01a22a3ca0174d7395ddfcea9801eee1', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.941842+00', NULL, NULL, NULL, '2026-11-30 02:15:45.941842+00', NULL),
	(3, 'evt_01a22a3ca0174d7395ddfcea9801eee1', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:45.941842+00', NULL, NULL, NULL, '2026-11-30 02:15:45.941842+00', NULL),
	(4, 'evt_01a22a3ca0224008bc6356186b125129', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.953304+00', NULL, NULL, NULL, '2026-11-30 02:15:45.953304+00', NULL),
	(5, 'evt_01a22a3ca02746e89d7a0965dfdf9036', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.957686+00', NULL, NULL, NULL, '2026-11-30 02:15:45.957686+00', NULL),
	(6, 'evt_01a22a3ca02746e89d7a0965dfdf9036', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:45.957686+00', NULL, NULL, NULL, '2026-11-30 02:15:45.957686+00', NULL),
	(7, 'evt_01a22a3ca02a479aa845e0696420d760', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.961297+00', NULL, NULL, NULL, '2026-11-30 02:15:45.961297+00', NULL),
	(8, 'evt_01a22a3ca035490a866c0852067d0e9a', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.971378+00', NULL, NULL, NULL, '2026-11-30 02:15:45.971378+00', NULL),
	(9, 'evt_01a22a3ca03e454da5e10e110e377fc2', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.981278+00', NULL, NULL, NULL, '2026-11-30 02:15:45.981278+00', NULL),
	(10, 'evt_01a22a3ca0414051afd20fe8d3f93bb3', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:45.984047+00', NULL, NULL, NULL, '2026-11-30 02:15:45.984047+00', NULL),
	(11, 'evt_01a22a3ca08742579ab5284b9e21be4c', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.053917+00', NULL, NULL, NULL, '2026-11-30 02:15:46.053917+00', NULL),
	(12, 'evt_01a22a3ca0924ba1a9aff118ecffc621', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.065315+00', NULL, NULL, NULL, '2026-11-30 02:15:46.065315+00', NULL),
	(13, 'evt_01a22a3ca0924ba1a9aff118ecffc621', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:46.065315+00', NULL, NULL, NULL, '2026-11-30 02:15:46.065315+00', NULL),
	(14, 'evt_01a22a3ca096487a8597e691a4593338', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.069537+00', NULL, NULL, NULL, '2026-11-30 02:15:46.069537+00', NULL),
	(15, 'evt_01a22a3ca097454cb3995a86a1805cbf', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.070627+00', NULL, NULL, NULL, '2026-11-30 02:15:46.070627+00', NULL),
	(16, 'evt_01a22a3ca097454cb3995a86a1805cbf', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:46.070627+00', NULL, NULL, NULL, '2026-11-30 02:15:46.070627+00', NULL),
	(17, 'evt_01a22a3ca09a4fca839a88b09fe2cda1', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.073255+00', NULL, NULL, NULL, '2026-11-30 02:15:46.073255+00', NULL),
	(18, 'evt_01a22a3ca09b4ed6a11a37418dbcf8c3', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.074219+00', NULL, NULL, NULL, '2026-11-30 02:15:46.074219+00', NULL),
	(19, 'evt_01a22a3ca09e4fbea498ae6f2d784bbf', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.077279+00', NULL, NULL, NULL, '2026-11-30 02:15:46.077279+00', NULL),
	(20, 'evt_01a22a3ca09e438a8d4f6f3911c95db1', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.077959+00', NULL, NULL, NULL, '2026-11-30 02:15:46.077959+00', NULL),
	(21, 'evt_01a22a3ca0de4cf49354eb912f1a933a', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.141647+00', NULL, NULL, NULL, '2026-11-30 02:15:46.141647+00', NULL),
	(22, 'evt_01a22a3ca0ed40feb945ca8a7ae3347a', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.156232+00', NULL, NULL, NULL, '2026-11-30 02:15:46.156232+00', NULL),
	(23, 'evt_01a22a3ca0ed40feb945ca8a7ae3347a', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:46.156232+00', NULL, NULL, NULL, '2026-11-30 02:15:46.156232+00', NULL),
	(24, 'evt_01a22a3ca0f148aba4aaf855c85620d0', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.156983+00', NULL, NULL, NULL, '2026-11-30 02:15:46.156983+00', NULL),
	(25, 'evt_01a22a3ca0f244ffbb25561d5574dc77', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.161902+00', NULL, NULL, NULL, '2026-11-30 02:15:46.161902+00', NULL),
	(26, 'evt_01a22a3ca0f244ffbb25561d5574dc77', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:46.161902+00', NULL, NULL, NULL, '2026-11-30 02:15:46.161902+00', NULL),
	(27, 'evt_01a22a3ca0f3443b8b92bcb5925a0a5e', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.162721+00', NULL, NULL, NULL, '2026-11-30 02:15:46.162721+00', NULL),
	(28, 'evt_01a22a3ca0f445e68933e8be763380bc', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.163972+00', NULL, NULL, NULL, '2026-11-30 02:15:46.163972+00', NULL),
	(29, 'evt_01a22a3ca0f548d4a53461bcfdab7848', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.164617+00', NULL, NULL, NULL, '2026-11-30 02:15:46.164617+00', NULL),
	(30, 'evt_01a22a3ca0f64684a610d316d6e6d46c', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.165138+00', NULL, NULL, NULL, '2026-11-30 02:15:46.165138+00', NULL),
	(31, 'evt_01a22a3ca1094652add7029c3f00873e', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.185007+00', NULL, NULL, NULL, '2026-11-30 02:15:46.185007+00', NULL),
	(32, 'evt_01a22a3ca1104adab140dc856f683dec', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.192049+00', NULL, NULL, NULL, '2026-11-30 02:15:46.192049+00', NULL),
	(33, 'evt_01a22a3ca1104adab140dc856f683dec', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:46.192049+00', NULL, NULL, NULL, '2026-11-30 02:15:46.192049+00', NULL),
	(34, 'evt_01a22a3ca1114f278d6daf423be9e887', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.192695+00', NULL, NULL, NULL, '2026-11-30 02:15:46.192695+00', NULL),
	(35, 'evt_01a22a3ca116433e81a03cf8b8538d91', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.197366+00', NULL, NULL, NULL, '2026-11-30 02:15:46.197366+00', NULL),
	(36, 'evt_01a22a3ca116433e81a03cf8b8538d91', 2, 'https://hooks.example.com/ends', '2 https://hooks.example.com', 'pending', 0, '2026-11-30 02:15:46.197366+00', NULL, NULL, NULL, '2026-11-30 02:15:46.197366+00', NULL),
	(37, 'evt_01a22a3ca117451ab597d0f43d65bd89', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.198244+00', NULL, NULL, NULL, '2026-11-30 02:15:46.198244+00', NULL),
	(38, 'evt_01a22a3ca1174d69a5f18c594e348ef0', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.198927+00', NULL, NULL, NULL, '2026-11-30 02:15:46.198927+00', NULL),
	(39, 'evt_01a22a3ca1184a2f8907aa301eae5705', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.199532+00', NULL, NULL, NULL, '2026-11-30 02:15:46.199532+00', NULL),
	(40, 'evt_01a22a3ca119446ebadadd3e3116a749', 1, NULL, '1', 'pending', 0, '2026-11-30 02:15:46.200544+00', NULL, NULL, NULL, '2026-11-30 02:15:46.200544+00', NULL);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.idempotency_keys VALUES
	(1, 'key-1-clip', '\x47f8807eed1ee0fd03e8f5f747e58bf87ca2621c56ac79bf3a82948a74bb6723', 'req-01M8N3S7YWCZWJ062MCFAYTJ22', '2026-11-29 02:15:45.884426+00'),
	(1, 'key-2-clip-short', '\x0d6d8f8991ff449365bbac6eb52681ce076eabb8fda0f95bc12fbf3120288187', 'req-01M8N3S83WHDMSVN7WYJXW3C1B', '2026-11-29 02:15:46.04484+00'),
	(1, 'key-1-clip-short', '\x5bd0d1245923077f0d8e71d1b348263a8af2ec92fd911b8021102eb348148c2c', 'req-01M8N3S86N1SFZJ7FGKVSHRCW3', '2026-11-30 02:15:46.133456+00'),
	(1, 'key-2-clip', '\xcc147d74b2a8b8708bea53a7f66d8e41a5f5db18b837433053e19cd3e1007295', 'req-01M8N3S8823EMCDF2YBVV3TKRC', '2026-11-30 02:15:46.178778+00'),
	(1, 'k-1', '\xdc841de022515645d1e17554dc76ba972f6979c0dbcd96abf6d78513cf66289c', 'req-01M8N3S895JSCKSTJ2R80RHFJ9', '2026-11-30 02:15:46.214019+00'),
	(1, 'k-2', '\x2dcc85955b02c62555ca64f0b7516cfc2cafe624bb15c733e03bbea570350c93', 'req-01M8N3S8A02N6F9FNPWX3GD25C', '2026-11-30 02:15:46.240303+00');


--
-- Data for Name: media; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.media VALUES
	('req-01M8N3S86TBJX0F4RV3SX6WV25', 0, 'media/req-01M8N3S86TBJX0F4RV3SX6WV25', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 10.000, 24.000, false, '2026-11-30 02:15:46+00', '2026-11-30 02:15:46.170146+00', NULL),
	('req-01M8N3S7YWCZWJ062MCFAYTJ22', 0, 'media/req-01M8N3S7YWCZWJ062MCFAYTJ22', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-29 03:15:45+00', NULL, NULL),
	('req-01M8N3S7ZEBTTYRXJ0NNHT5817', 0, 'media/req-01M8N3S7ZEBTTYRXJ0NNHT5817', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 3.517, 24.000, false, '2026-11-29 03:15:45+00', NULL, NULL),
	('req-01M8N3S7YYCNYMBDP09VQZYQFJ', 0, 'media/req-01M8N3S7YYCNYMBDP09VQZYQFJ', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-29 02:15:45+00', '2026-11-29 02:15:45.989275+00', '2026-11-29 02:15:45.997275+00'),
	('req-01M8N3S7Z20XM27BA23BRQTQT2', 0, 'media/req-01M8N3S7Z20XM27BA23BRQTQT2', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 5.000, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.002934+00', NULL),
	('req-01M8N3S7Z91Q6ZVF36C9Z09W25', 0, 'media/req-01M8N3S7Z91Q6ZVF36C9Z09W25', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 5.000, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.004579+00', '2026-11-29 02:15:46.005291+00'),
	('req-01M8N3S83WHDMSVN7WYJXW3C1B', 0, 'media/req-01M8N3S83WHDMSVN7WYJXW3C1B', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-29 03:15:46+00', NULL, NULL),
	('req-01M8N3S843MDK5MDM38ZD9A2CF', 0, 'media/req-01M8N3S843MDK5MDM38ZD9A2CF', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 3.517, 24.000, false, '2026-11-29 03:15:46+00', NULL, NULL),
	('req-01M8N3S83YS83RWAHMN7XHK74P', 0, 'media/req-01M8N3S83YS83RWAHMN7XHK74P', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.07853+00', '2026-11-29 02:15:46.079059+00'),
	('req-01M8N3S83Z118GDGEHYHDSNR9K', 0, 'media/req-01M8N3S83Z118GDGEHYHDSNR9K', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 10.000, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.081403+00', NULL),
	('req-01M8N3S8423YX1VZWX7YVTV1TK', 0, 'media/req-01M8N3S8423YX1VZWX7YVTV1TK', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 10.000, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.081765+00', '2026-11-29 02:15:46.082137+00'),
	('req-01M8N3S85DD0TR5CHJ1C2MVQXA', 0, 'media/req-01M8N3S85DD0TR5CHJ1C2MVQXA', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.11587+00', '2026-11-29 02:15:46.116152+00'),
	('req-01M8N3S85H9JDH05ZN0SMSMQHA', 0, 'media/req-01M8N3S85H9JDH05ZN0SMSMQHA', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 5.000, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.116924+00', '2026-11-29 02:15:46.120685+00'),
	('req-01M8N3S85DTDX2AFKWKJJPT2W2', 0, 'media/req-01M8N3S85DTDX2AFKWKJJPT2W2', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 5.000, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.116598+00', NULL),
	('req-01M8N3S85APQGG1YNQTDX9YQY7', 0, 'media/req-01M8N3S85APQGG1YNQTDX9YQY7', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.122885+00', '2026-11-29 02:15:46.123592+00'),
	('req-01M8N3S85J7287WK820P59J69F', 0, 'media/req-01M8N3S85J7287WK820P59J69F', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 3.517, 24.000, false, '2026-11-29 02:15:46+00', '2026-11-29 02:15:46.122885+00', '2026-11-29 02:15:46.123592+00'),
	('req-01M8N3S86N1SFZJ7FGKVSHRCW3', 0, 'media/req-01M8N3S86N1SFZJ7FGKVSHRCW3', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-30 03:15:46+00', NULL, NULL),
	('req-01M8N3S86VHD1SHQV9R320SDHA', 0, 'media/req-01M8N3S86VHD1SHQV9R320SDHA', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 3.517, 24.000, false, '2026-11-30 03:15:46+00', NULL, NULL),
	('req-01M8N3S86S5H0VG0MV3XW0K5KB', 0, 'media/req-01M8N3S86S5H0VG0MV3XW0K5KB', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-30 02:15:46+00', '2026-11-30 02:15:46.168894+00', '2026-11-30 02:15:46.169351+00'),
	('req-01M8N3S86VJHFFC42S68KX776A', 0, 'media/req-01M8N3S86VJHFFC42S68KX776A', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 10.000, 24.000, false, '2026-11-30 02:15:46+00', '2026-11-30 02:15:46.170511+00', '2026-11-30 02:15:46.170882+00'),
	('req-01M8N3S8823EMCDF2YBVV3TKRC', 0, 'media/req-01M8N3S8823EMCDF2YBVV3TKRC', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-30 03:15:46+00', NULL, NULL),
	('req-01M8N3S885ZJ9XVF0AWPSEJ4H1', 0, 'media/req-01M8N3S885ZJ9XVF0AWPSEJ4H1', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 3.517, 24.000, false, '2026-11-30 03:15:46+00', NULL, NULL),
	('req-01M8N3S883N7G5MGZNC8R20GAD', 0, 'media/req-01M8N3S883N7G5MGZNC8R20GAD', 'image/jpeg', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, NULL, NULL, NULL, '2026-11-30 02:15:46+00', '2026-11-30 02:15:46.202918+00', '2026-11-30 02:15:46.203387+00'),
	('req-01M8N3S884HXTWXNNGQTSB19W3', 0, 'media/req-01M8N3S884HXTWXNNGQTSB19W3', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 5.000, 24.000, false, '2026-11-30 02:15:46+00', '2026-11-30 02:15:46.204182+00', NULL),
	('req-01M8N3S8849V1VAQ4M46GWTWAT', 0, 'media/req-01M8N3S8849V1VAQ4M46GWTWAT', 'video/mp4', 1, '\xabababababababababababababababababababababababababababababababab', 64, 64, 5.000, 24.000, false, '2026-11-30 02:15:46+00', '2026-11-30 02:15:46.204834+00', '2026-11-30 02:15:46.209344+00');


--
-- Data for Name: transfers; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.transfers OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 'fund', NULL, -100000000000, 100000000000, 0, 0, 'for a test', '2026-11-30 02:15:45.833763+00'),
	(2, 1, 'hold', 'req-01M8N3S7XPGXX684PSZAPRK1ZF', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:45.84676+00'),
	(3, 1, 'hold', 'req-01M8N3S7Y98QT2616JFYS6W5WK', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:45.865781+00'),
	(4, 1, 'hold', 'req-01M8N3S7YS7HV59AGZNC9MMVQY', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:45.881627+00'),
	(5, 1, 'hold', 'req-01M8N3S7YWCZWJ062MCFAYTJ22', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:45.884426+00'),
	(6, 1, 'hold', 'req-01M8N3S7YYCNYMBDP09VQZYQFJ', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:45.88928+00'),
	(7, 1, 'hold', 'req-01M8N3S7Z20XM27BA23BRQTQT2', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:45.891013+00'),
	(8, 1, 'hold', 'req-01M8N3S7Z91Q6ZVF36C9Z09W25', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:45.897645+00'),
	(9, 1, 'hold', 'req-01M8N3S7ZEBTTYRXJ0NNHT5817', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:45.903093+00'),
	(10, 1, 'settle', 'req-01M8N3S7XPGXX684PSZAPRK1ZF', 0, 100000000, -100000000, 0, NULL, '2026-11-30 02:15:45.904645+00'),
	(11, 1, 'settle', 'req-01M8N3S7Y98QT2616JFYS6W5WK', 0, 500000000, -500000000, 0, NULL, '2026-11-30 02:15:45.941842+00'),
	(12, 1, 'settle', 'req-01M8N3S7YS7HV59AGZNC9MMVQY', 0, 500000000, -500000000, 0, NULL, '2026-11-30 02:15:45.953304+00'),
	(13, 1, 'settle', 'req-01M8N3S7YWCZWJ062MCFAYTJ22', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:45.957686+00'),
	(14, 1, 'settle', 'req-01M8N3S7YYCNYMBDP09VQZYQFJ', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:45.961297+00'),
	(15, 1, 'settle', 'req-01M8N3S7Z20XM27BA23BRQTQT2', 0, 0, -500000000, 500000000, NULL, '2026-11-30 02:15:45.971378+00'),
	(16, 1, 'settle', 'req-01M8N3S7Z91Q6ZVF36C9Z09W25', 0, 0, -500000000, 500000000, NULL, '2026-11-30 02:15:45.981278+00'),
	(17, 1, 'settle', 'req-01M8N3S7ZEBTTYRXJ0NNHT5817', 0, 148300000, -500000000, 351700000, NULL, '2026-11-30 02:15:45.984047+00'),
	(18, 1, 'hold', 'req-01M8N3S82XHWT1BWFXPBHHVACY', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.013654+00'),
	(19, 1, 'hold', 'req-01M8N3S83DT7V2KRGPAYJJZ4TN', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.033323+00'),
	(20, 1, 'hold', 'req-01M8N3S83VZZF1JV2JJDCD9N3M', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.043223+00'),
	(21, 1, 'hold', 'req-01M8N3S83WHDMSVN7WYJXW3C1B', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.04484+00'),
	(22, 1, 'hold', 'req-01M8N3S83YS83RWAHMN7XHK74P', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.046169+00'),
	(23, 1, 'hold', 'req-01M8N3S83Z118GDGEHYHDSNR9K', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.047104+00'),
	(24, 1, 'hold', 'req-01M8N3S8423YX1VZWX7YVTV1TK', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.050408+00'),
	(25, 1, 'hold', 'req-01M8N3S843MDK5MDM38ZD9A2CF', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.051212+00'),
	(26, 1, 'settle', 'req-01M8N3S82XHWT1BWFXPBHHVACY', 0, 100000000, -100000000, 0, NULL, '2026-11-30 02:15:46.053917+00'),
	(27, 1, 'settle', 'req-01M8N3S83DT7V2KRGPAYJJZ4TN', 0, 1000000000, -1000000000, 0, NULL, '2026-11-30 02:15:46.065315+00'),
	(28, 1, 'settle', 'req-01M8N3S83VZZF1JV2JJDCD9N3M', 0, 1000000000, -1000000000, 0, NULL, '2026-11-30 02:15:46.069537+00'),
	(29, 1, 'settle', 'req-01M8N3S83WHDMSVN7WYJXW3C1B', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.070627+00'),
	(30, 1, 'settle', 'req-01M8N3S83YS83RWAHMN7XHK74P', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.073255+00'),
	(31, 1, 'settle', 'req-01M8N3S83Z118GDGEHYHDSNR9K', 0, 0, -1000000000, 1000000000, NULL, '2026-11-30 02:15:46.074219+00'),
	(32, 1, 'settle', 'req-01M8N3S8423YX1VZWX7YVTV1TK', 0, 0, -1000000000, 1000000000, NULL, '2026-11-30 02:15:46.077279+00'),
	(33, 1, 'settle', 'req-01M8N3S843MDK5MDM38ZD9A2CF', 0, 648300000, -1000000000, 351700000, NULL, '2026-11-30 02:15:46.077959+00'),
	(34, 2, 'fund', NULL, -100000000000, 100000000000, 0, 0, 'for a test', '2026-11-30 02:15:46.083083+00'),
	(35, 2, 'hold', 'req-01M8N3S856KA4HVN5BYMJ1DVZV', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.086397+00'),
	(36, 2, 'hold', 'req-01M8N3S857XR9VV8XMTBBKP42M', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.0871+00'),
	(37, 2, 'hold', 'req-01M8N3S8599FV68FHGQAYV1WV6', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.089781+00'),
	(38, 2, 'hold', 'req-01M8N3S85APQGG1YNQTDX9YQY7', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.09049+00'),
	(39, 2, 'hold', 'req-01M8N3S85DD0TR5CHJ1C2MVQXA', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.093414+00'),
	(40, 2, 'hold', 'req-01M8N3S85DTDX2AFKWKJJPT2W2', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.093892+00'),
	(41, 2, 'hold', 'req-01M8N3S85H9JDH05ZN0SMSMQHA', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.097724+00'),
	(42, 2, 'hold', 'req-01M8N3S85J7287WK820P59J69F', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.098416+00'),
	(43, 2, 'settle', 'req-01M8N3S856KA4HVN5BYMJ1DVZV', 0, 100000000, -100000000, 0, NULL, '2026-11-30 02:15:46.099017+00'),
	(44, 2, 'settle', 'req-01M8N3S857XR9VV8XMTBBKP42M', 0, 500000000, -500000000, 0, NULL, '2026-11-30 02:15:46.109262+00'),
	(45, 2, 'settle', 'req-01M8N3S8599FV68FHGQAYV1WV6', 0, 500000000, -500000000, 0, NULL, '2026-11-30 02:15:46.110123+00'),
	(46, 2, 'settle', 'req-01M8N3S85APQGG1YNQTDX9YQY7', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.110542+00'),
	(47, 2, 'settle', 'req-01M8N3S85DD0TR5CHJ1C2MVQXA', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.11102+00'),
	(48, 2, 'settle', 'req-01M8N3S85DTDX2AFKWKJJPT2W2', 0, 0, -500000000, 500000000, NULL, '2026-11-30 02:15:46.111494+00'),
	(49, 2, 'settle', 'req-01M8N3S85H9JDH05ZN0SMSMQHA', 0, 0, -500000000, 500000000, NULL, '2026-11-30 02:15:46.114481+00'),
	(50, 2, 'settle', 'req-01M8N3S85J7287WK820P59J69F', 0, 148300000, -500000000, 351700000, NULL, '2026-11-30 02:15:46.11528+00'),
	(51, 1, 'hold', 'req-01M8N3S86JB4RQA1C5XST5MRG3', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.131081+00'),
	(52, 1, 'hold', 'req-01M8N3S86KVTWB1JVBDCJY5PRC', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.131665+00'),
	(53, 1, 'hold', 'req-01M8N3S86M7ZX2Z9B905BGQ96V', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.132343+00'),
	(54, 1, 'hold', 'req-01M8N3S86N1SFZJ7FGKVSHRCW3', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.133456+00'),
	(55, 1, 'hold', 'req-01M8N3S86S5H0VG0MV3XW0K5KB', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.137755+00'),
	(56, 1, 'hold', 'req-01M8N3S86TBJX0F4RV3SX6WV25', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.138398+00'),
	(57, 1, 'hold', 'req-01M8N3S86VJHFFC42S68KX776A', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.139172+00'),
	(58, 1, 'hold', 'req-01M8N3S86VHD1SHQV9R320SDHA', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.139842+00'),
	(59, 1, 'settle', 'req-01M8N3S86JB4RQA1C5XST5MRG3', 0, 100000000, -100000000, 0, NULL, '2026-11-30 02:15:46.141647+00'),
	(60, 1, 'settle', 'req-01M8N3S86KVTWB1JVBDCJY5PRC', 0, 1000000000, -1000000000, 0, NULL, '2026-11-30 02:15:46.156232+00'),
	(61, 1, 'settle', 'req-01M8N3S86M7ZX2Z9B905BGQ96V', 0, 1000000000, -1000000000, 0, NULL, '2026-11-30 02:15:46.156983+00'),
	(62, 1, 'settle', 'req-01M8N3S86N1SFZJ7FGKVSHRCW3', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.161902+00'),
	(63, 1, 'settle', 'req-01M8N3S86S5H0VG0MV3XW0K5KB', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.162721+00'),
	(64, 1, 'settle', 'req-01M8N3S86TBJX0F4RV3SX6WV25', 0, 0, -1000000000, 1000000000, NULL, '2026-11-30 02:15:46.163972+00'),
	(65, 1, 'settle', 'req-01M8N3S86VJHFFC42S68KX776A', 0, 0, -1000000000, 1000000000, NULL, '2026-11-30 02:15:46.164617+00'),
	(66, 1, 'settle', 'req-01M8N3S86VHD1SHQV9R320SDHA', 0, 648300000, -1000000000, 351700000, NULL, '2026-11-30 02:15:46.165138+00'),
	(67, 1, 'hold', 'req-01M8N3S87VQE97JKQFDJ92YNHE', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.171564+00'),
	(68, 1, 'hold', 'req-01M8N3S87WF6NNMMXEECE74HA8', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.172355+00'),
	(69, 1, 'hold', 'req-01M8N3S881A05GGJ0QDJW52ENN', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.177939+00'),
	(70, 1, 'hold', 'req-01M8N3S8823EMCDF2YBVV3TKRC', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.178778+00'),
	(71, 1, 'hold', 'req-01M8N3S883N7G5MGZNC8R20GAD', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.17949+00'),
	(72, 1, 'hold', 'req-01M8N3S884HXTWXNNGQTSB19W3', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.180274+00'),
	(73, 1, 'hold', 'req-01M8N3S8849V1VAQ4M46GWTWAT', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.180967+00'),
	(74, 1, 'hold', 'req-01M8N3S885ZJ9XVF0AWPSEJ4H1', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.183859+00'),
	(75, 1, 'settle', 'req-01M8N3S87VQE97JKQFDJ92YNHE', 0, 100000000, -100000000, 0, NULL, '2026-11-30 02:15:46.185007+00'),
	(76, 1, 'settle', 'req-01M8N3S87WF6NNMMXEECE74HA8', 0, 500000000, -500000000, 0, NULL, '2026-11-30 02:15:46.192049+00'),
	(77, 1, 'settle', 'req-01M8N3S881A05GGJ0QDJW52ENN', 0, 500000000, -500000000, 0, NULL, '2026-11-30 02:15:46.192695+00'),
	(78, 1, 'settle', 'req-01M8N3S8823EMCDF2YBVV3TKRC', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.197366+00'),
	(79, 1, 'settle', 'req-01M8N3S883N7G5MGZNC8R20GAD', 0, 0, -100000000, 100000000, NULL, '2026-11-30 02:15:46.198244+00'),
	(80, 1, 'settle', 'req-01M8N3S884HXTWXNNGQTSB19W3', 0, 0, -500000000, 500000000, NULL, '2026-11-30 02:15:46.198927+00'),
	(81, 1, 'settle', 'req-01M8N3S8849V1VAQ4M46GWTWAT', 0, 0, -500000000, 500000000, NULL, '2026-11-30 02:15:46.199532+00'),
	(82, 1, 'settle', 'req-01M8N3S885ZJ9XVF0AWPSEJ4H1', 0, 148300000, -500000000, 351700000, NULL, '2026-11-30 02:15:46.200544+00'),
	(83, 1, 'hold', 'req-01M8N3S892KGGBNWB31V9JYQB8', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.211018+00'),
	(84, 1, 'hold', 'req-01M8N3S895JSCKSTJ2R80RHFJ9', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.214019+00'),
	(85, 1, 'hold', 'req-01M8N3S89H1PPKJN1ZYDKHR1GA', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.225535+00'),
	(86, 1, 'hold', 'req-01M8N3S89JJ94QB2JPM4G4T6C6', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.227055+00'),
	(87, 1, 'hold', 'req-01M8N3S89XTYB3T6VMV20SE6SE', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.237576+00'),
	(88, 1, 'hold', 'req-01M8N3S89ZK5NTF2V03GT5PKH3', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.239304+00'),
	(89, 1, 'hold', 'req-01M8N3S8A02N6F9FNPWX3GD25C', 0, -100000000, 100000000, 0, NULL, '2026-11-30 02:15:46.240303+00'),
	(90, 1, 'hold', 'req-01M8N3S8A4GX5BV8H8NH3KX3GT', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.245299+00'),
	(91, 1, 'hold', 'req-01M8N3S8AA72GQP3D9Z01HANGM', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.253282+00'),
	(92, 1, 'hold', 'req-01M8N3S8AJXZBGE7BC7Q91DX9A', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.258754+00'),
	(93, 1, 'hold', 'req-01M8N3S8ARH01RAQC6P264W0RF', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.264463+00'),
	(94, 1, 'hold', 'req-01M8N3S8AV6HTFAE00CF35Q4Z6', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.269285+00'),
	(95, 1, 'hold', 'req-01M8N3S8B0XF97GJX4HN1GN6AS', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.272624+00'),
	(96, 1, 'hold', 'req-01M8N3S8BAD7KMD4NXRZSPQPSQ', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.28219+00'),
	(97, 1, 'hold', 'req-01M8N3S8BBDZ2A3TBC6YXG9XX6', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.283117+00'),
	(98, 1, 'hold', 'req-01M8N3S8BCMANQ1QRR6AWRHJ3Z', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.284081+00'),
	(99, 1, 'hold', 'req-01M8N3S8BDA9XXDDJ4JR2T1QEC', 0, -500000000, 500000000, 0, NULL, '2026-11-30 02:15:46.285147+00'),
	(100, 1, 'hold', 'req-01M8N3S8BEYXA12YCHHDAK51YK', 0, -1000000000, 1000000000, 0, NULL, '2026-11-30 02:15:46.286185+00');


--
-- Name: api_keys_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.api_keys_id_seq', 3, true);


--
-- Name: deliveries_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.deliveries_id_seq', 40, true);


--
-- Name: transfers_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.transfers_id_seq', 100, true);


--
-- Name: webhook_endpoints_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.webhook_endpoints_id_seq', 2, true);


--
-- Name: workspaces_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.workspaces_id_seq', 2, true);


--
-- PostgreSQL database dump complete
--



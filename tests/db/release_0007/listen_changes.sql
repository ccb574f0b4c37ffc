-- Hear of generations that change, and of wishes to cancel one.
listen safelight;

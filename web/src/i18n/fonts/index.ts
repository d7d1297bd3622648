/** The font of a language's script, fetched when the language is first shown. Latin is the device's own. */
import type { Language } from "..";

const FONTS: Partial<Record<Language, () => Promise<unknown>>> = {
  hi: () => import("./devanagari.css"),
  mr: () => import("./devanagari.css"),
  ta: () => import("./tamil.css"),
  te: () => import("./telugu.css"),
  bn: () => import("./bengali.css"),
  kn: () => import("./kannada.css"),
};

/** The rules, not the files: a font is fetched by the browser once it has something to show in it. */
export async function loadFont(language: Language): Promise<void> {
  await FONTS[language]?.();
}

/** Of every script, where the languages are named beside each other. */
export async function loadFonts(): Promise<void> {
  await Promise.all(Object.values(FONTS).map((load) => load()));
}

/**
 * One written form for the many spellings of an Indian name, in Latin and Devanagari: as the server's search has it
 * (`lims_api/patients/spelling.py`). Another script's word is its own form. Pure.
 */

const table = (letters: string, latin: string) => {
  const spelt = latin.split(" ");
  return Object.fromEntries([...letters].map((letter, at) => [letter, spelt[at] ?? ""]));
};
const VOWELS = table("अआइईउऊऋएऐऑओऔऍ", "a a i i u u ri e ai o o au e");
const SIGNS: Record<string, string> = Object.fromEntries(
  [..."ािीुूृेैॉोौॅ"].map((sign, at) => [sign, "a i i u u ri e ai o o au e".split(" ")[at] ?? ""]),
);
const CONSONANTS = table(
  "कखगघङचछजझञटठडढणतथदधनपफबभमयरलळवशषसह",
  "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l l v sh sh s h",
);
const WITH_DOT = table("कखगजडढफय", "q kh g z d dh f y");
const [DOT, VIRAMA, ANUSVARA, VISARGA] = ["\u093c", "\u094d", "\u0902\u0901", "\u0903"];

const ALIASES: Record<string, string> = {
  mohammad: "mohd md mohammed mohamed mohamad mohammad muhammad muhammed mohmmad mohammod mahammad mohamud",
  chaudhary:
    "chaudhary chaudhari chaudhuri chaudhury chaudhry choudhary choudhury choudhry chowdhury chowdhary chowdary",
  kumar: "kumar kr",
  singh: "singh sinh sing",
  syed: "syed sayed sayyed sayyad saiyad saiyed syeda",
  sheikh: "sheikh shaikh shaik sheik shekh sekh",
};
const ALIAS_OF = new Map(
  Object.entries(ALIASES).flatMap(([name, spellings]) => spellings.split(" ").map((spelt) => [spelt, name] as const)),
);

const FOLDS: [RegExp, string][] = [
  [/chh/g, "ch"],
  [/sh/g, "s"],
  [/([bdgjk])h/g, "$1"],
  [/z/g, "j"],
  [/x/g, "ks"],
  [/q|ck|c(?!h)/g, "k"],
  [/ph/g, "f"],
  [/th/g, "t"],
  [/ee|ii/g, "i"],
  [/oo|uu/g, "u"],
  [/aa/g, "a"],
  [/(?:au|ou|ow)(?![aeiou])/g, "o"],
  [/a[iy](?![aeiou])/g, "e"],
  [/w/g, "v"],
  [/iya/g, "ia"],
  [/y$/g, "i"],
  [/(.)\1+/g, "$1"],
];

/** The spelling of each word of a name, in order: `D'Souza, J.R.` → dsouza, j, r. */
export function words(name: string): string[] {
  const text = name.normalize("NFC").replace(/\u200c|\u200d|['’`]/g, "");
  return (text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).map(spelling).filter(Boolean);
}

/** What search compares: coarse enough for a receptionist's spelling. */
export function normal(spelt: string): string {
  return FOLDS.reduce((text, [pattern, by]) => text.replace(pattern, by), ALIAS_OF.get(spelt) ?? spelt);
}

/** A word in lower-case Latin letters without accents; in another script, as it is. */
function spelling(word: string): string {
  const text = /[\u0900-\u097f]/.test(word) ? latin(word) : word;
  return text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .normalize("NFC");
}

function latin(word: string): string {
  const letters = [...word.normalize("NFD").replaceAll("ज्ञ", "ग्य")];
  return letters.map((letter, at) => spelt(letters, letter, at)).join("");
}

function spelt(letters: string[], letter: string, at: number): string {
  const after = letters[at + 1] ?? "";
  if (letter in CONSONANTS) {
    const dotted = after === DOT;
    return ((dotted && WITH_DOT[letter]) || CONSONANTS[letter]) + inherent(letters, at, at + 1 + Number(dotted));
  }
  if (ANUSVARA.includes(letter)) return after && "पफबभम".includes(after) ? "m" : "n";
  return VOWELS[letter] ?? SIGNS[letter] ?? other(letter);
}

function other(letter: string): string {
  if (!/[\u0900-\u097f]/.test(letter)) return letter;
  if (letter === VISARGA) return "h";
  return /\p{Nd}/u.test(letter) ? String((letter.codePointAt(0) ?? 0) - 0x966) : "";
}

/** The unwritten `a` of a consonant: lost before a sign, and at the end unless a sonorant ends a cluster. */
function inherent(letters: string[], at: number, following: number): string {
  const after = letters[following];
  if (after && (after in SIGNS || after === VIRAMA)) return "";
  if (after) return "a";
  return "यरलवनणम".includes(letters[at] ?? "") && letters[at - 1] === VIRAMA ? "a" : "";
}

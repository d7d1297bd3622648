/** Light, dark, or as the device has it. */
import { signal } from "@preact/signals";

export const THEMES = ["device", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
const CHOSEN = "nidan:theme";

export const theme = signal<Theme>("device");

export function setTheme(wanted: Theme): void {
  theme.value = wanted;
  localStorage.setItem(CHOSEN, wanted);
  if (wanted === "device") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
}

/** As it was chosen on this device. */
export function restoreTheme(): void {
  const chosen = localStorage.getItem(CHOSEN);
  setTheme(THEMES.find((one) => one === chosen) ?? "device");
}

/** Every screen of the app: its address, who may see it, its place in the navigation. */
import type { ComponentType } from "preact";
import type { IconName } from "../components/icon";
import type { Key } from "../i18n";

export interface ScreenProps {
  params: Record<string, string | undefined>;
}

export interface Screen {
  /** Also the name of its folder in `screens/`, and of its text `nav.<name>`. */
  name: string;
  path: string;
  /** Nobody sees it without; null: everybody signed in does. */
  permission: string | null;
  /** Its item in the navigation; a screen without one is come to from another. */
  nav?: { text: Key; icon: IconName };
}

const PLANNED: Screen[] = [
  { name: "overview", path: "/", permission: null, nav: { text: "nav.overview", icon: "overview" } },
  {
    name: "register",
    path: "/register",
    permission: "patient:register",
    nav: { text: "nav.register", icon: "register" },
  },
  { name: "patient", path: "/patients/:id", permission: "patient:read" },
  { name: "collect", path: "/collect", permission: "specimen:collect", nav: { text: "nav.collect", icon: "collect" } },
  { name: "receive", path: "/receive", permission: "specimen:receive", nav: { text: "nav.receive", icon: "receive" } },
  { name: "results", path: "/results", permission: "result:read", nav: { text: "nav.results", icon: "results" } },
  {
    name: "authorise",
    path: "/authorise",
    permission: "result:authorise",
    nav: { text: "nav.authorise", icon: "authorise" },
  },
  { name: "calls", path: "/calls", permission: "critical:call", nav: { text: "nav.calls", icon: "calls" } },
  { name: "parked", path: "/parked", permission: "message:read", nav: { text: "nav.parked", icon: "parked" } },
  { name: "qc", path: "/qc", permission: "control:read", nav: { text: "nav.qc", icon: "qc" } },
  { name: "switch", path: "/switch", permission: "release:switch", nav: { text: "nav.switch", icon: "switch" } },
  { name: "outbox", path: "/outbox", permission: null, nav: { text: "nav.outbox", icon: "outbox" } },
  { name: "settings", path: "/settings", permission: null, nav: { text: "nav.settings", icon: "settings" } },
];

const modules = import.meta.glob<ComponentType<ScreenProps>>("./*/index.tsx", { import: "default" });

/** The screens that exist, in the order of the navigation. */
export const SCREENS = PLANNED.filter(({ name }) => `./${name}/index.tsx` in modules);

/** Fetch a screen's code. */
export function load(screen: Screen): Promise<ComponentType<ScreenProps>> {
  const found = modules[`./${screen.name}/index.tsx`];
  if (!found) throw new Error(`no screen ${screen.name}`);
  return found();
}

import "./styles/index.css";
import { render } from "preact";
import { Router } from "wouter-preact";
import { preferred, setLanguage } from "./i18n";
import { SignIn } from "./screens/sign-in/sign_in";
import { Shell } from "./shell/shell";
import { restoreTheme } from "./shell/theme";
import { resume, session } from "./store/session";

function App() {
  if (session.value === undefined) return null;
  return <Router base="/app">{session.value === null ? <SignIn /> : <Shell />}</Router>;
}

restoreTheme();
await Promise.all([setLanguage(preferred()), resume()]);
render(<App />, document.getElementById("app") as HTMLElement);

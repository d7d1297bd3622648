/** What waits for the server, and what it refused: what, why, and what to do. */
import { Empty } from "../../components/empty";
import { Page } from "../../components/page";
import { toast } from "../../components/toasts";
import { t, tCode } from "../../i18n";
import { clinicalTime } from "../../i18n/format";
import { acknowledge, type Command, sendAgain, undo } from "../../outbox";
import { useLive, useStore } from "../../store/live";
import { wake } from "../../store/session";

export default function Outbox() {
  const commands = useLive((store) => store.outbox.orderBy("seq").toArray());
  if (!commands) return null;
  const refused = commands.filter(({ state }) => state === "refused");
  const waiting = commands.filter(({ state }) => state !== "refused");
  return (
    <Page
      title={t("nav.outbox")}
      actions={
        <button type="button" onClick={wake}>
          {t("outbox.send_now")}
        </button>
      }
    >
      <section>
        <h2>{t("outbox.refused")}</h2>
        {refused.length === 0 && <Empty title={t("outbox.none_refused")} />}
        <ul class="cards">
          {refused.map((command) => (
            <li key={command.id} class="card wrong">
              <Refusal command={command} />
            </li>
          ))}
        </ul>
      </section>
      <section>
        <h2>{t("outbox.waiting")}</h2>
        {waiting.length === 0 && <Empty title={t("outbox.none_waiting")} />}
        <ol class="cards">
          {waiting.map((command) => (
            <li key={command.id} class="card">
              <Waiting command={command} />
            </li>
          ))}
        </ol>
      </section>
    </Page>
  );
}

function What({ command }: { command: Command }) {
  return (
    <h3>
      {tCode("command", command.name)} <span class="code">{named(command.body)}</span>
      <time dateTime={command.made_at}>{clinicalTime(command.made_at)}</time>
    </h3>
  );
}

function Refusal({ command }: { command: Command }) {
  const store = useStore();
  const mayLater = command.problem?.status === 403;
  return (
    <>
      <What command={command} />
      <p>
        <strong>{command.problem?.title}</strong>
      </p>
      <p>{command.problem?.detail}</p>
      <div class="actions">
        {mayLater && (
          <button type="button" onClick={() => sendAgain(store, command.id)}>
            {t("outbox.send_again")}
          </button>
        )}
        <button type="button" onClick={() => acknowledge(store, command.id)}>
          {t("outbox.acknowledge")}
        </button>
      </div>
    </>
  );
}

function Waiting({ command }: { command: Command }) {
  const store = useStore();
  async function takeBack(): Promise<void> {
    const undone = await undo(store, command.id);
    toast(t(undone ? "toast.undone" : "toast.too_late"), undone ? "done" : "wrong");
  }
  const state = command.state === "applied" ? "applied" : command.attempts > 0 ? "sent" : "waiting";
  return (
    <>
      <What command={command} />
      <p>{tCode("outbox.state", state)}</p>
      {state === "waiting" && (
        <button type="button" onClick={takeBack}>
          {t("toast.undo")}
        </button>
      )}
    </>
  );
}

/** What the command is about, by a number that is on a label: never a person's name. */
function named(body: unknown): string {
  const { accession_number, test_code } = body as Record<string, unknown>;
  return [accession_number, test_code].filter((one) => typeof one === "string").join(" ");
}

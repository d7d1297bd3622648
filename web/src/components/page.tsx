import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: string;
  /** Buttons and the like, beside the title. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A screen: its title, which is also the tab's and takes the focus unless a field of the screen did. */
export function Page({ title, actions, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Nidan`;
  }, [title]);
  useEffect(() => {
    if (!document.activeElement?.closest("main")) heading.current?.focus();
  }, []);
  return (
    <>
      <div class="title">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </>
  );
}

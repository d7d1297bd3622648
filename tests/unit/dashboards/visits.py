"""A visitor of the dashboards: opens a page with a token, reads it, and all that the server sent."""

import json

from streamlit.testing.v1 import AppTest

from dashboards.cli import APP

PAGES = ("turnaround", "verification", "levey_jennings")
INVITATION = "Open the dashboard from the application: sign in there and choose **Dashboards**."


def visit(token: str | None, page: str = "turnaround") -> AppTest:
    """A page after its first run, opened with a token in the address or without."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    if token is not None:
        app.query_params["t"] = token
    app.run()
    return app if page == PAGES[0] or is_only_the_invitation(app) else app.switch_page(f"app_pages/{page}.py").run()


def figures(page: AppTest) -> dict[str, str]:
    """The labelled figures of the page."""
    return {metric.label: metric.value for metric in page.metric}


def is_only_the_invitation(page: AppTest) -> bool:
    """Whether the page says where to go and shows nothing else at all."""
    others = [*page.metric, *page.title, *page.tabs, *page.dataframe, *page.selectbox, *page.error, *page.exception]
    others += [*page.caption, *page.info, *page.subheader, *page.download_button, *page.multiselect, *page.date_input]
    return [text.value for text in page.markdown] == [INVITATION] and not others and not page.get("vega_lite_chart")


def charts_sent(page: AppTest) -> str:
    """The charts of the page with their data, as text."""
    return " ".join(str(chart.proto) for chart in page.get("vega_lite_chart"))


def everything_sent(page: AppTest) -> str:
    """All that the server would send to the browser for this page: texts, figures, options, tables, charts."""
    texts = [
        element.value
        for element in (*page.markdown, *page.caption, *page.title, *page.subheader, *page.info, *page.warning)
    ]
    frames = [frame.value.to_csv() for frame in page.dataframe]
    widgets = [str(widget.options) + str(widget.value) for widget in (*page.selectbox, *page.multiselect)]
    names = [button.label for button in page.download_button]
    return json.dumps([texts, frames, charts_sent(page), widgets, names, figures(page)], ensure_ascii=False)


def table(page: AppTest, column: str) -> list[dict[str, object]]:
    """The rows of the first table on the page that has this column."""
    frame = next(frame.value for frame in page.dataframe if column in frame.value.columns)
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]

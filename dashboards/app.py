"""The dashboards' entry: nothing is shown, and no page exists, without a token that the application signed."""

import logging

import streamlit as st

from dashboards.access import enter, utc_now
from dashboards.lake import LakeUnavailable
from dashboards.settings import NotConfigured, read_settings

# No page icon: Streamlit would fetch a symbol's drawing from a server outside the laboratory.
st.set_page_config(page_title="Nidan dashboards", layout="wide")
PAGES = {
    "turnaround": "Turnaround",
    "verification": "Verification",
    "levey_jennings": "Levey\u2013Jennings",
}


def has_access() -> bool:
    """Whether this run may show anything. A missing setting closes the door as well, and the log says which."""
    try:
        key_file = read_settings().public_key_file
    except NotConfigured as missing:
        logging.getLogger(__name__).error("dashboards are closed: %s", missing)
        return False
    return enter(st.query_params, st.session_state, key_file=key_file, now=utc_now()) is not None


if not has_access():
    st.markdown("Open the dashboard from the application: sign in there and choose **Dashboards**.")
    st.stop()

pages = [st.Page(f"app_pages/{name}.py", title=title, url_path=name) for name, title in PAGES.items()]
try:
    st.navigation(pages, position="top").run()
except LakeUnavailable as reason:
    st.error(str(reason))
